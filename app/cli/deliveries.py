"""``flask deliveries``: events on their way, looked at and sent again by operators."""

from __future__ import annotations

from datetime import datetime

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cli.asking import INSTANT, in_sentences, operator
from app.cli.endpoints import endpoint_of
from app.domain.mistakes import Refused
from app.domain.relaying import deliveries
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.delivery import Delivery, DeliveryAttempt, DeliveryState
from app.models.endpoint import Endpoint, EndpointKind

group = AppGroup("deliveries", help="Events on their way to endpoints and mailboxes.")


@group.command("list")
@click.option("--client", "client_name", metavar="NAME", help="Of this client only.")
@click.option("--endpoint", metavar="NAME", help="To this endpoint of the client only.")
@click.option("--state", type=click.Choice([state.value for state in DeliveryState]))
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@in_sentences
def list_command(
    client_name: str | None, endpoint: str | None, state: str | None, limit: int
) -> None:
    """List deliveries, the newest first."""
    session = db.session()
    query = (
        select(Delivery, Endpoint, Client.name)
        .join(Endpoint, Endpoint.id == Delivery.endpoint_id)
        .outerjoin(Client, Client.id == Delivery.client_id)
        .order_by(Delivery.id.desc())
        .limit(limit)
    )
    if endpoint:
        if not client_name:
            raise click.UsageError("Say whose endpoint: --client NAME.")
        query = query.where(Endpoint.id == endpoint_of(session, client_name, endpoint).id)
    elif client_name:
        query = query.where(Client.name == client_name)
    if state:
        query = query.where(Delivery.state == DeliveryState(state))
    rows = session.execute(query).all()
    for delivery, to, client in rows:
        called = to.name if to.kind is EndpointKind.WEBHOOK else to.url
        line = (
            f"{delivery.id}\t{_when(delivery.created_at)}\t{client or '-'}\t{called}"
            f"\t{delivery.type.value}\t{delivery.state.value}\t{delivery.attempts} tries"
        )
        if delivery.next_attempt_at:
            line += f"\tnext {_when(delivery.next_attempt_at)}"
        click.echo(line + (f"\t{delivery.last_error}" if delivery.last_error else ""))
    if not rows:
        click.echo("There are none.")


@group.command()
@click.argument("delivery_id")
@in_sentences
def show(delivery_id: str) -> None:
    """Show one delivery with every try."""
    session = db.session()
    delivery = _delivery(session, delivery_id)
    click.echo(f"{delivery.event_id} {delivery.type.value}: {delivery.state.value}")
    click.echo(delivery.content or "(its content has been deleted after retention)")
    for attempt in session.scalars(
        select(DeliveryAttempt)
        .where(DeliveryAttempt.delivery_id == delivery.id)
        .order_by(DeliveryAttempt.id)
    ):
        by = f" by {attempt.requested_by}" if attempt.requested_by else ""
        click.echo(
            f"{attempt.number}. {_when(attempt.started_at)} {attempt.trigger.value}{by}"
            f" {attempt.status or attempt.error} in {attempt.duration_ms} ms"
            f" {attempt.address or ''} {attempt.detail or ''}".rstrip()
        )


@group.command()
@click.argument("delivery_id")
@in_sentences
def resend(delivery_id: str) -> None:
    """Send one delivery again at once: the same event, the same id."""
    with unit_of_work() as session:
        deliveries.resend(session, _delivery(session, delivery_id), operator())
    wake("relay")
    click.echo("It is sent again.")


@group.command()
@click.argument("delivery_id")
@in_sentences
def cancel(delivery_id: str) -> None:
    """Take one delivery that waits or is held off its way."""
    with unit_of_work() as session:
        deliveries.cancel(session, _delivery(session, delivery_id), operator())
    click.echo("Canceled.")


@group.command()
@click.argument("client")
@click.argument("endpoint")
@click.option("--from", "since", type=INSTANT, required=True, help="From when, e.g. 2026-11-21.")
@click.option("--to", "until", type=INSTANT, help="Until when; now if not given.")
@click.option("--all", "everything", is_flag=True, help="Also what has been delivered.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@in_sentences
def replay(
    client: str, endpoint: str, since: datetime, until: datetime | None, everything: bool, yes: bool
) -> None:
    """Send what ENDPOINT of CLIENT did not get in a time again; counts first and asks."""
    wanted = deliveries.Range(since, until or utcnow(), failed_only=not everything)
    reading = db.session()
    count = deliveries.count_replay(reading, endpoint_of(reading, client, endpoint), wanted)
    reading.rollback()
    if not count:
        click.echo("There is nothing to send again in that time.")
        return
    if not yes:
        click.confirm(f"Send {count} deliveries again?", abort=True)
    with unit_of_work() as session:
        deliveries.replay(
            session, endpoint_of(session, client, endpoint), wanted, operator(), count
        )
    wake("relay")
    click.echo(f"{count} deliveries are sent again.")


def _delivery(session: Session, delivery_id: str) -> Delivery:
    found = session.scalars(
        select(Delivery).where((Delivery.id == delivery_id) | (Delivery.event_id == delivery_id))
    ).one_or_none()
    if found is None:
        raise Refused.because(f"There is no delivery “{delivery_id}”.")
    return found


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
