"""``flask recordings add``: the audio that callers hear."""

from __future__ import annotations

from pathlib import Path

import click
from flask.cli import AppGroup
from sqlalchemy import select

from app.cli.asking import operator
from app.domain.content.recordings import MAX_BYTES, save
from app.domain.mistakes import Refused
from app.extensions import current_settings, unit_of_work
from app.models.client import Client

group = AppGroup("recordings", help="Audio that callers hear.")


@group.command()
@click.argument("client")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def add(client: str, name: str, file: Path) -> None:
    """Keep FILE as the recording NAME of CLIENT, in place of an earlier one of that name.

    MP3, WAV, AIFF, GSM or u-law, as Twilio plays them; the content is checked, not the name.
    """
    with file.open("rb") as opened:
        content = opened.read(MAX_BYTES + 1)
    with unit_of_work() as session:
        owner = session.scalar(select(Client).filter_by(name=client))
        if owner is None:
            names = ", ".join(session.scalars(select(Client.name).order_by(Client.name)))
            raise click.ClickException(
                f"There is no client “{client}”. There are: {names or 'none yet'}."
            )
        try:
            recording = save(session, owner, name, file.name, content, operator()).row
        except Refused as refused:
            reasons = " ".join(mistake.message for mistake in refused.mistakes)
            raise click.ClickException(reasons) from refused
        code = recording.media_code
    click.echo(f"Recording “{name}” of {client}: {current_settings().public_base_url}/media/{code}")
