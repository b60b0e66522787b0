"""One person, by their phone: all that a client knows of them, given out or erased on request."""
