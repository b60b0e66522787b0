"""Erasing a person: their words, their name and their phone go; what is needed stays.

Rows of the log stay as what they cost, without a word or a phone: bills are made from them, a
batch counts them, and Twilio's log would bring back a text whose SID we no longer knew. Opt-outs
stay: nobody is texted again because they asked to be forgotten.

It begins in one transaction, which refuses or promises, and is carried out some rows at a time; the
clock finishes what a process that died has left. A restored backup is rid of the same person again
(:mod:`app.domain.persons.repeating`), of what is older than the erasure.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.audience import members
from app.domain.mistakes import Refused
from app.domain.persons import digests, known, noting, pieces
from app.domain.persons.pieces import PAUSE, Gone, Person, Piece
from app.domain.phone_spellings import spellings
from app.domain.sending import journal
from app.extensions import db, unit_of_work
from app.models.base import new_id, utcnow
from app.models.delivery import Delivery, DeliveryState
from app.models.erasure import Erasure
from app.models.message import Message, MessageState

ON_ITS_WAY = (
    "A text or call to this phone is on its way, or what became of it is still being found out. Try"
    " again in half an hour, or decide it on its page."
)
BEING_TOLD = "One of your systems is being told of this person just now. Try again in a minute."
_UNDER_WAY = (MessageState.WAITING, MessageState.CLAIMED, MessageState.UNKNOWN)
_TOGETHER = 500

Receipt = dict[str, int]


def erase(client_id: str, phone: str, by: str) -> Receipt | None:
    """Erase a person from what a client knows; return how much went, by kind.

    Owns its transactions. Texts that wait are canceled. Their opt-outs stay, and each message as
    what it cost. The trail keeps that somebody was erased, when and by whom. None where nothing is
    known of them.

    :raises Refused: when something to them is under way just now; nothing has changed then.
    """
    reading: Session = db.session()
    person = Person(client_id, phone, utcnow())
    if not known.anything(reading, client_id, phone, person.at):
        reading.rollback()
        return None
    told = pieces.deliveries_about(reading, person)
    reading.rollback()
    with unit_of_work() as session:
        erasure_id = _begin(session, person, told, by)
    return finish(erasure_id)


def finish(erasure_id: str) -> Receipt:
    """Carry out an erasure that was begun, from wherever it stands; return how much went."""
    erasure = db.session.get_one(Erasure, erasure_id, populate_existing=True)
    person = Person(erasure.client_id, erasure.phone or "", erasure.at)
    db.session.rollback()
    if erasure.phone is None:
        return erasure.receipt
    for piece in pieces.repeated(person):
        while _do(erasure_id, piece):
            pass
    for piece in pieces.once(person):
        _do(erasure_id, piece)
    is_done = not known.anything(db.session(), person.client_id, person.phone, person.at)
    db.session.rollback()
    if is_done:
        noting.note([erasure_id])  # outside the database, before it counts as done
    with unit_of_work() as session:
        return _end(session, erasure_id, is_done=is_done)


def _do(erasure_id: str, piece: Piece) -> bool:
    """Do a piece, and write down how much went; return whether there was anything to do."""
    with unit_of_work() as session:
        gone = +piece(session)
        _count(session, erasure_id, gone)
    time.sleep(PAUSE)
    return bool(gone)


def carry_out(
    session: Session, person: Person, by: str, *, id_: str | None = None, digest: str | None = None
) -> str:
    """Write down that a person is to be erased, within the caller's transaction; return its id."""
    erasure = Erasure(
        id=id_ or new_id(), client_id=person.client_id, at=person.at, by=by, phone=person.phone,
        digest=digest or digests.of(person.phone), receipt={},
    )  # fmt: skip
    session.add(erasure)
    session.flush()
    return erasure.id


def _begin(session: Session, person: Person, told: Sequence[str], by: str) -> str:
    """Cancel what waits for them, and promise the rest.

    :raises Refused: while something is under way.
    """
    canceled = cancel(session, person)
    _settle(session, person)
    _withdraw(session, told)
    for population, _ in known.members(session, person.client_id, person.phone):
        members.refuse_reserved(population)
    erasure_id = carry_out(session, person, by)
    _count(session, erasure_id, canceled)
    return erasure_id


def cancel(session: Session, person: Person) -> Gone:
    """Send nothing more to them; nobody is told, since there is nobody left to tell of."""
    found = session.scalars(
        update(Message)
        .where(
            Message.client_id == person.client_id, Message.to.in_(spellings(person.phone)),
            Message.state == MessageState.WAITING, Message.created_at <= person.at,
        )
        .values(state=MessageState.CANCELED, reason="canceled")
        .returning(Message.id)
        .execution_options(synchronize_session=False)
    )  # fmt: skip
    return +Counter({"waiting texts canceled": len(found.all())})


def _settle(session: Session, person: Person) -> None:
    """Apply what Twilio has reported; refuse while a POST is under way or its end unknown."""
    mine = (
        Message.client_id == person.client_id, Message.to.in_(spellings(person.phone)),
    )  # fmt: skip
    ids = session.scalars(select(Message.id).where(*mine)).all()
    for first in range(0, len(ids), _TOGETHER):
        journal.apply_to(session, ids[first : first + _TOGETHER])
    session.flush()
    under_way = select(Message.id).where(*mine, Message.state.in_(_UNDER_WAY))
    if session.scalar(under_way.limit(1)) is not None:
        raise Refused.because(ON_ITS_WAY, "phone", code="under_way")


def _withdraw(session: Session, told: Sequence[str]) -> None:
    """Tell nobody of them any more; refuse while somebody is being told."""
    waiting = (DeliveryState.PENDING, DeliveryState.HELD)
    for first in range(0, len(told), _TOGETHER):
        some = Delivery.id.in_(told[first : first + _TOGETHER])
        session.execute(
            update(Delivery)
            .where(some, Delivery.state.in_(waiting))
            .values(state=DeliveryState.CANCELED, next_attempt_at=None)
            .execution_options(synchronize_session=False)
        )
        busy = select(Delivery.id).where(some, Delivery.state == DeliveryState.IN_FLIGHT)
        if session.scalar(busy.limit(1)) is not None:
            raise Refused.because(BEING_TOLD, "phone", code="under_way")


def _count(session: Session, erasure_id: str, gone: Gone) -> None:
    if gone:
        erasure = session.get_one(Erasure, erasure_id, with_for_update=True, populate_existing=True)
        erasure.receipt = dict(Counter(erasure.receipt) + gone)
        session.flush()


def _end(session: Session, erasure_id: str, *, is_done: bool) -> Receipt:
    """Note in the trail that it is done, once; what is not goes on by the clock."""
    erasure = session.get_one(Erasure, erasure_id, with_for_update=True, populate_existing=True)
    if is_done and erasure.done_at is None:
        erasure.phone, erasure.done_at = None, utcnow()
        details = {"digest": erasure.digest, **erasure.receipt}
        audit.record(session, erasure.by, "erase", "a person", erasure.client_id, details)
    return dict(erasure.receipt)


def open_since(before: datetime) -> Sequence[str]:
    """Return the erasures that were begun before and are not done."""
    found = db.session.scalars(
        select(Erasure.id)
        .where(Erasure.done_at.is_(None), Erasure.at < before)
        .order_by(Erasure.at)
        .limit(100)
    ).all()
    db.session.rollback()
    return found
