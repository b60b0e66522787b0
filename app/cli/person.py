"""``flask person``: what is known of somebody, given out or erased on their request."""

from __future__ import annotations

import json

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import phones
from app.domain.mistakes import Refused
from app.domain.persons import erasing, known
from app.extensions import db, unit_of_work
from app.models.client import Client

group = AppGroup("person", help="What is known of one person, by their phone.")

ACTOR = "flask person"


@group.command()
@click.argument("phone")
@click.option("--client", required=True, help="Whose knowledge of them.")
def export(phone: str, client: str) -> None:
    """Print all that CLIENT knows of the person with PHONE, as JSON."""
    with unit_of_work() as session:
        found = known.export(session, _owner(session, client), _read(phone), ACTOR)
    if found is None:
        raise _unknown(phone)
    click.echo(json.dumps(found, ensure_ascii=False, indent=2))


@group.command()
@click.argument("phone")
@click.option("--client", required=True, help="From whose knowledge they are erased.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(phone: str, client: str, yes: bool) -> None:
    """Erase the person with PHONE from what CLIENT knows; opt-outs and costs stay."""
    number = _read(phone)
    if not yes:
        click.confirm(f"Erase all that {client} knows of {number}, for good?", abort=True)
    try:
        owner = _owner(db.session(), client).id
        receipt = erasing.erase(owner, number, ACTOR)
    except Refused as refused:
        raise click.ClickException(str(refused)) from refused
    if receipt is None:
        raise _unknown(phone)
    for name, many in receipt.items():
        click.echo(f"{name}: {many:,}")


def _owner(session: Session, client: str) -> Client:
    owner = session.scalar(select(Client).filter_by(name=client))
    if owner is None:
        raise click.ClickException(f"There is no client “{client}”.")
    return owner


def _read(phone: str) -> str:
    try:
        return phones.normalize(phone)
    except phones.InvalidPhone as invalid:
        raise click.ClickException(invalid.reason) from invalid


def _unknown(phone: str) -> click.ClickException:
    return click.ClickException(f"Nothing is known of {phone}.")
