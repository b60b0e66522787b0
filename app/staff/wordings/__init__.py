"""Canned replies and other templates: written, measured, tried out."""
