"""What is said: templates, recordings, short links."""
