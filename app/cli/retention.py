"""``flask retention run``: remove what is older than its client's days of retention."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from app.maintenance import retention

group = AppGroup("retention", help="What is kept, and for how long.")


@group.command()
def run() -> None:
    """Remove every copy of texts older than their client's days of retention, now."""
    removed, _finished = retention.run()
    if not removed:
        click.echo("Nothing was old enough to go.")
    for name, count in sorted(removed.items()):
        click.echo(f"{name.replace('_', ' ')}: {count}")
