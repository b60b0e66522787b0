"""The client's own systems: endpoints, and what they were told."""
