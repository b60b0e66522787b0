"""Making a batch's messages: each member's texts rendered, checked, and put into the lane.

What is said is pinned in a plan when the batch is started. Members come in chunks: rendered first,
then written in a transaction of their own, which is short, so that answers to Twilio need not wait
for it, and a crash resumes where it stopped and writes nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from app.domain.audience import dated
from app.domain.content import budget
from app.domain.reach import Refusal
from app.domain.relaying import announcements
from app.domain.sending import composing, recipient_hours
from app.domain.sending.composing import Composed, Plan
from app.domain.sending.recipient_hours import Opening
from app.domain.sending.twiml_rules import TwimlRules
from app.models.base import new_id, utcnow
from app.models.batch import Batch
from app.models.client import Client
from app.models.link import Link
from app.models.message import Message, MessageReport, MessageState
from app.models.sender import Sender

Numbered = tuple[int, Mapping[str, Any]]
"""A member: position from 0, and attributes."""


class Waiting(Protocol):
    """A member whose turn in preparation has come; see :class:`app.models.batch.BatchMember`."""

    @property
    def position(self) -> int:
        """From 0."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The person's."""

    @property
    def refusal(self) -> Mapping[str, Any] | None:
        """Why this member gets nothing, where that was told already."""


@dataclass
class _Chunk:
    """What is being written for some members of a batch, in one transaction."""

    batch: Batch
    plan: Plan
    sender: Sender
    now: datetime
    opening: Opening | None = None
    """When each phone may be reached, where the client has hours for that."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, member: Numbered, refusal: Refusal, to: str | None = None) -> None:
        """End one member's part, with the reason."""
        attributes = member[1]
        suppressed = refusal.code == "suppressed"
        self.rows.append({
            **self._common(member),
            "to": to or str(attributes.get("toPhone") or "")[:64].replace("\x00", ""),
            "body": None,
            "media": [],
            "segments": 0,
            "template_version_id": self.plan.steps[0].version_id,
            "step": 0,
            "step_after": None,
            "fingerprint": None,
            "state": MessageState.SUPPRESSED if suppressed else MessageState.REFUSED,
            "lane_key": None,
            "due_at": None,
            "reason": refusal.reason,
            "error_code": refusal.error_code,
            "error_message": refusal.sentence[:500],
        })  # fmt: skip

    def take(self, member: Numbered, one: Composed) -> None:
        """Put a member's texts into the lane, with their links; outside their hours, for later."""
        due_at = (self.opening(one.to) if self.opening else None) or self.now
        for number, (step, part) in enumerate(zip(self.plan.steps, one.texts, strict=True)):
            row = {
                **self._common(member),
                "to": one.to,
                "body": part.body,
                "media": list(part.media),
                "segments": part.segments,
                "template_version_id": step.version_id,
                "step": number,
                "step_after": step.after,
                "fingerprint": one.fingerprint if number == 0 else None,
                "state": MessageState.WAITING,
                "lane_key": self.batch.lane_key,
                "due_at": due_at if number == 0 else None,
                "reason": None,
                "error_code": None,
                "error_message": None,
            }
            self.rows.append(row)
            self.links += [
                {"code": link.code, "url": link.url, "message_id": row["id"],
                 "client_id": self.batch.client_id}
                for link in part.links
            ]  # fmt: skip

    def _common(self, member: Numbered) -> dict[str, Any]:
        position, attributes = member
        return {
            "id": new_id(),
            "client_id": self.batch.client_id,
            "destination": self.plan.destination,
            "sender_id": self.sender.id,
            "credential_id": self.sender.credential_id,
            "from_": self.sender.address,
            "member": dict(attributes),
            "communication_id": self.batch.communication_id,
            "batch_id": self.batch.id,
            "position": position,
            "suppression_list_id": self.plan.suppression_list_id,
            "options": self.plan.options,
        }

    def write(self, session: Session) -> None:
        """Store everything, and announce who gets nothing."""
        if self.rows:
            session.execute(insert(Message), self.rows)
        if self.links:
            session.execute(insert(Link), self.links)
        ended = [row for row in self.rows if row["state"] is not MessageState.WAITING]
        _announce(session, ended, self.now)


@dataclass(frozen=True)
class Judged:
    """What one member gets: texts, or nothing for a reason."""

    member: Numbered
    composed: Composed | None
    refusal: Refusal | None = None
    to: str | None = None


def compose(
    session: Session,
    plan: Plan,
    client: Client,
    sender: Sender,
    members: Sequence[Waiting],
    seconds: float,
) -> list[Judged]:
    """Render what members get, before any transaction that writes is opened.

    :param seconds: after about this time no further member is looked at.
    :returns: at least the first of them.
    """
    end = time.monotonic() + seconds
    rules = TwimlRules(session, client, sender)
    judged: list[Judged] = []
    for member in members:
        judged.append(_judge(plan, client, sender, member, rules))
        if time.monotonic() >= end:
            break
    return judged


def _judge(
    plan: Plan, client: Client, sender: Sender, waiting: Waiting, rules: TwimlRules
) -> Judged:
    member = waiting.position, waiting.attributes
    if waiting.refusal is not None:
        told = waiting.refusal
        refusal = Refusal(told["code"], told["sentence"], "to", told.get("errorCode"))
        return Judged(member, None, refusal, told.get("to"))
    with budget.fresh():  # what one person's values cost is no other's loss
        try:
            composed = composing.compose(plan, client, sender, waiting.attributes, rules)
        except Refusal as refusal:
            return Judged(member, None, refusal)
    return Judged(member, composed)


def write(session: Session, batch: Batch, plan: Plan, judged: Sequence[Judged]) -> None:
    """Write the messages of members that were judged; the caller owns the transaction.

    A member whose phone or texts are at fault is refused alone, one whose phone is suppressed is
    marked so, and the same texts go to the same phone once.
    """
    client = session.get_one(Client, batch.client_id)
    now = utcnow()
    opening = recipient_hours.opening(client, now)
    chunk = _Chunk(batch, plan, composing.sender_of(session, batch), now, opening)
    phones = {one.composed.to for one in judged if one.composed is not None}
    known = _fingerprints(session, batch, phones)
    unreachable = composing.unreachable(
        session, plan.destination, plan.suppression_list_id, client, chunk.sender, phones
    )
    new = _not_told_yet(session, batch, [phone for phone in phones if phone not in unreachable])
    for one in judged:
        if one.refusal is not None:
            chunk.refuse(one.member, one.refusal, one.to)
        elif one.composed is not None:
            _place(chunk, one.member, one.composed, unreachable, known, new)
    chunk.write(session)


def _place(
    chunk: _Chunk,
    member: Numbered,
    composed: Composed,
    unreachable: Mapping[str, Refusal],
    known: set[str],
    new: set[str] | None,
) -> None:
    """Give one member their texts, or the reason why not.

    :param new: the phones that have not been told of this date; None where it is about none.
    """
    if composed.to in unreachable:
        chunk.refuse(member, unreachable[composed.to], composed.to)
    elif composed.fingerprint in known:
        chunk.refuse(member, Refusal("duplicate", composing.DUPLICATE, "to"), composed.to)
    elif new is not None and composed.to not in new:
        told = composing.TOLD_BEFORE.format(date=chunk.plan.dated_on)
        chunk.refuse(member, Refusal("duplicate", told, "to"), composed.to)
    else:
        if new is not None:
            new.remove(composed.to)
        known.add(composed.fingerprint)
        chunk.take(member, composed)


def _not_told_yet(session: Session, batch: Batch, phones: Sequence[str]) -> set[str] | None:
    """Of a batch about a date, note whom it reaches; return those who had not been told of it."""
    about = dated.of_plan(batch.plan)
    if about is None:
        return None
    return dated.reserve(session, batch.client_id, batch.communication_id, about.date, phones)


def _fingerprints(session: Session, batch: Batch, numbers: set[str]) -> set[str]:
    """Return what has been put into the lane for these phones, by earlier chunks."""
    if not numbers:
        return set()
    found = session.scalars(
        select(Message.fingerprint).where(
            Message.lane_key == batch.lane_key,
            text("message.state IN ('waiting', 'claimed')"),
            Message.to.in_(numbers),
            Message.batch_id == batch.id,
            Message.fingerprint.is_not(None),
        )
    )
    return {one for one in found if one}


def _announce(session: Session, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    if not rows:
        return
    session.execute(
        insert(MessageReport),
        [
            {"message_id": row["id"], "at": now, "status": row["state"].value,
             "source": "dispatch", "error_code": row["error_code"], "details": {}}
            for row in rows
        ],
    )  # fmt: skip
    for message in session.scalars(select(Message).where(Message.id.in_([r["id"] for r in rows]))):
        announcements.problem(session, message, message.reason or "refused")
