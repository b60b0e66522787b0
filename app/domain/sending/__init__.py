"""Texts and calls on their way out: batches, lanes, messages and what becomes of them."""
