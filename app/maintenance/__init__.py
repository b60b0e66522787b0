"""Keeping house: one small file per rule."""
