"""``flask media …``: files and contact cards that texts may show."""

from __future__ import annotations

from pathlib import Path

import click
from flask.cli import AppGroup
from sqlalchemy import select

from app.domain import urls
from app.domain.content import attachments, vcards
from app.domain.mistakes import Refused
from app.extensions import unit_of_work
from app.models.client import Client

group = AppGroup("media", help="Pictures, contact cards and other files that texts may show.")


@group.command()
@click.argument("client")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def add(client: str, file: Path) -> None:
    """Keep FILE for the texts of CLIENT and print the address to write into a template.

    Until the client's retention is over, or for as long as a template shows it.
    """
    with file.open("rb") as opened:
        _keep(client, file.name, opened.read(attachments.MAX_TOTAL + 1))


@group.command()
@click.argument("client")
@click.option("--name", required=True, help="Whom the card is of: a person or an office.")
@click.option("--phone", default="", help="With or without +1.")
@click.option("--email", default="")
@click.option("--organization", default="")
@click.option("--url", default="", help="A web page.")
def vcard(client: str, name: str, phone: str, email: str, organization: str, url: str) -> None:
    """Make a contact card (vCard) for the texts of CLIENT and print its address."""
    contact = vcards.Contact(name, phone, email, organization, url)
    try:
        content = vcards.write(contact)
    except Refused as refused:
        raise click.ClickException(str(refused)) from refused
    _keep(client, "contact.vcf", content)


def _keep(client: str, filename: str, content: bytes) -> None:
    with unit_of_work() as session:
        owner = session.scalar(select(Client).filter_by(name=client))
        if owner is None:
            raise click.ClickException(f"There is no client “{client}”.")
        try:
            kept = attachments.keep(session, owner, filename, content)
        except Refused as refused:
            raise click.ClickException(str(refused)) from refused
        url, kind = urls.of_media(kept.code), kept.content_type
        advice = attachments.inspect(session, owner.id, [url]).advice
    click.echo(f"{url}  ({kind}, {len(content):,} bytes)")
    for sentence in advice:
        click.echo(f"Note: {sentence}", err=True)
