"""What came in gets the price that Twilio names for it in its log, some hours later.

No webhook tells a price. Each account is looked at every few hours: what has no price yet is gone
through, oldest first, a slice of time after the other, and Twilio's log of that time is listed.
What Twilio has not priced either waits for the next look, for some days; then the estimate stays.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, select, update

from app.domain import aside, wake
from app.domain.clients.accounts import client_by_id
from app.domain.clients.prices import CURRENCY
from app.extensions import db, redis_client, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.credential import Credential
from app.models.house import Bookmark
from app.models.incoming import Incoming
from app.models.route import Destination
from app.models.sender import Sender
from app.twilio import results
from app.twilio.client import TwilioClient
from app.twilio.failures import TwilioFailure

log = structlog.get_logger(__name__)

EVERY = timedelta(hours=3)
YOUNGEST = timedelta(hours=2)
"""Twilio needs some time to name a price."""
OLDEST = timedelta(days=4)
"""What has no price by then will hardly get one."""
SLICE = timedelta(hours=1)
SHORTEST = timedelta(minutes=1)
MARGIN = timedelta(minutes=1)
"""Twilio's times and ours differ by as much as its request and our fallback URL may take."""
A_FEW = 5
"""Up to so many numbers are asked about one by one, so that what we send is not read as well."""
MOST = 2000
"""Texts, or calls, read by one question; where there are more, the slice is made shorter."""
EVERYTHING = 20_000
MOST_ROWS = 5000
"""Of one account in one job; the rest waits for the next one."""


@dataclass(frozen=True)
class _Unpriced:
    """What came in and has no price yet."""

    sid: str
    to: str
    destination: Destination
    received_at: datetime


def tick() -> None:
    """Look at every account that is due; a job of the queue ``house``.

    After some seconds it hands over to a new job, behind the others that wait.
    """
    end = time.monotonic() + wake.DRAIN_SECONDS
    for credential_id in _due():
        finished = True  # also where it fails, until the next look: others must not wait behind it
        with aside.set_aside("prices", credential_id):
            try:
                finished = _look(credential_id, end)
            except TwilioFailure as failure:
                log.warning("prices cannot be had", credential=credential_id, error=str(failure))
        if finished:
            with unit_of_work() as session:
                session.execute(delete(Bookmark).where(Bookmark.name == _reached(credential_id)))
        if not _in_time(end):
            wake.enqueue_job("house", "app.inbound.afterwards.pricing.tick", redis_client())
            return


def _begun(credential_id: str) -> str:
    return f"prices:{credential_id}"


def _reached(credential_id: str) -> str:
    return f"prices reached:{credential_id}"


def _in_time(end: float) -> bool:
    return time.monotonic() < end and not wake.stopping.is_set()


def _due() -> list[str]:
    """Return whose last look is long ago, or has not ended; the longest ago first."""
    marks = {one.name: one.at for one in db.session.scalars(select(Bookmark))}
    credentials = db.session.scalars(
        select(Credential.id).join(Client, Client.id == Credential.client_id)
        .where(
            Client.twilio_enabled,
            Credential.unconfirmed_since.is_(None),
            aside.free("prices", Credential.id),
        )
        .order_by(Credential.id)
    ).all()  # fmt: skip
    db.session.rollback()
    never = utcnow() - 2 * EVERY
    last = {one: marks.get(_begun(one), never) for one in credentials}
    due = [one for one in last if last[one] <= utcnow() - EVERY or _reached(one) in marks]
    return sorted(due, key=lambda one: last[one])


def _look(credential_id: str, end: float) -> bool:
    """Price what an account's numbers got; return whether all has been gone through.

    :raises TwilioFailure: when Twilio refuses, or cannot be asked.
    """
    with unit_of_work() as session:  # first, so that a second clock does not do it as well
        session.merge(Bookmark(name=_begun(credential_id), at=utcnow()))
    rows = _unpriced(credential_id)
    if not rows:
        return True
    finished = len(rows) < MOST_ROWS
    twilio = client_by_id(credential_id)
    db.session.rollback()
    if twilio is None:
        return True
    length = SLICE
    while rows:
        part = [one for one in rows if one.received_at <= rows[0].received_at + length]
        limit = MOST if length > SHORTEST else EVERYTHING
        prices, cut = _listed(twilio, part, limit)
        if cut and length > SHORTEST:
            length = max(length / 4, SHORTEST)
            continue
        _note(prices)
        with unit_of_work() as session:
            session.merge(Bookmark(name=_reached(credential_id), at=part[-1].received_at))
        rows = rows[len(part) :]
        if not _in_time(end):
            break
    return finished and not rows


def _unpriced(credential_id: str) -> Sequence[_Unpriced]:
    """Read what has no price, oldest first, from where the last job ended."""
    now = utcnow()
    reached = db.session.get(Bookmark, _reached(credential_id))
    start = max(reached.at, now - OLDEST) if reached else now - OLDEST
    senders = select(Sender.id).where(Sender.credential_id == credential_id)
    rows = db.session.execute(
        select(Incoming.sid, Incoming.to, Incoming.destination, Incoming.received_at)
        .where(
            Incoming.sender_id.in_(senders),
            Incoming.price.is_(None),
            Incoming.received_at > start,
            Incoming.received_at < now - YOUNGEST,
        )
        .order_by(Incoming.received_at)
        .limit(MOST_ROWS)
    ).all()
    db.session.rollback()
    return [_Unpriced(*row) for row in rows]


def _listed(
    twilio: TwilioClient, part: Sequence[_Unpriced], limit: int
) -> tuple[dict[str, float], bool]:
    """Return the prices that Twilio's log names by SID, and whether the log has more to read."""
    after, before = part[0].received_at - MARGIN, part[-1].received_at + MARGIN
    wanted = {one.sid for one in part}
    prices: dict[str, float] = {}
    cut = False
    for destination in Destination:
        numbers = sorted({one.to for one in part if one.destination is destination})
        for number in numbers if len(numbers) <= A_FEW else [None]:
            listed = _ask(twilio, destination, number, after, before, limit)
            cut = cut or len(listed) >= limit
            prices.update(
                (one.sid, abs(float(one.price)))
                for one in listed
                if one.sid in wanted and one.price is not None and _in_our_currency(one)
            )
        if cut:
            break
    return prices, cut


def _ask(
    twilio: TwilioClient, destination: Destination, to: str | None,
    after: datetime, before: datetime, limit: int,
) -> Sequence[results.Message | results.Call]:  # fmt: skip
    if destination is Destination.VOICE:
        calls = twilio.list_calls(
            to=to, started_after=after, started_before=before, limit=limit, page_size=1000
        )
        return list(calls)
    texts = twilio.list_messages(
        to=to, sent_after=after, sent_before=before, limit=limit, page_size=1000
    )
    return list(texts)


def _in_our_currency(one: results.Message | results.Call) -> bool:
    """Months are summed up in one currency; an account billed in another keeps the estimate."""
    return (one.price_unit or CURRENCY).upper() == CURRENCY


def _note(prices: dict[str, float]) -> None:
    """Write the prices; what has got one meanwhile stays as it is, and is not counted again."""
    with unit_of_work() as session:
        for sid, price in sorted(prices.items()):
            session.execute(
                update(Incoming)
                .where(Incoming.sid == sid, Incoming.price.is_(None))
                .values(price=price)
                .execution_options(synchronize_session=False)
            )
