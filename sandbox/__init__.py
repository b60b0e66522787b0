"""A local Twilio: a separate program that meets the application over HTTP only."""
