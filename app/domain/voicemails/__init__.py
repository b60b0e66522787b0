"""Voice messages: what Twilio reports of them, what is next to be done, and who is told."""
