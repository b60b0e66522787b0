"""`flask keys`: the keys with which secrets are encrypted."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from app.domain import encryption

group = AppGroup("keys", help="The keys with which secrets are encrypted.")


@group.command()
def rotate() -> None:
    """Encrypt every secret anew with the newest of ENCRYPTION_KEYS.

    Put the new key first in ENCRYPTION_KEYS, keep the old one after it, restart every process, run
    this, and then take the old key away. It may run beside the service and be repeated.
    """
    columns = encryption.rotate()
    for one in columns:
        click.echo(f"{one.column}: {one.renewed} encrypted anew, {one.fresh} fresh already")
    lost = [one for one in columns if one.unreadable]
    for one in lost:
        click.echo(
            f"{one.column}: {one.unreadable} cannot be read with any of ENCRYPTION_KEYS", err=True
        )
    if lost:
        raise click.ClickException(
            "Keep the old keys, and add the one that is missing to ENCRYPTION_KEYS."
        )
