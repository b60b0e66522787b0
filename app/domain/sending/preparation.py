"""Making a batch's messages: each member's texts rendered, checked, and put into the lane.

What is said is pinned in a plan when the batch is started. Members come in chunks, each a
transaction of its own, so that a crash resumes where it stopped and writes nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from app.domain.reach import Refusal
from app.domain.relaying import announcements
from app.domain.sending import composing
from app.domain.sending.composing import Composed, Plan
from app.models.base import new_id, utcnow
from app.models.batch import Batch
from app.models.client import Client
from app.models.link import Link
from app.models.message import Message, MessageReport, MessageState
from app.models.sender import Sender

Numbered = tuple[int, Mapping[str, Any]]
"""A member: position from 0, and attributes."""


@dataclass
class _Chunk:
    """What is being written for some members of a batch, in one transaction."""

    batch: Batch
    plan: Plan
    sender: Sender
    now: datetime
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
            "error_message": refusal.sentence[:500],
        })  # fmt: skip

    def take(self, member: Numbered, one: Composed) -> None:
        """Put a member's texts into the lane, with their links."""
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
                "due_at": self.now if number == 0 else None,
                "reason": None,
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


def prepare(session: Session, batch: Batch, plan: Plan, members: Sequence[Numbered]) -> None:
    """Write the messages of some members, by position; the caller owns the transaction.

    A member whose phone or texts are at fault is refused alone, one whose phone is suppressed is
    marked so, and the same texts go to the same phone once.
    """
    chunk = _Chunk(batch, plan, composing.sender_of(session, batch), utcnow())
    client = session.get_one(Client, batch.client_id)
    composed = list(_compose(client, chunk, members))
    phones = {one.to for _, one in composed}
    known = _fingerprints(session, batch, phones)
    unreachable = composing.unreachable(session, plan, client, chunk.sender, phones)
    for member, one in composed:
        if one.to in unreachable:
            chunk.refuse(member, unreachable[one.to], one.to)
        elif one.fingerprint in known:
            chunk.refuse(member, Refusal("duplicate", composing.DUPLICATE, "to"), one.to)
        else:
            known.add(one.fingerprint)
            chunk.take(member, one)
    chunk.write(session)


def _compose(
    client: Client, chunk: _Chunk, members: Sequence[Numbered]
) -> Iterator[tuple[Numbered, Composed]]:
    """Yield what each member gets; those at fault are refused instead."""
    for member in members:
        try:
            yield member, composing.compose(chunk.plan, client, chunk.sender, member[1])
        except Refusal as refusal:
            chunk.refuse(member, refusal)


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
             "source": "dispatch", "details": {}}
            for row in rows
        ],
    )  # fmt: skip
    for message in session.scalars(select(Message).where(Message.id.in_([r["id"] for r in rows]))):
        announcements.problem(session, message, message.reason or "refused")
