"""Messages: the texts and calls that we send."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field
from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from app.api.auth import Caller
from app.api.idempotency import once
from app.api.operation import Answer, operation
from app.api.paging import Page, PageQuery, read_page
from app.api.problem import HttpProblem
from app.api.reading import Shape
from app.api.shapes import Phone, SenderAddress
from app.api.urls import owned
from app.domain.reach import Refusal
from app.domain.sending import later
from app.domain.wake import wake
from app.extensions import db
from app.models.credential import Scope
from app.models.link import Click, Link
from app.models.message import Direction, Message, MessageReport
from app.models.route import Destination
from app.twilio import errors
from app.twilio.console import log_url

Status = Literal[
    "queued", "accepted", "scheduled", "sending", "sent", "partially_delivered", "delivered",
    "read", "undelivered", "failed", "canceled", "initiated", "ringing", "in-progress",
    "completed", "busy", "no-answer", "suppressed", "refused", "unknown",
]  # fmt: skip


class Clicks(Shape):
    """How often the links in a text were opened."""

    people: int
    previews: int = Field(description="By phones and robots that look ahead.")


class HistoryEntry(Shape):
    """One report about a message."""

    status: str
    at: datetime
    source: str = Field(
        description="`callback` (Twilio told us), `response` (its answer when we sent), `lookup`"
        " (its log), or `dispatch` (our own word)."
    )


class MessageObject(Shape):
    """One text or call."""

    id: str
    destination: Destination
    direction: Direction
    status: str = Field(
        description="Twilio's last word; `queued` before there is one; or our own end:"
        " `suppressed`, `refused`, `unknown`, `failed`, `canceled`."
    )
    sid: str | None = Field(description="Twilio's id, once it has the message.")
    to: str
    from_: str = Field(alias="from")
    body: str | None = Field(description="Null once it is past retention.")
    segments: int
    error_code: int | None = Field(description="Twilio's.")
    error_message: str | None
    explanation: str | None = Field(description="What the error means, in a sentence.")
    price: float | None = Field(description="What Twilio charges, once it has said so.")
    created_at: datetime
    send_at: datetime | None = Field(
        description="The hour chosen for it; until then it is `queued`, and can be canceled."
    )
    sent_at: datetime | None
    updated_at: datetime
    communication: str | None = Field(description="The communication's id.")
    batch: str | None = Field(description="The batch's id.")
    answered_by: str | None = Field(description="Twilio's word on who answered a call.")
    call_duration: int | None = Field(description="Seconds; once a call is completed.")
    recording_url: str | None = Field(description="Where Twilio keeps what a call recorded.")
    digits: str | None = Field(description="Keys pressed in a call, where its TwiML told us.")
    speech: str | None = Field(description="What was said there, as Twilio understood it.")
    twilio_log: str | None = Field(
        None, description="Where Twilio shows it, for people who may sign in there."
    )
    clicks: Clicks
    history: list[HistoryEntry] = Field(description="Every report, in the order it came.")


class MessagesQuery(PageQuery):
    """Which messages."""

    status: Status | None = None
    to: Phone | None = None
    from_: SenderAddress | None = Field(
        None, alias="from", description="The number, or the messaging service's SID."
    )
    communication: str | None = Field(None, max_length=64, description="A communication's id.")
    batch: str | None = Field(None, max_length=64, description="A batch's id.")


@operation("GET", "/messages", Scope.READ, {200: Page[MessageObject]}, csv=True)
def listing(caller: Caller, query: MessagesQuery) -> Page[MessageObject]:
    """List messages, oldest first."""
    chosen = select(Message)
    if query.status is not None:
        chosen = chosen.where(Message.public_status == query.status)
    if query.to is not None:
        chosen = chosen.where(Message.to == query.to)
    if query.from_ is not None:
        chosen = chosen.where(Message.from_ == query.from_)
    if query.communication is not None:
        chosen = chosen.where(Message.communication_id == query.communication)
    if query.batch is not None:
        chosen = chosen.where(Message.batch_id == query.batch)
    page = read_page(Message, caller, query, chosen, "messages")
    return Page(items=describe(page.rows), next=page.next)


@operation("GET", "/messages/<message_id>", Scope.READ, {200: MessageObject})
def show(caller: Caller, message_id: str) -> MessageObject:
    """Show one message, with every report about it."""
    return describe([owned(Message, caller, message_id, "message")])[0]


@operation(
    "POST", "/messages/<message_id>/cancel", Scope.SEND, {200: MessageObject}, problems=(409,)
)
def cancel(caller: Caller, message_id: str) -> Answer:
    """Cancel a text that waits for its `sendAt`; 409 once that has come."""

    def make(session: Session) -> Answer:
        message = owned(Message, caller, message_id, "message")
        try:
            later.cancel(session, message.id, caller.actor)
        except Refusal as refusal:
            raise HttpProblem(409, refusal.sentence) from None
        session.refresh(message)
        return Answer(200, describe([message])[0])

    answer = once(caller, None, make)
    wake("relay")
    return answer


def describe(messages: Sequence[Message]) -> list[MessageObject]:
    """Describe messages with two further queries, however many there are."""
    ids = [message.id for message in messages]
    clicks, history = _clicks(ids), _history(ids)
    return [_describe(one, clicks[one.id], history[one.id]) for one in messages]


def _describe(one: Message, clicks: Clicks, history: list[HistoryEntry]) -> MessageObject:
    explanation = errors.explain(one.error_code) if one.error_code else one.error_message
    return MessageObject(
        id=one.id,
        destination=one.destination,
        direction=one.direction,
        status=one.public_status,
        sid=one.sid,
        to=one.to,
        from_=one.from_,
        body=one.body,
        segments=one.segments,
        error_code=one.error_code,
        error_message=one.error_message,
        explanation=explanation,
        price=one.price,
        created_at=one.created_at,
        send_at=one.send_at,
        sent_at=one.sent_at,
        updated_at=one.updated_at,
        communication=one.communication_id,
        batch=one.batch_id,
        answered_by=one.answered_by,
        call_duration=one.call_duration,
        recording_url=one.recording_url,
        digits=one.digits,
        speech=one.speech,
        twilio_log=log_url(one.sid),
        clicks=clicks,
        history=history,
    )


def _clicks(ids: list[str]) -> dict[str, Clicks]:
    people = func.sum(case((Click.is_preview.is_(False), 1), else_=0))
    query = (
        select(Link.message_id, people, func.count())
        .join(Click, Click.code == Link.code)
        .where(Link.message_id.in_(ids))
        .group_by(Link.message_id)
    )
    found = defaultdict(lambda: Clicks(people=0, previews=0))
    for message_id, by_people, all_of_them in db.session.execute(query):
        found[message_id] = Clicks(people=by_people, previews=all_of_them - by_people)
    return found


def _history(ids: list[str]) -> dict[str, list[HistoryEntry]]:
    query = (
        select(MessageReport)
        .where(MessageReport.message_id.in_(ids))
        .order_by(MessageReport.message_id, MessageReport.id)
    )
    found: dict[str, list[HistoryEntry]] = defaultdict(list)
    for report in db.session.scalars(query):
        found[report.message_id].append(
            HistoryEntry(status=report.status, at=report.at, source=report.source)
        )
    return found
