"""``flask endpoints``: receivers of events, tested, paused and enabled by operators."""

from __future__ import annotations

import time

import click
from flask.cli import AppGroup
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.cli.asking import in_sentences, operator
from app.domain import named
from app.domain.mistakes import Refused
from app.domain.relaying import endpoints
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.client import Client
from app.models.delivery import Delivery, DeliveryAttempt, DeliveryState
from app.models.endpoint import Endpoint, EndpointKind

group = AppGroup("endpoints", help="Receivers of events: webhooks, plain URLs, mail addresses.")

PING_SECONDS = 25.0


def endpoint_of(session: Session, client_name: str, name: str) -> Endpoint:
    """Return a client's endpoint by its name, its URL or address, or its id.

    :raises Refused: when there is none, or several.
    """
    client_id = session.scalar(select(Client.id).where(Client.name == client_name))
    if client_id is None:
        raise Refused.because(f"There is no client “{client_name}”.")
    if found := named.find_endpoint(session, client_id, name):
        return found
    others = session.scalars(
        select(Endpoint).where(
            Endpoint.client_id == client_id, (Endpoint.url == name) | (Endpoint.id == name)
        )
    ).all()
    if len(others) > 1:
        ids = ", ".join(one.id for one in others)
        raise Refused.because(f"Several endpoints have that URL; give the id of one: {ids}.")
    if not others:
        raise Refused.because(
            f"The client “{client_name}” has no endpoint “{name}”; see: flask endpoints list"
            f" --client {client_name}"
        )
    return others[0]


@group.command("list")
@click.option("--client", "client_name", metavar="NAME", help="Of this client only.")
def list_command(client_name: str | None) -> None:
    """List endpoints with their state and what waits for them."""
    waiting = (
        select(func.count())
        .where(
            Delivery.endpoint_id == Endpoint.id,
            Delivery.state.in_((DeliveryState.PENDING, DeliveryState.HELD)),
        )
        .scalar_subquery()
    )
    query = (
        select(Client.name, Endpoint, waiting)
        .join(Client, Client.id == Endpoint.client_id)
        .order_by(Client.name, Endpoint.kind, Endpoint.name)
    )
    if client_name:
        query = query.where(Client.name == client_name)
    rows = db.session.execute(query).all()
    for client, endpoint, count in rows:
        called = endpoint.name if endpoint.kind is EndpointKind.WEBHOOK else endpoint.id
        state = endpoint.state.value
        if endpoint.disabled_reason:
            state += f" ({endpoint.disabled_reason.value})"
        elif endpoint.open_until:
            state += f" (left alone until {endpoint.open_until:%H:%M:%S} UTC)"
        click.echo(f"{client}\t{called}\t{endpoint.kind.value}\t{state}\t{count} waiting"
                   f"\t{endpoint.url}")  # fmt: skip
    if not rows:
        click.echo("There are no endpoints.")


@group.command()
@click.argument("client")
@click.argument("endpoint")
@click.option("--wait/--no-wait", default=True, help="Wait for the result (25 seconds).")
@in_sentences
def ping(client: str, endpoint: str, wait: bool) -> None:
    """Send a test event to ENDPOINT of CLIENT and show how it went."""
    with unit_of_work() as session:
        delivery = endpoints.ping(session, endpoint_of(session, client, endpoint), operator())
    wake("relay")
    click.echo(f"Sent as {delivery.event_id} (delivery {delivery.id}).")
    if not wait:
        time.sleep(0.2)  # the wake-up is told to Redis by a thread
        return
    ends = time.monotonic() + PING_SECONDS
    while time.monotonic() < ends:
        db.session.rollback()
        attempt = db.session.scalars(
            select(DeliveryAttempt).where(DeliveryAttempt.delivery_id == delivery.id)
        ).first()
        if attempt is not None:
            click.echo(f"{attempt.status or attempt.error} in {attempt.duration_ms} ms.")
            if attempt.error:
                raise Refused.because(attempt.detail or attempt.error)
            return
        time.sleep(0.2)
    raise Refused.because("No worker has sent it yet; is worker-relay running?")


@group.command()
@click.argument("client")
@click.argument("endpoint")
@in_sentences
def pause(client: str, endpoint: str) -> None:
    """Send nothing to ENDPOINT of CLIENT until it is resumed."""
    with unit_of_work() as session:
        changed = endpoints.pause(session, endpoint_of(session, client, endpoint), operator())
    click.echo("Paused." if changed else "It was paused already.")


@group.command()
@click.argument("client")
@click.argument("endpoint")
@in_sentences
def resume(client: str, endpoint: str) -> None:
    """Send to ENDPOINT of CLIENT again, beginning with what waited."""
    with unit_of_work() as session:
        changed = endpoints.resume(session, endpoint_of(session, client, endpoint), operator())
    wake("relay")
    click.echo("Resumed." if changed else "It was not paused.")


@group.command()
@click.argument("client")
@click.argument("endpoint")
@click.option("--send-held/--drop-held", default=None, help="What becomes of what was held.")
@in_sentences
def enable(client: str, endpoint: str, send_held: bool | None) -> None:
    """Enable ENDPOINT of CLIENT again; asks what becomes of the deliveries that were held."""
    reading = db.session()
    held = endpoints.held_count(reading, endpoint_of(reading, client, endpoint))
    if send_held is None:
        send_held = not held or click.confirm(f"{held} deliveries were held. Send them now?")
    reading.rollback()
    with unit_of_work() as session:
        count = endpoints.enable(
            session, endpoint_of(session, client, endpoint), operator(), send_held=send_held
        )
    wake("relay")
    done = "are sent now" if send_held else "were canceled, and can be sent again by a replay"
    click.echo(f"Enabled. {count} held deliveries {done}.")


@group.command()
@click.argument("client")
@click.argument("endpoint")
@click.option("--retire-old", is_flag=True, help="End the overlap of the last rotation instead.")
@in_sentences
def rotate(client: str, endpoint: str, retire_old: bool) -> None:
    """Give ENDPOINT of CLIENT a new signing secret, shown once; the old one signs for 24 hours."""
    with unit_of_work() as session:
        found = endpoint_of(session, client, endpoint)
        if retire_old:
            count = endpoints.retire_old_secrets(session, found, operator())
        else:
            secret = endpoints.rotate_secret(session, found, operator())
    if retire_old:
        click.echo(f"{count} old secrets sign no more.")
    else:
        click.echo(f"{secret}\nShown only now. The old secret signs as well for 24 hours.")
