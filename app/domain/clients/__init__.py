"""A client as a customer: its Twilio account, what it uses and what that costs."""
