"""Measurements, beside something simple in the same run."""
