"""A database that may have been restored, looked over by what Twilio has sent.

Twilio's log of what went out is read from the database's newest time on. What the database does not
know and what waits in it are the same messages, as many as there are of one text to one phone, in
the order in which they were sent and would be sent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, or_, select

from app.domain import clocks, wake
from app.domain.clients.accounts import by_account
from app.domain.restoring import hold
from app.domain.sending import statuses
from app.extensions import db, redis_client, unit_of_work
from app.models.base import utcnow
from app.models.batch import Batch
from app.models.incoming import Incoming
from app.models.installation import Hold
from app.models.message import Direction, Message, MessageState
from app.models.route import Destination
from app.outbound.afterwards.sent_log import Sent, sent_by, words_of
from app.twilio.client import TwilioFailure

log = structlog.get_logger(__name__)

MARGIN = timedelta(hours=1)
"""How far before the database's newest time the look begins."""
TOGETHER = 100


@dataclass
class Reading:
    """What Twilio's log says, from ``since`` on."""

    since: datetime
    sent: int = 0
    """How many texts and calls of our senders went out."""
    ours: list[tuple[str, Sent]] = field(default_factory=list)
    """Those that the database takes for not sent, each with the message that it is."""
    strangers: list[Sent] = field(default_factory=list)
    """Those of which it knows nothing at all."""
    unasked: list[str] = field(default_factory=list)
    """Why an account could not be asked, in a sentence each."""

    @property
    def complete(self) -> bool:
        """Whether every account has told all that it has."""
        return not self.unasked


def newest_time() -> datetime:
    """Return the last time of which the database knows, though none that has not come yet."""
    now = utcnow()
    times = [
        db.session.scalar(select(func.max(column)).where(column <= now))
        for column in (Message.updated_at, Incoming.updated_at, Message.created_at)
    ]
    db.session.rollback()
    return max((at for at in times if at is not None), default=now)


def look() -> Hold | None:
    """Compare with what is noted; where nothing is noted at all, with Twilio's log as well.

    A database that lost its marks and knows all that Twilio has is no restored one.

    :returns: why nothing may be sent; None when all is well.
    """
    found = hold.look()
    if found is not Hold.NO_MARK:
        return found
    reading = read(newest_time() - MARGIN)
    if reading.complete and not reading.ours and not reading.strangers:
        hold.release("dispatch", "Twilio's log has nothing that the database does not know.")
        return None
    return found


def watch() -> None:
    """Look whether the database went back; what takes long is done by a job of ``house``."""
    if hold.look() is Hold.NO_MARK:
        wake.enqueue_job("house", "app.outbound.afterwards.restored.tick", redis_client())


def tick() -> None:
    """Release a database that lost its marks once Twilio's log shows nothing that it lacks."""
    look()


def read(since: datetime) -> Reading:
    """Read what went out since then, in every account, and find what the database lacks."""
    reading = Reading(since)
    sent: list[Sent] = []
    for account_sid, ways in by_account().items():
        try:
            sent.extend(sent_by(account_sid, ways, since))
        except TwilioFailure as failure:
            reading.unasked.append(f"{account_sid}: {failure}")
    reading.sent = len(sent)
    unknown = _unknown(sent)
    unknown.reverse()  # within one of Twilio's whole seconds its order counts, the newest first
    unknown.sort(key=lambda one: one.at or since)
    reading.ours, reading.strangers = _match(unknown, _open_messages(unknown, since))
    return reading


def take_in(reading: Reading) -> int:
    """Give each message the SID under which it was sent; return how many got theirs."""
    taken = 0
    for first in range(0, len(reading.ours), TOGETHER):
        with unit_of_work() as session:
            for message_id, sent in reading.ours[first : first + TOGETHER]:
                moved = statuses.record_report(session, message_id, sent.report)
                taken += moved is not None and moved.sid == sent.sid
    return taken


def _unknown(sent: Sequence[Sent]) -> list[Sent]:
    known: set[str | None] = set()
    for first in range(0, len(sent), 500):
        sids = [one.sid for one in sent[first : first + 500]]
        known.update(db.session.scalars(select(Message.sid).where(Message.sid.in_(sids))))
    db.session.rollback()
    return [one for one in sent if one.sid not in known]


@dataclass(frozen=True)
class _Open:
    """A message that waits, or of which nobody knows whether it is out."""

    id: str
    wanted_at: datetime
    """When it was asked for: it, or the batch that it is of."""

    def may_be(self, sent: Sent) -> bool:
        """Tell whether it was asked for before that was sent; else it is asked for once more."""
        return sent.at is None or self.wanted_at <= sent.at + clocks.MOST_APART


Key = tuple[Destination, str, str, str]
Queues = Mapping[Key, list[_Open]]


def _match(unknown: Sequence[Sent], queues: Queues) -> tuple[list[tuple[str, Sent]], list[Sent]]:
    """Find the message that each is: the first of the same words to the same phone, in order."""
    ours, strangers = [], []
    for one in unknown:
        queue = queues.get((one.destination, one.sender_id, one.to, one.words), [])
        found = next((message for message in queue if message.may_be(one)), None)
        if found is None:
            strangers.append(one)
        else:
            queue.remove(found)
            ours.append((found.id, one))
    return ours, strangers


def _open_messages(unknown: Sequence[Sent], since: datetime) -> Queues:
    """Return what may have been sent, by what tells it apart, in the order of sending."""
    phones = sorted({one.to for one in unknown})
    senders = {one.sender_id for one in unknown}
    found: dict[Key, list[_Open]] = defaultdict(list)
    wanted_at = func.coalesce(Batch.created_at, Message.created_at)
    under_way = Message.state.in_((MessageState.CLAIMED, MessageState.UNKNOWN))
    for first in range(0, len(phones), 500):
        rows = db.session.execute(
            select(Message, wanted_at)
            .outerjoin(Batch, Batch.id == Message.batch_id)
            .where(
                Message.sender_id.in_(senders),
                Message.to.in_(phones[first : first + 500]),
                or_(
                    Message.state == MessageState.WAITING,
                    under_way & (Message.claimed_at >= since),
                ),
                Message.sid.is_(None),
                Message.direction == Direction.API,
            )
        ).all()
        for message, wanted in sorted(rows, key=lambda row: _place(row[0])):
            is_text = message.destination is Destination.SMS
            words = words_of(message.body or "") if is_text else ""
            key = (message.destination, message.sender_id, message.to, words)
            found[key].append(_Open(message.id, wanted))
        db.session.expunge_all()
    db.session.rollback()
    return found


def _place(message: Message) -> tuple[bool, datetime, int, int, str]:
    due = message.due_at
    return (
        due is None, due or message.created_at, message.position or 0, message.step, message.id,
    )  # fmt: skip
