"""The breaker, which asks no table: what is refused for everybody is not tried further.

The same code, refused for five different people in a row, holds what waits for a sender, whatever
the code means and whether anybody knows it: its texts, or its calls, each by a breaker of its own.
What is one phone's own (``recipient`` in the table) neither counts nor breaks the row, nor does
what is tried again by itself. Nothing goes out then until a person lets all of it go, or one
message ("try with one"): one that gets a SID, from Twilio's answer or from a callback, releases the
others.

Some troubles heal by themselves, and Twilio tells of them in reports only, of messages that it has
given a SID. Then one message goes by itself after a while; that it was sent on releases the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import BindParameter, ColumnElement, and_, case, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain import audit
from app.domain.relaying import notices
from app.domain.sending import lanes
from app.extensions import current_settings
from app.models.base import insert_into
from app.models.batch import Batch
from app.models.breaker import REASON_LENGTH, Breaker
from app.models.client import Client
from app.models.message import Message
from app.models.route import Destination
from app.models.sender import Sender
from app.twilio import errors
from app.twilio.errors import Action

IN_A_ROW = 5
"""Different people for whom the same code was refused."""
LATER = timedelta(hours=1)
"""How long after one message was let through by itself the next one is, if nothing was heard."""
NO_CODE = 0
NOTHING_HELD = "Nothing is held: what waits goes out."
_STOPPING = (Action.STOP_SENDER, Action.STOP_CREDENTIAL)
_CLOSED: dict[Any, Any] = {
    Breaker.code: None, Breaker.phones: None, Breaker.tripped_at: None, Breaker.reason: None,
    Breaker.heals: False, Breaker.trial_at: None, Breaker.trial_id: None,
}  # fmt: skip

Refusal = tuple[str, Message, int | None]
"""By the key of its breaker: a message, and the code with which Twilio has refused it."""


class Waiting(Protocol):
    """A message that waits, or an equal of it."""

    @property
    def destination(self) -> Destination:
        """Text or call."""

    @property
    def lane_key(self) -> str | None:
        """The lane it waits in."""

    @property
    def sender_id(self) -> str:
        """The number or service it goes out from."""


def key_of(message: Waiting) -> str:
    """Return the key of a message's breaker: a caller ID has its own, whoever shares its lane."""
    if message.destination is Destination.VOICE:
        return f"voice:{message.sender_id}"
    return message.lane_key or ""  # a reply by TwiML waits in none


def keys_of(sender: Sender) -> list[str]:
    """Return the keys of a sender's breakers, of its texts and of its calls."""
    return [lanes.text_lane(sender), f"voice:{sender.id}"]


def destination_of(found: Breaker) -> Destination:
    """Return what a breaker holds: texts or calls."""
    return Destination(found.key.partition(":")[0])


def key_of_batch(batch: Batch) -> str:
    """Return the key of the breaker of a batch's messages."""
    is_call = batch.plan.get("destination") == Destination.VOICE
    return f"voice:{batch.plan['sender_id']}" if is_call else batch.lane_key


def holds_no_message(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Return the condition on a Message that waits: nothing of its sender's is held now."""
    key = case(
        (Message.destination == Destination.VOICE, "voice:" + Message.sender_id),
        else_=Message.lane_key,
    )
    return key.not_in(_open(now))


def holds_no_batch(now: datetime) -> ColumnElement[bool]:
    """Return the condition on a Batch that nothing of its sender's is held now."""
    key = case(
        (Batch.lane_key.startswith("voice:"), "voice:" + Batch.plan["sender_id"].as_string()),
        else_=Batch.lane_key,
    )
    return key.not_in(_open(now))


def _open(now: datetime | BindParameter[datetime]) -> Any:
    """Return the query for the keys under which nothing may go, not even one message."""
    due = and_(Breaker.trial_at.is_not(None), Breaker.trial_at <= now)
    return select(Breaker.key).where(Breaker.tripped_at.is_not(None), ~due)


def held(session: Session, keys: Iterable[str]) -> list[Breaker]:
    """Return the breakers that hold what goes by these keys, whether or not one message may go."""
    query = select(Breaker).where(Breaker.key.in_(keys), Breaker.tripped_at.is_not(None))
    fresh = query.order_by(Breaker.key).execution_options(populate_existing=True)
    return list(session.scalars(fresh))


def held_batch(session: Session, batch: Batch) -> Breaker | None:
    """Return what holds the messages of a batch, if anything does."""
    return next(iter(held(session, [key_of_batch(batch)])), None)


def refused(session: Session, ended: Sequence[Refusal], at: datetime) -> None:
    """Count messages that Twilio has refused for good; hold their senders where that is enough.

    Breakers are locked in one order, so that two of these never wait for each other.

    :param ended: in the order in which they ended, and since anything of theirs was taken.
    """
    for key, message, code in sorted(ended, key=lambda one: one[0]):
        rule = errors.rule(code)
        if rule.action in _STOPPING:
            continue
        if rule.recipient:
            try_another(session, message.id, at)
            continue
        found = _lock(session, key, message)
        tried = found.trial_id == message.id
        if found.tripped_at is not None and not tried:
            continue
        before = (found.phones or []) if found.code == (code or NO_CODE) else []
        if message.to not in before:
            found.code, found.phones = code or NO_CODE, [*before, message.to][:IN_A_ROW]
        if tried:
            found.trial_id = None
            found.reason = _reason(f"One was tried, and Twilio refused it ({_named(code)})", rule)
        elif len(found.phones or ()) >= IN_A_ROW:
            said = f"Twilio refused the same for {IN_A_ROW} people in a row ({_named(code)})"
            _trip(session, found, message, _reason(said, rule), at)


def hold(session: Session, message: Message, code: int, until: datetime, at: datetime) -> None:
    """Hold the sender of ``message`` for what heals by itself; one is let through at ``until``."""
    sender = session.get_one(Sender, message.sender_id)
    found = _lock(session, key_of(message) or lanes.text_lane(sender), message)
    if found.tripped_at is None:
        found.heals = True
        reason = f"Twilio reports error {code}: {errors.explain(code)}"[:REASON_LENGTH]
        _trip(session, found, message, reason, at)
    if found.heals:
        found.trial_at, found.trial_id = until, None


def _lock(session: Session, key: str, message: Message) -> Breaker:
    sender_id = (
        message.sender_id if message.destination is Destination.VOICE else key.partition(":")[2]
    )
    session.execute(
        insert_into(session, Breaker)
        .values(key=key, sender_id=sender_id, heals=False)
        .on_conflict_do_nothing(index_elements=["key"])
    )
    return session.get_one(Breaker, key, with_for_update=True, populate_existing=True)


def _trip(session: Session, found: Breaker, message: Message, reason: str, at: datetime) -> None:
    found.tripped_at, found.reason = at, reason
    found.trial_at = found.trial_id = None
    sender = session.get_one(Sender, found.sender_id)
    client = session.get_one(Client, message.client_id)
    name = sender.name or sender.address
    what = "calls" if message.destination is Destination.VOICE else "texts"
    ahead = (
        "After a while one goes by itself; when it was sent on, the others follow."
        if found.heals
        else "When it has been mended, open the number's page and press “Try with one”: when"
        " Twilio takes that one, the others follow."
    )
    more = f" More: {errors.docs_url(found.code)}" if found.code else ""
    notices.notify(
        session,
        (client.owner_email, current_settings().support_email),
        f"Dispatch holds the {what} of {name}",
        f"{reason}\n\nNo more {what} go out from {name} for now; what waits goes on waiting."
        f" {ahead}{more}",
        dedupe_key=f"held:{found.key}:{at.isoformat()}"[:100],
    )


def _reason(said: str, rule: errors.Rule) -> str:
    return f"{said}: {rule.meaning}"[:REASON_LENGTH]


def _named(code: int | None) -> str:
    return f"error {code}" if code else "without a code"


def taken(session: Session, messages: Iterable[Message]) -> None:
    """Twilio has taken these: their rows are broken, and what they hold is released.

    Not what heals by itself: there a SID says nothing.
    """
    keys = {key_of(one) for one in messages if one.lane_key is not None}
    if keys:
        _close(session, Breaker.key.in_(keys), Breaker.code.is_not(None), ~Breaker.heals)


def sent_on(session: Session, message_ids: Collection[str]) -> None:
    """Twilio has sent these on to the carrier: what heals by itself, and tried one, has healed."""
    if message_ids:
        _close(session, Breaker.trial_id.in_(message_ids), Breaker.heals)


def _close(session: Session, *which: ColumnElement[bool] | InstrumentedAttribute[bool]) -> None:
    session.execute(
        update(Breaker).where(*which).values(_CLOSED).execution_options(synchronize_session=False)
    )


def admitted(session: Session, waiting: Iterable[Waiting], now: datetime) -> dict[str, int]:
    """Return, by key, how many of these may go of what is held: one, or none; others have no entry.

    Asked in the transaction that claims them, which alone is at work on their lane.
    """
    found = held(session, {key_of(one) for one in waiting})
    return {one.key: int(one.trial_at is not None and one.trial_at <= now) for one in found}


def begin_trial(session: Session, key: str, message_id: str, now: datetime) -> None:
    """Note that a breaker lets this message through now, if it holds anything still."""
    session.execute(
        update(Breaker)
        .where(Breaker.key == key, Breaker.tripped_at.is_not(None))
        .values(trial_id=message_id, trial_at=case((Breaker.heals, now + LATER), else_=None))
        .execution_options(synchronize_session=False)
    )


def try_another(session: Session, message_id: str, due_at: datetime) -> None:
    """Let another message be tried in the place of this one, which says nothing of its sender.

    :param due_at: from when.
    """
    session.execute(
        update(Breaker)
        .where(Breaker.trial_id == message_id, Breaker.tripped_at.is_not(None))
        .values(trial_at=due_at, trial_id=None)
        .execution_options(synchronize_session=False)
    )


def try_one(
    session: Session, keys: Iterable[str], client_id: str, actor: str, at: datetime
) -> bool:
    """Let one message go of what each of these keys holds; return whether they hold anything."""
    query = select(Breaker).where(Breaker.key.in_(keys), Breaker.tripped_at.is_not(None))
    found = session.scalars(query.order_by(Breaker.key).with_for_update()).all()
    for one in found:
        one.trial_at, one.trial_id = at, None
        audit.record(session, actor, "try with one", _whose(session, one), client_id)
    return bool(found)


def release(session: Session, keys: Iterable[str], client_id: str, actor: str) -> bool:
    """Let all go that these keys hold, because a person says so; return whether they hold any."""
    found = held(session, keys)
    for one in found:
        audit.record(session, actor, "release", _whose(session, one), client_id)
    _close(session, Breaker.key.in_([one.key for one in found]))
    return bool(found)


def _whose(session: Session, found: Breaker) -> str:
    what = "calls" if destination_of(found) is Destination.VOICE else "texts"
    return f"{what} of {session.get_one(Sender, found.sender_id).address}"
