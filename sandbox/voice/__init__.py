"""Calls, in and out: a small state machine per call, in a thread of its own."""
