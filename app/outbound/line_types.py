"""Twilio Lookup is asked what kind of line phones are, before their texts are prepared.

In a thread of its own, ahead of the preparation, which waits for the answers: a batch of others is
not held up. Every phone has an answer in the end. Where Twilio gives none, or cannot be asked, it
is "unknown", and the text goes out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import structlog
from flask import Flask, current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import aside, wake
from app.domain.audience import line_types
from app.domain.clients.accounts import client_by_id
from app.domain.reach import Refusal
from app.domain.sending import composing
from app.domain.wake import DRAIN_SECONDS
from app.extensions import db, unit_of_work
from app.models.audience import Member, people_of
from app.models.batch import Batch, BatchMember, BatchState
from app.models.chore import Chore, ChoreKind
from app.models.client import Client
from app.models.communication import Communication
from app.models.route import Destination
from app.models.sender import Sender
from app.outbound.background import background
from app.twilio.client import TwilioClient, TwilioFailure

log = structlog.get_logger(__name__)

RATE = 20.0
"""Questions a second, of all clients together."""
TOGETHER = 40
"""Phones whose answers are kept in one transaction."""
THREADS = 10
PAGE = 500
"""Members that are looked at together for phones that are not known yet."""
TIMEOUT = (3.0, 5.0)
"""Seconds to connect, and to wait for an answer."""
IN_A_ROW = 5
"""So many failures in a row, and Twilio is not asked for a while."""
LEFT_ALONE = 60.0


@dataclass(frozen=True)
class Asked:
    """For whom lines are looked up, and what goes out to them."""

    client: Client
    sender: Sender
    destination: Destination
    suppression_list_id: str | None


@dataclass
class _Trouble:
    """Whether Twilio Lookup answers at all, as this process has seen it."""

    failures: int = 0
    until: float = 0.0
    places: dict[str, int] = field(default_factory=dict)
    """Up to which position the phones of a batch are known."""


_trouble = _Trouble()


def start() -> None:
    """Have lines looked up that are waited for, beside the chores of the queue ``house``."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    background(app, "line types", drain).start()


def drain() -> None:
    """Look up until nothing is left, or the time is up."""
    end = time.monotonic() + DRAIN_SECONDS
    while turn() and not wake.stopping.is_set() and time.monotonic() < end:
        pass


def turn() -> bool:
    """Ask about some phones of each batch, and each list, that wants it; return if more may be."""
    batches, wishes = _batches(), _wishes()
    db.session.rollback()
    for gone in _trouble.places.keys() - set(batches):
        del _trouble.places[gone]
    done = aside.one_by_one("line types", batches, str, _ahead_of_batch)
    done += aside.one_by_one("line types", wishes, str, _for_list)
    return any(done)


def are_awaited(session: Session, asked: Asked, members: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether the lines of some members are still to be looked up before their texts."""
    if not line_types.are_wanted(asked.client, asked.destination):
        return False
    return bool(_unknown(session, asked, members))


def _batches() -> Sequence[str]:
    found = db.session.execute(
        select(Batch.id, Batch.plan)
        .join(Client, Client.id == Batch.client_id)
        .where(
            Batch.state == BatchState.PREPARING, Client.line_type_lookup,
            aside.free("line types", Batch.id),
        )
    )  # fmt: skip
    return [id_ for id_, plan in found if plan.get("destination") == Destination.SMS]


def _wishes() -> Sequence[str]:
    wanted = select(Chore.id).where(
        Chore.kind == ChoreKind.LINE_TYPES, aside.free("line types", Chore.id)
    )
    return db.session.scalars(wanted.order_by(Chore.due_at)).all()


def _ahead_of_batch(batch_id: str) -> bool:
    session = db.session()
    batch = session.get_one(Batch, batch_id)
    asked = Asked(
        session.get_one(Client, batch.client_id), composing.sender_of(session, batch),
        Destination.SMS, batch.plan["suppression_list_id"],
    )  # fmt: skip
    after = _trouble.places.get(batch_id, -1)
    rows = session.execute(
        select(BatchMember.position, BatchMember.attributes)
        .where(BatchMember.batch_id == batch_id, BatchMember.position > after)
        .order_by(BatchMember.position)
        .limit(PAGE)
    ).all()
    if _ask_some(session, asked, [row.attributes for row in rows]):
        return True
    if rows:
        _trouble.places[batch_id] = rows[-1].position
    return len(rows) == PAGE


def _for_list(chore_id: str) -> bool:
    """Ask about some people of a communication's list, as somebody wanted before a start."""
    session = db.session()
    chore = session.get(Chore, chore_id)
    communication = session.get(Communication, chore.subject) if chore else None
    if chore is None or communication is None or communication.population_id is None:
        _done(chore_id)
        return False
    asked = Asked(
        session.get_one(Client, communication.client_id),
        session.get_one(Sender, communication.sender_id),
        communication.destination, communication.suppression_list_id,
    )  # fmt: skip
    after, population_id = int(chore.after or 0), communication.population_id
    rows = session.execute(
        select(Member.id, Member.attributes)
        .where(people_of(population_id), Member.id > after)
        .order_by(Member.id)
        .limit(PAGE)
    ).all()
    if not line_types.are_wanted(asked.client, asked.destination):
        rows = []
    if _ask_some(session, asked, [row.attributes for row in rows]):
        return True
    if len(rows) < PAGE:
        _done(chore_id)
        return False
    with unit_of_work() as writing:
        if (fresh := writing.get(Chore, chore_id)) is not None:
            fresh.after = str(rows[-1].id)
    return True


def _done(chore_id: str) -> None:
    with unit_of_work() as session:
        if (chore := session.get(Chore, chore_id)) is not None:
            session.delete(chore)


def _unknown(session: Session, asked: Asked, members: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the phones that would be texted and of which Twilio has not been asked lately."""
    phones = set[str]()
    for attributes in members:
        try:
            phones.add(
                composing.phone_of(attributes, asked.client, asked.sender, asked.destination)
            )
        except Refusal:
            continue  # gets nothing anyway, and is told why when it is prepared
    found = line_types.missing(session, asked.client.id, phones)
    if found:
        found -= composing.unreachable(
            session, asked.destination, asked.suppression_list_id, asked.client, asked.sender, found
        ).keys()
    return sorted(found)


def _ask_some(session: Session, asked: Asked, members: Iterable[Mapping[str, Any]]) -> bool:
    """Ask about some phones that are not known; return whether there were any."""
    wanted = _unknown(session, asked, members)
    credential_id, client_id = asked.sender.credential_id, asked.client.id
    session.rollback()
    if not wanted:
        return False
    began = time.monotonic()
    answers = _answers(credential_id, wanted[:TOGETHER])
    with unit_of_work() as writing:
        line_types.keep(writing, client_id, answers)
    wake.stopping.wait(max(0.0, began + len(answers) / RATE - time.monotonic()))
    return True


def _answers(credential_id: str, phones: Sequence[str]) -> dict[str, str | None]:
    """Ask Twilio; None is the answer where there is none."""
    twilio = client_by_id(credential_id, TIMEOUT)
    db.session.rollback()
    if twilio is None or time.monotonic() < _trouble.until:
        return dict.fromkeys(phones)
    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(phones, pool.map(_asking(twilio), phones), strict=True))


def _asking(twilio: TwilioClient) -> Callable[[str], str | None]:
    def ask(phone: str) -> str | None:
        if time.monotonic() < _trouble.until:
            return None
        try:
            found = twilio.line_type(phone)
        except TwilioFailure as failure:
            _note_failure(failure)
            return None
        _trouble.failures = 0
        return found

    return ask


def _note_failure(failure: TwilioFailure) -> None:
    _trouble.failures += 1
    if _trouble.failures >= IN_A_ROW:
        _trouble.failures, _trouble.until = 0, time.monotonic() + LEFT_ALONE
        log.warning("Twilio Lookup is left alone for a while", error=str(failure))
