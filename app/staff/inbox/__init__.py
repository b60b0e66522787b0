"""The first page, and what came in."""
