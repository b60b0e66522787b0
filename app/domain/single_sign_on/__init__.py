"""Signing in by a provider (OpenID Connect): what it says of a person, and what follows of it."""
