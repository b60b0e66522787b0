"""The first page of a client: what its numbers do, what came in today, what needs attention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import g, render_template, url_for
from flask_login import current_user
from sqlalchemy import SQLColumnExpression, func, literal, select, text
from sqlalchemy.orm import Session

from app.domain import reach
from app.domain.audience import names
from app.domain.sending import confirmation
from app.extensions import db
from app.models.base import utcnow
from app.models.batch import Batch
from app.models.communication import Communication
from app.models.credential import Credential
from app.models.delivery import Delivery, DeliveryState
from app.models.endpoint import Endpoint, EndpointState
from app.models.house import Usage
from app.models.incoming import Incoming
from app.models.message import Direction, Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender
from app.staff import words
from app.staff.access import client_blueprint
from app.staff.numbers.overview import KINDS, what_numbers_do

RECENT = timedelta(days=7)
NEAR_THRESHOLD = 0.8


@dataclass(frozen=True)
class Concern:
    """Something that somebody should look at, with where to do so."""

    text: str
    colour: str
    url: str | None = None


@client_blueprint.get("/")
def home() -> str:
    """Say what each number does, what came in today, and what needs attention."""
    session = db.session()
    latest = _latest(session)
    senders = list(
        session.scalars(
            select(Sender).where(Sender.client_id == g.client.id).order_by(Sender.address)
        )
    )
    return render_template(
        "staff/home.html",
        senders=senders,
        does=what_numbers_do(session, senders),
        kinds=KINDS,
        concerns=list(_concerns(session, senders)),
        today=_today(session),
        latest=latest,
        known=names.of(session, g.client.id, {one.from_ for one in latest}),
    )


def _midnight() -> datetime:
    """Return when today began in the client's zone."""
    there = utcnow().astimezone(ZoneInfo(g.client.time_zone))
    return there.replace(hour=0, minute=0, second=0, microsecond=0)


def _today(session: Session) -> dict[str, int]:
    came_in = (Incoming.client_id == g.client.id, Incoming.received_at >= _midnight())
    sent = (
        Message.client_id == g.client.id,
        Message.created_at >= _midnight(),
        Message.direction == Direction.API,
        Message.state == MessageState.ACCEPTED,
    )
    return {
        "texts": _count(session, *came_in, Incoming.destination == Destination.SMS),
        "calls": _count(session, *came_in, Incoming.destination == Destination.VOICE),
        "sent": _count(session, *sent),
    }


def _count(session: Session, *conditions: SQLColumnExpression[bool]) -> int:
    """Count rows, but not for long: nobody reads the last digits of a very busy day."""
    some = select(literal(1)).where(*conditions).limit(words.MANY + 1).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def _latest(session: Session) -> list[Incoming]:
    query = (
        select(Incoming)
        .where(Incoming.client_id == g.client.id, Incoming.received_at >= utcnow() - RECENT)
        .order_by(Incoming.received_at.desc(), Incoming.id.desc())
        .limit(5)
    )
    return list(session.scalars(query))


def _concerns(session: Session, senders: list[Sender]) -> Iterator[Concern]:
    """Yield what is wrong, the worst first."""
    yield from _standing(session)
    yield from _approvals(session)
    for sender in senders:
        where = url_for("client.number", sender_id=sender.id)
        if sender.stopped_at:
            name = sender.name or sender.address
            yield Concern(f"{name} has been stopped: {sender.stopped_reason}", "bad", where)
    yield from _endpoints(session)
    flagged = _count(
        session,
        Incoming.client_id == g.client.id,
        Incoming.flagged,
        Incoming.received_at >= utcnow() - RECENT,
    )
    if flagged:
        noun = "text needs" if flagged == 1 else "texts need"
        inbox = url_for("client.inbox", kind="flagged")
        yield Concern(f"{words.many(flagged)} {noun} somebody to read it this week.", "warn", inbox)
    yield from _usage(session)


_AWAITING = text("batch.state = 'awaiting_approval'")
"""Written out, not bound: the planner has to see that the partial index fits."""


def _approvals(session: Session) -> Iterator[Concern]:
    """Yield the batches that wait for somebody's approval."""
    waiting = session.execute(
        select(Batch, Communication.name)
        .join(Communication, Communication.id == Batch.communication_id)
        .where(Batch.client_id == g.client.id, _AWAITING)
        .order_by(Batch.id)
        .limit(5)
    )
    for batch, name in waiting:
        own = batch.created_by == current_user.email
        said = f"“{name}”, to {batch.total:,} people, waits for approval"
        whose = "by somebody else." if own else f"; {batch.created_by} has started it."
        where = url_for("client.communication_batch", batch_id=batch.id)
        yield Concern(f"{said} {whose}" if own else f"{said}{whose}", "warn", where)


def _standing(session: Session) -> Iterator[Concern]:
    standing = reach.standing(g.client)
    if silence := reach.silence(standing):
        yield Concern(silence.sentence, "bad", url_for("client.settings"))
    if standing.trial:
        yield Concern(f"{standing.trial}: only phones on the allow-list are reached.", "warn")
    now = utcnow()
    for what, held in (("texts", g.client.texts_held_until), ("calls", g.client.calls_held_until)):
        if held is not None and held > now:
            yield Concern(
                f"A limit is reached: communications by {what} wait until there is room, about"
                f" {words.when(held)}.",
                "warn",
                url_for("client.settings"),
            )
    unconfirmed = session.scalars(
        select(Credential.name).where(
            Credential.client_id == g.client.id,
            Credential.unconfirmed_since.is_not(None),
            Credential.stopped_at.is_(None),
        )
    )
    for name in unconfirmed:
        yield Concern(f"The Twilio account “{name}” {confirmation.UNCONFIRMED}", "warn")
    stopped = session.scalars(
        select(Credential).where(
            Credential.client_id == g.client.id, Credential.stopped_at.is_not(None)
        )
    )
    for credential in stopped:
        yield Concern(
            f"Twilio refuses the credential “{credential.name}”: {credential.stopped_reason}", "bad"
        )


def _endpoints(session: Session) -> Iterator[Concern]:
    troubled = session.scalars(
        select(Endpoint).where(
            Endpoint.client_id == g.client.id,
            (Endpoint.state == EndpointState.DISABLED) | (Endpoint.consecutive_failures >= 5),
        )
    )
    for endpoint in troubled:
        if endpoint.state is EndpointState.DISABLED:
            yield Concern(f"“{_called(endpoint)}” is switched off: it failed too long.", "bad")
        else:
            yield Concern(f"“{_called(endpoint)}” does not answer; we go on trying.", "warn")
    lost = _count(
        session,
        Delivery.endpoint_id.in_(select(Endpoint.id).where(Endpoint.client_id == g.client.id)),
        Delivery.state == DeliveryState.EXHAUSTED,
        Delivery.created_at >= utcnow() - RECENT,
    )
    if lost:
        noun = "delivery was" if lost == 1 else "deliveries were"
        yield Concern(f"{words.many(lost)} {noun} given up this week.", "bad")


def _called(endpoint: Endpoint) -> str:
    return endpoint.name if endpoint.kind == "webhook" else endpoint.url


def _usage(session: Session) -> Iterator[Concern]:
    usage = session.get(Usage, (g.client.id, f"{utcnow():%Y-%m}"))
    if usage is None:
        return
    segments = usage.segments_in + usage.segments_out
    for used, allowed, noun in (
        (segments, g.client.alert_segments, "segments"),
        (usage.call_minutes, g.client.alert_call_minutes, "call minutes"),
    ):
        if allowed and used >= NEAR_THRESHOLD * allowed:
            colour = "bad" if used >= allowed else "warn"
            share = round(100 * used / allowed)
            yield Concern(f"{used:,} {noun} used this month, {share} % of what was agreed.", colour)
