"""How a batch is shown to client systems."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import select

from app.api.auth import Caller
from app.api.reading import Shape
from app.api.urls import owned
from app.domain.sending import call_retries, running
from app.extensions import db
from app.models.batch import Batch, BatchMember, BatchState
from app.models.communication import Communication
from app.models.message import Message
from app.models.route import Destination


class BatchMemberObject(Shape):
    """One member of a batch and what became of its first text, or its last call."""

    index: int = Field(description="From 0, in the order of the members.")
    member: dict[str, Any] | None
    message: str | None = Field(description="The message's id, once there is one.")
    to: str | None
    status: str | None


class BatchObject(Shape):
    """One run of a communication."""

    id: str
    name: str = Field(description="The communication's.")
    communication: str = Field(description="The communication's id.")
    state: BatchState
    reason: str | None = Field(
        description="Why it was refused, paused or canceled; or why its sender is held."
    )
    total: int = Field(description="Members, those included that get nothing.")
    counts: dict[str, int] = Field(
        description="Messages by their status; who was called again counts once."
    )
    eta: datetime | None = Field(
        description="When its last text goes out, by the sender's rate; null while it is held."
    )
    held_since: datetime | None = Field(
        description="Since when Twilio has refused the same for everybody, so that nothing more"
        " goes out until `try-one`, or until somebody resumes the number."
    )
    scheduled_at: datetime
    approval_asked_at: datetime | None = Field(
        description="Since when it has needed somebody else's approval; its members, texts and"
        " options are those of then. After 7 days without a decision it is refused."
    )
    decided_by: str | None = Field(description="Who approved or rejected it.")
    decided_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    members: list[BatchMemberObject] | None = Field(
        None, description="With `includemembers=true` only."
    )


def describe(caller: Caller, batch_id: str, with_members: bool = False) -> BatchObject:
    """Return a batch of the caller's client.

    :raises HttpProblem: 404 when there is none.
    """
    batch = owned(Batch, caller, batch_id, "batch")
    progress = running.progress(db.session(), batch)
    communication = db.session.get_one(Communication, batch.communication_id)
    return BatchObject(
        id=batch.id,
        name=communication.name,
        communication=communication.id,
        state=batch.state,
        reason=batch.reason or (progress.held.reason if progress.held else None),
        total=progress.total,
        counts=progress.counts,
        eta=progress.eta,
        held_since=progress.held.tripped_at if progress.held else None,
        scheduled_at=batch.scheduled_at,
        approval_asked_at=batch.approval_asked_at,
        decided_by=batch.decided_by,
        decided_at=batch.decided_at,
        started_at=batch.started_at,
        ended_at=batch.ended_at,
        members=members(batch) if with_members else None,
    )


def members(batch: Batch, after: int = -1, most: int | None = None) -> list[BatchMemberObject]:
    """List members in their order: what became of each, or that its turn is to come.

    :param after: only those behind this place.
    :param most: how many at most; all of them when None.
    """
    is_call = batch.plan.get("destination") == Destination.VOICE
    one_each = call_retries.is_last_try() if is_call else Message.step == 0
    made = db.session.scalars(
        select(Message)
        .where(Message.batch_id == batch.id, one_each, Message.position > after)
        .order_by(Message.position)
        .limit(most)
    )
    shown = {
        one.position or 0: BatchMemberObject(
            index=one.position or 0, member=one.member, message=one.id, to=one.to,
            status=one.public_status,
        )
        for one in made
    }  # fmt: skip
    waiting = db.session.scalars(
        select(BatchMember)
        .where(BatchMember.batch_id == batch.id, BatchMember.position > after)
        .order_by(BatchMember.position)
        .limit(most)
    )
    to_come = {
        one.position: BatchMemberObject(
            index=one.position, member=one.attributes, message=None, to=None, status=None
        )
        for one in waiting
    }
    return [one for _, one in sorted((to_come | shown).items())][:most]
