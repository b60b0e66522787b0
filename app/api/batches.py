"""Batches: runs of a communication, for its population or for members given at once."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import Field, StringConstraints
from sqlalchemy.orm import Session

from app.api.auth import Caller
from app.api.batch_objects import BatchMemberObject, BatchObject, describe, members
from app.api.idempotency import once
from app.api.operation import Answer, operation
from app.api.paging import CursorQuery, Page, read_cursor, write_cursor
from app.api.problem import HttpProblem
from app.api.reading import Shape
from app.api.shapes import MemberObject
from app.api.urls import Url, owned, url
from app.domain import mistakes
from app.domain.reach import Refusal
from app.domain.relaying import callbacks
from app.domain.sending import approval, communications, running
from app.domain.specs import Instant
from app.domain.wake import wake
from app.extensions import db
from app.models.batch import Batch
from app.models.communication import Communication
from app.models.credential import Scope

MAX_ADHOCS = 10_000


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


class RejectBody(Shape):
    """Why a batch must not go out."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True)] = Field(
        min_length=1, max_length=approval.MOST_REASON
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
    (`template_error`). `Location` is the batch's URL. More members than the client's
    `approvalAbove` wait, `awaiting_approval`, until somebody else approves.
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
        shown = describe(caller, batch.id) if body.include_batch_response else address
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

    The members are those at the time it begins. Where there are more than the client's
    `approvalAbove`, it is `awaiting_approval` first, and they are those of now.
    """

    def make(session: Session) -> Answer:
        communication = owned(Communication, caller, communication_id, "communication")
        try:
            batch = communications.start_batch(session, communication, caller.actor, body.at)
        except Refusal as refusal:
            raise _refused(refusal) from None
        session.flush()
        return Answer(202, describe(caller, batch.id), {"Location": url("batches", batch.id)})

    return _waking(once(caller, body, make))


@operation("GET", "/batches/<batch_id>", Scope.READ, {200: BatchObject})
def show(caller: Caller, batch_id: str, query: BatchQuery) -> BatchObject:
    """Show how far a batch is."""
    return describe(caller, batch_id, query.includemembers)


@operation(
    "GET", "/batches/<batch_id>/members", Scope.READ, {200: Page[BatchMemberObject]}, csv=True
)
def show_members(caller: Caller, batch_id: str, query: CursorQuery) -> Page[BatchMemberObject]:
    """List the members of a batch, in their order, and what became of each.

    Those whose message is still to be prepared have none yet.
    """
    batch = owned(Batch, caller, batch_id, "batch")
    collection = f"members of {batch.id}"
    after = -1 if query.cursor is None else read_cursor(query.cursor, collection)
    found = members(batch, after, query.limit + 1)
    shown = found[: query.limit]
    further = None
    if len(found) > len(shown):
        cursor = write_cursor(shown[-1].index, collection)
        parts = urlencode({"limit": query.limit, "cursor": cursor})
        further = f"{url('batches', batch.id, 'members')}?{parts}"
    return Page(items=shown, next=further)


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


@operation("POST", "/batches/<batch_id>/approve", Scope.ADMIN, {200: BatchObject}, problems=(409,))
def approve(caller: Caller, batch_id: str) -> Answer:
    """Let a batch that is `awaiting_approval` go out: it is `scheduled` then.

    403 with a key of whoever has started it: the same key, or one that the same person has made.
    """
    return _move(caller, batch_id, approval.approve)


@operation(
    "POST",
    "/batches/<batch_id>/reject",
    Scope.ADMIN,
    {200: BatchObject},
    problems=(409,),
    example={"reason": "The exam week is wrong."},
)
def reject(caller: Caller, batch_id: str, body: RejectBody) -> Answer:
    """Refuse a batch that is `awaiting_approval`, for good.

    403 with a key of whoever has started it: they may cancel it.
    """

    def refuse(session: Session, batch: Batch, actor: str) -> None:
        approval.reject(session, batch, actor, body.reason)

    return _move(caller, batch_id, refuse, body)


@operation("POST", "/batches/<batch_id>/try-one", Scope.SEND, {200: BatchObject}, problems=(409,))
def try_one(caller: Caller, batch_id: str) -> Answer:
    """Let one message of a held sender go; when Twilio takes it, the others follow."""
    return _move(caller, batch_id, running.try_one)


def _move(caller: Caller, batch_id: str, change: Any, body: RejectBody | None = None) -> Answer:
    def make(session: Session) -> Answer:
        batch = owned(Batch, caller, batch_id, "batch")
        try:
            change(session, batch, caller.actor)
        except Refusal as refusal:
            raise _refused(refusal) from None
        session.flush()
        return Answer(200, describe(caller, batch_id))

    return _waking(once(caller, body, make))


def _waking(answer: Answer) -> Answer:
    for queue in ("house", "send", "relay"):
        wake(queue)
    return answer


def _refused(refusal: Refusal) -> HttpProblem:
    """Say why it cannot be done: 403 where the client or the caller may not, else 409."""
    may_not = refusal.field == "client" or refusal.code == approval.OWN
    return HttpProblem(403 if may_not else 409, refusal.sentence)
