"""Office hours: when a client is open, and what its calendars say."""
