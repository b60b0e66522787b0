"""``flask client``: whether a client may use Twilio, and whether it may send at all."""

from __future__ import annotations

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cli.asking import in_sentences, operator
from app.domain.clients import enabling
from app.domain.clients import settings as client_settings
from app.domain.mistakes import Refused
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.client import Client
from app.models.number import TwilioRequest

group = AppGroup("client", help="What clients may do.")


@group.command()
@click.argument("name")
@click.option("--by", help="Who of support grants it; whoever runs this if not given.")
@in_sentences
def enable(name: str, by: str | None) -> None:
    """Enable Twilio for the client NAME, as it has asked."""
    with unit_of_work() as session:
        changed = enabling.enable(session, _client(session, name), by or operator())
    click.echo(f"Twilio {'is' if changed else 'was already'} enabled for {name}.")


@group.command()
@click.argument("name")
@in_sentences
def disable(name: str) -> None:
    """Take Twilio away from the client NAME: it neither sends nor answers."""
    with unit_of_work() as session:
        enabling.disable(session, _client(session, name), operator())
    click.echo(f"Twilio is not enabled for {name}.")


@group.command()
@click.argument("name")
@click.option("--by", required=True, help="The e-mail address of the person who asks.")
@click.option("--reason", default="", help="What it is wanted for.")
@in_sentences
def request(name: str, by: str, reason: str) -> None:
    """Ask support to enable Twilio for the client NAME."""
    with unit_of_work() as session:
        enabling.request_twilio(session, _client(session, name), by, reason)
    click.echo(f"Support has been asked to enable Twilio for {name}.")


@group.command()
def requests() -> None:
    """List who asks to use Twilio, and who was granted it by whom."""
    rows = db.session.execute(
        select(TwilioRequest, Client.name)
        .join(Client, Client.id == TwilioRequest.client_id)
        .order_by(TwilioRequest.id)
    ).all()
    for asked, name in rows:
        ended = (
            f"granted by {asked.granted_by} on {asked.granted_at:%Y-%m-%d}"
            if asked.granted_at
            else "open"
        )
        click.echo(f"{asked.created_at:%Y-%m-%d}  {name}  by {asked.requested_by}  {ended}")
    if not rows:
        click.echo("Nobody has asked.")


@group.command()
@click.argument("name")
@in_sentences
def halt(name: str) -> None:
    """Stop all sending of the client NAME at once."""
    with unit_of_work() as session:
        client_settings.halt(session, _client(session, name), operator())
    click.echo(f"{name} sends nothing until: flask client resume {name}")


@group.command()
@click.argument("name")
@in_sentences
def resume(name: str) -> None:
    """Let the client NAME send again."""
    with unit_of_work() as session:
        client_settings.resume(session, _client(session, name), operator())
    wake("send")
    click.echo(f"{name} may send again.")


def _client(session: Session, name: str) -> Client:
    found = session.scalar(select(Client).filter_by(name=name))
    if found is None:
        raise Refused.because(f"There is no client “{name}”.")
    return found
