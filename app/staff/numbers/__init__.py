"""Numbers: what each does with texts and calls, its recordings, its settings at Twilio."""
