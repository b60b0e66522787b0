"""Numbers and messaging services at Twilio: found, bought, set up, checked."""
