"""Operators' commands."""

from __future__ import annotations

from flask import Flask

from app.cli import recordings, retention
from app.cli.processes import clock, worker


def init_app(app: Flask) -> None:
    """Add the commands to ``flask``."""
    for command in (worker, clock, recordings.group, retention.group):
        app.cli.add_command(command)
