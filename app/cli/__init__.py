"""Operators' commands."""

from __future__ import annotations

from flask import Flask

from app.cli import (
    apply,
    batch,
    clients,
    deliveries,
    doctor,
    endpoints,
    errors,
    keys,
    media,
    numbers,
    person,
    populations,
    reconcile,
    recordings,
    recover,
    retention,
    usage,
    users,
    version,
)
from app.cli.processes import clock, worker

COMMANDS = (
    apply.command,
    batch.group,
    clients.group,
    clock,
    deliveries.group,
    doctor.command,
    endpoints.group,
    errors.group,
    keys.group,
    media.group,
    numbers.group,
    person.group,
    populations.group,
    recordings.group,
    reconcile.command,
    recover.command,
    retention.group,
    usage.group,
    users.group,
    version.command,
    worker,
)


def init_app(app: Flask) -> None:
    """Add the commands to ``flask``."""
    for command in COMMANDS:
        app.cli.add_command(command)
