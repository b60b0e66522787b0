"""Operators' commands."""

from __future__ import annotations

from flask import Flask

from app.cli import apply, recordings, retention
from app.cli.processes import clock, worker

COMMANDS = (
    apply.command,
    clock,
    recordings.group,
    retention.group,
    worker,
)


def init_app(app: Flask) -> None:
    """Add the commands to ``flask``."""
    for command in COMMANDS:
        app.cli.add_command(command)
