"""After a client's days of retention every copy of a text goes; counts for usage stay.

What has not ended is left alone: messages still to be sent, deliveries still on their way. Rows
go in small batches, each with a commit of its own, so that nobody waits for a lock and a crash
loses nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, Select, delete, exists, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain.clients import usage
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.client import DEFAULT_RETENTION_DAYS, Client
from app.models.communication import Callback
from app.models.delivery import Delivery, DeliveryAttempt, DeliveryState
from app.models.house import Bookmark, IdempotencyKey
from app.models.incoming import Incoming
from app.models.last_contact import LastContact
from app.models.link import Click, Link
from app.models.media import Media, Recording
from app.models.message import Message, MessageReport, MessageState

log = structlog.get_logger(__name__)

CHUNK = 200
"""Rows of the log in one transaction."""
LAST_CONTACT_DAYS = 365
IDEMPOTENCY_DAYS = 1
BOOKMARK = "retention"
PAUSE = timedelta(hours=6)
"""Between two passes of the clock; a pass is made in slices."""
SLICE_SECONDS = 1.0

_IN_FLIGHT = (MessageState.WAITING, MessageState.CLAIMED, MessageState.UNKNOWN)
_OPEN = (DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.HELD)

Step = Callable[[Session, datetime], Counter[str]]


def tick() -> None:
    """Do a slice of the work if a pass is due; for the clock, which has other things to do."""
    bookmark = db.session.get(Bookmark, BOOKMARK)
    if bookmark is not None and bookmark.at > utcnow() - PAUSE:
        return
    removed, finished = run(SLICE_SECONDS)
    if removed:
        log.info("retention", **removed)
    if finished:
        with unit_of_work() as session:
            session.merge(Bookmark(name=BOOKMARK, at=utcnow()))


def run(seconds: float | None = None) -> tuple[Counter[str], bool]:
    """Remove what is too old; return how many rows of each kind went, and whether all is done.

    :param seconds: stop after about this time; None goes on to the end.
    """
    usage.count()  # before what is counted goes
    now = utcnow()
    deadline = None if seconds is None else time.monotonic() + seconds
    removed: Counter[str] = Counter()
    for step in _steps(now):
        while True:
            with unit_of_work() as session:
                gone = step(session, now)
            removed += gone
            if not gone:
                break
            if deadline is not None and time.monotonic() > deadline:
                return removed, False
    return removed, True


def _steps(now: datetime) -> list[Step]:
    """Return the small transactions to repeat until they find nothing, in an order that fits."""
    clients = db.session.execute(select(Client.id, Client.retention_days)).all()
    db.session.rollback()
    steps: list[Step] = []
    for client_id, days in clients:
        cutoff = now - timedelta(days=days)
        steps.append(_for(_cancel_held, client_id, cutoff))
        steps.append(_for(_messages, client_id, cutoff))
        steps.append(_for(_incoming, client_id, cutoff))
        steps.append(_for(_deliveries, client_id, cutoff))
        steps.append(_for(_last_contact_bodies, client_id, cutoff))
    own = now - timedelta(days=DEFAULT_RETENTION_DAYS)
    steps += [_for(_deliveries, None, own), _last_contacts, _expired_media, _idempotency_keys]
    return steps


def _for(
    step: Callable[[Session, str | None, datetime], Counter[str]],
    client_id: str | None,
    cutoff: datetime,
) -> Step:
    return lambda session, _now: step(session, client_id, cutoff)


def _cancel_held(session: Session, client_id: str | None, cutoff: datetime) -> Counter[str]:
    """End what waits for a disabled endpoint for longer than the text may be kept."""
    ids = _ids(
        session,
        select(Delivery.id).where(
            Delivery.client_id == client_id,
            Delivery.created_at < cutoff,
            Delivery.state == DeliveryState.HELD,
            Delivery.give_up_at < utcnow(),
        ),
    )
    session.execute(
        update(Delivery)
        .where(Delivery.id.in_(ids), Delivery.state == DeliveryState.HELD)
        .values(state=DeliveryState.CANCELED, next_attempt_at=None)
        .execution_options(synchronize_session=False)
    )
    return +Counter(canceled=len(ids))


def _messages(session: Session, client_id: str | None, cutoff: datetime) -> Counter[str]:
    ids = _ids(
        session,
        select(Message.id)
        .where(
            Message.client_id == client_id,
            Message.created_at < cutoff,
            Message.state.not_in(_IN_FLIGHT),
            ~_has_open(Delivery.message_id == Message.id),
        )
        .order_by(Message.created_at),
    )
    if not ids:
        return Counter()
    removed = _with_deliveries(session, Delivery.message_id, ids)
    links = _all(session, select(Link.code).where(Link.message_id.in_(ids)))
    _delete(session, Click.code, links)
    _delete(session, Link.code, links)
    _delete(session, MessageReport.message_id, ids)
    _delete(session, Callback.message_id, ids)
    _delete(session, Media.message_id, ids)
    session.execute(
        update(Incoming)
        .where(Incoming.reply_id.in_(ids))
        .values(reply_id=None)
        .execution_options(synchronize_session=False)
    )
    _delete(session, Message.id, ids)
    return removed + Counter(messages=len(ids))


def _incoming(session: Session, client_id: str | None, cutoff: datetime) -> Counter[str]:
    ids = _ids(
        session,
        select(Incoming.id)
        .where(
            Incoming.client_id == client_id,
            Incoming.received_at < cutoff,
            ~_has_open(Delivery.incoming_id == Incoming.id),
        )
        .order_by(Incoming.received_at),
    )
    if not ids:
        return Counter()
    removed = _with_deliveries(session, Delivery.incoming_id, ids)
    _delete(session, Media.incoming_id, ids)
    _delete(session, Incoming.id, ids)
    return removed + Counter(incoming=len(ids))


def _deliveries(session: Session, client_id: str | None, cutoff: datetime) -> Counter[str]:
    ids = _ids(
        session,
        select(Delivery.id).where(
            Delivery.client_id == client_id,
            Delivery.created_at < cutoff,
            Delivery.state.not_in(_OPEN),
        ),
    )
    _delete(session, DeliveryAttempt.delivery_id, ids)
    _delete(session, Delivery.id, ids)
    return +Counter(deliveries=len(ids))


def _with_deliveries(
    session: Session, column: InstrumentedAttribute[str | None], ids: Sequence[str]
) -> Counter[str]:
    """Remove the deliveries that tell of these rows, with their attempts; all have ended."""
    deliveries = _all(session, select(Delivery.id).where(column.in_(ids)))
    _delete(session, DeliveryAttempt.delivery_id, deliveries)
    _delete(session, Delivery.id, deliveries)
    return Counter(deliveries=len(deliveries))


def _last_contact_bodies(session: Session, client_id: str | None, cutoff: datetime) -> Counter[str]:
    """Empty the text of who was written to last; who that was is kept longer."""
    old = (
        select(LastContact.phone, LastContact.sender_id)
        .where(
            LastContact.client_id == client_id,
            LastContact.sent_at < cutoff,
            LastContact.body.is_not(None),
        )
        .limit(CHUNK)
    )
    found = session.execute(old).all()
    for phone, sender_id in found:
        session.execute(
            update(LastContact)
            .where(
                LastContact.client_id == client_id,
                LastContact.phone == phone,
                LastContact.sender_id == sender_id,
                LastContact.sent_at < cutoff,
            )
            .values(body=None)
            .execution_options(synchronize_session=False)
        )
    return +Counter(last_contact_bodies=len(found))


def _last_contacts(session: Session, now: datetime) -> Counter[str]:
    limit = now - timedelta(days=LAST_CONTACT_DAYS)
    old = select(LastContact.client_id, LastContact.phone, LastContact.sender_id)
    found = session.execute(old.where(LastContact.sent_at < limit).limit(CHUNK)).all()
    for client_id, phone, sender_id in found:
        session.execute(
            delete(LastContact)
            .where(
                LastContact.client_id == client_id,
                LastContact.phone == phone,
                LastContact.sender_id == sender_id,
                LastContact.sent_at < limit,
            )
            .execution_options(synchronize_session=False)
        )
    return +Counter(last_contacts=len(found))


def _expired_media(session: Session, now: datetime) -> Counter[str]:
    in_use = exists().where(Recording.media_code == Media.code)
    codes = _ids(session, select(Media.code).where(Media.expires_at < now, ~in_use))
    _delete(session, Media.code, codes)
    return +Counter(media=len(codes))


def _idempotency_keys(session: Session, now: datetime) -> Counter[str]:
    """The answers kept for repeats of API requests hold texts as well."""
    limit = now - timedelta(days=IDEMPOTENCY_DAYS)
    found = session.execute(
        select(IdempotencyKey.client_id, IdempotencyKey.key)
        .where(IdempotencyKey.created_at < limit)
        .limit(CHUNK)
    ).all()
    for client_id, key in found:
        session.execute(
            delete(IdempotencyKey)
            .where(
                IdempotencyKey.client_id == client_id,
                IdempotencyKey.key == key,
                IdempotencyKey.created_at < limit,
            )
            .execution_options(synchronize_session=False)
        )
    return +Counter(idempotency_keys=len(found))


def _has_open(tells_of: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(tells_of, Delivery.state.in_(_OPEN))


def _ids(session: Session, statement: Select[str]) -> list[str]:
    return list(session.scalars(statement.limit(CHUNK)))


def _all(session: Session, statement: Select[str]) -> list[str]:
    return list(session.scalars(statement))


def _delete(
    session: Session,
    column: InstrumentedAttribute[str] | InstrumentedAttribute[str | None],
    values: Sequence[str],
) -> None:
    if values:
        session.execute(
            delete(column.class_)
            .where(column.in_(values))
            .execution_options(synchronize_session=False)
        )
