"""Conversations between a number and a phone: whose turn it is, who looks after it, what was said.

The rows follow the log: :mod:`record` moves them in the transaction that writes a text or call,
:mod:`care` by what staff do, and :mod:`entries` reads the two sides in one line of time.
"""
