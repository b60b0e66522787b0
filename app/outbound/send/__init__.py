"""Sending: lanes at their pace, claims, the POST and what follows from it."""
