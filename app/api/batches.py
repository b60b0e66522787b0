"""Batches: runs of a communication, for its population or for members given at once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.api.auth import Caller
from app.api.idempotency import once
from app.api.operation import Answer, operation
from app.api.problem import Refusal as ApiRefusal
from app.api.reading import Shape
from app.api.shapes import MemberObject
from app.api.urls import Url, owned, url
from app.domain import mistakes
from app.domain.reach import Refusal
from app.domain.relaying import callbacks
from app.domain.sending import call_retries, communications, running
from app.domain.specs import Instant
from app.domain.wake import wake
from app.extensions import db
from app.models.batch import Batch, BatchMember, BatchState
from app.models.communication import Communication
from app.models.credential import Scope
from app.models.message import Message
from app.models.route import Destination

MAX_ADHOCS = 10_000


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
    started_at: datetime | None
    ended_at: datetime | None
    members: list[BatchMemberObject] | None = Field(
        None, description="With `includemembers=true` only."
    )


class RefusedMember(Shape):
    """A member that gets nothing."""

    index: int = Field(description="From 0, in the order of `members`.")
    reason: str = Field(description="`invalid_phone`, `not_allowed` or `suppressed`.")
    message: str


class AdhocsBody(Shape):
    """Members that are in no population."""

    members: list[MemberObject] = Field(min_length=1, max_length=MAX_ADHOCS)
    include_batch_response: bool = False


class AdhocsObject(Shape):
    """The batch that was made for them."""

    batch: Url | BatchObject = Field(description="Its URL, or all of it when asked for.")
    refused: list[RefusedMember]


class StartBody(Shape):
    """When to begin."""

    at: Instant | None = Field(
        None, description="With its zone, such as `2026-11-22T09:00:00-06:00`; now if not given."
    )


class BatchQuery(Shape):
    """How much to show."""

    includemembers: bool = Field(False, alias="includemembers")


@operation(
    "POST",
    "/communications/<communication_id>/adhocs",
    Scope.SEND,
    {201: AdhocsObject},
    problems=(409,),
    example={
        "members": [{"toName": "Ann", "toPhone": "+13195550150", "course": "Chemistry"}],
        "includeBatchResponse": False,
    },
)
def adhocs(caller: Caller, communication_id: str, body: AdhocsBody) -> Answer:
    """Send a communication to members given here, at once.

    Members whose phone is invalid, suppressed or not allowed are named in `refused` and counted;
    the others go out. Of whom the template cannot be filled in for, `message.problem` tells
    (`template_error`). `Location` is the batch's URL.
    """
    members = [one.root for one in body.members]
    communication = owned(Communication, caller, communication_id, "communication")
    refused = communications.judge_phones(db.session(), communication, members)

    def make(session: Session) -> Answer:
        communication = owned(Communication, caller, communication_id, "communication")
        try:
            if wrong := callbacks.structured_for(session, communication, members):
                raise mistakes.Refused(wrong)
            batch = communications.start_adhoc(
                session, communication, members, caller.actor, refused
            )
        except Refusal as refusal:
            raise _refused(refusal) from None
        session.flush()
        address = url("batches", batch.id)
        shown = _describe(caller, batch.id) if body.include_batch_response else address
        named = [
            RefusedMember(
                index=one.position, reason=one.refusal.reason, message=one.refusal.sentence
            )
            for one in refused
        ]
        return Answer(201, AdhocsObject(batch=shown, refused=named), {"Location": address})

    return _waking(once(caller, body, make))


@operation(
    "POST",
    "/communications/<communication_id>/batches",
    Scope.SEND,
    {202: BatchObject},
    problems=(409,),
    example={},
    body_optional=True,
)
def start(caller: Caller, communication_id: str, body: StartBody) -> Answer:
    """Start a communication for its population, now or later.

    The members are those at the time it begins.
    """

    def make(session: Session) -> Answer:
        communication = owned(Communication, caller, communication_id, "communication")
        try:
            batch = communications.start_batch(session, communication, caller.actor, body.at)
        except Refusal as refusal:
            raise _refused(refusal) from None
        session.flush()
        return Answer(202, _describe(caller, batch.id), {"Location": url("batches", batch.id)})

    return _waking(once(caller, body, make))


@operation("GET", "/batches/<batch_id>", Scope.READ, {200: BatchObject})
def show(caller: Caller, batch_id: str, query: BatchQuery) -> BatchObject:
    """Show how far a batch is."""
    return _describe(caller, batch_id, query.includemembers)


@operation("POST", "/batches/<batch_id>/pause", Scope.SEND, {200: BatchObject}, problems=(409,))
def pause(caller: Caller, batch_id: str) -> Answer:
    """Stop sending for now; it takes effect within two seconds."""
    return _move(caller, batch_id, running.pause)


@operation("POST", "/batches/<batch_id>/resume", Scope.SEND, {200: BatchObject}, problems=(409,))
def resume(caller: Caller, batch_id: str) -> Answer:
    """Go on after a pause."""
    return _move(caller, batch_id, running.resume)


@operation("POST", "/batches/<batch_id>/cancel", Scope.SEND, {200: BatchObject}, problems=(409,))
def cancel(caller: Caller, batch_id: str) -> Answer:
    """Stop for good; what has not gone out yet does not."""
    return _move(caller, batch_id, running.cancel)


@operation("POST", "/batches/<batch_id>/try-one", Scope.SEND, {200: BatchObject}, problems=(409,))
def try_one(caller: Caller, batch_id: str) -> Answer:
    """Let one message of a held sender go; when Twilio takes it, the others follow."""
    return _move(caller, batch_id, running.try_one)


def _move(caller: Caller, batch_id: str, change: Any) -> Answer:
    def make(session: Session) -> Answer:
        batch = owned(Batch, caller, batch_id, "batch")
        try:
            change(session, batch, caller.actor)
        except Refusal as refusal:
            raise _refused(refusal) from None
        session.flush()
        return Answer(200, _describe(caller, batch_id))

    return _waking(once(caller, None, make))


def _waking(answer: Answer) -> Answer:
    for queue in ("house", "send", "relay"):
        wake(queue)
    return answer


def _refused(refusal: Refusal) -> ApiRefusal:
    """Say why it cannot be done: 403 where the client may not send at all, else 409."""
    return ApiRefusal(403 if refusal.field == "client" else 409, refusal.sentence)


def _describe(caller: Caller, batch_id: str, with_members: bool = False) -> BatchObject:
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
        started_at=batch.started_at,
        ended_at=batch.ended_at,
        members=_members(batch) if with_members else None,
    )


def _members(batch: Batch) -> list[BatchMemberObject]:
    """List the members: those with messages, then those whose turn in preparation is to come."""
    is_call = batch.plan.get("destination") == Destination.VOICE
    one_each = call_retries.is_last_try() if is_call else Message.step == 0
    made = db.session.scalars(
        select(Message).where(Message.batch_id == batch.id, one_each).order_by(Message.position)
    )
    shown = [
        BatchMemberObject(
            index=one.position or 0, member=one.member, message=one.id, to=one.to,
            status=one.public_status,
        )
        for one in made
    ]  # fmt: skip
    known = {one.index for one in shown}
    waiting = db.session.scalars(
        select(BatchMember).where(BatchMember.batch_id == batch.id).order_by(BatchMember.position)
    )
    return shown + [
        BatchMemberObject(
            index=one.position, member=one.attributes, message=None, to=None, status=None
        )
        for one in waiting
        if one.position not in known
    ]
