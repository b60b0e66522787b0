"""Voice messages are fetched from Twilio, written down and deleted there: from jobs, in steps."""
