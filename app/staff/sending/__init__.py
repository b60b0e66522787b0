"""Texting and calling many: communications, their runs and messages."""
