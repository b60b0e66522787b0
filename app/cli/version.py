"""``flask version``: which Dispatch this is. (``flask --version`` is Flask's own.)"""

from __future__ import annotations

import click

from app.version import VERSION


@click.command("version")
def command() -> None:
    """Print the version of Dispatch."""
    click.echo(f"Dispatch {VERSION}")
