"""Twilio calls us: texts, calls, and what became of our own."""

from flask import Blueprint

blueprints: tuple[Blueprint, ...] = ()
