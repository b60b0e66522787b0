"""What owners and support keep: people, settings, credentials, keys, usage, history, help."""
