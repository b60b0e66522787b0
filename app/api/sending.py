"""Sending one message: a text, or a call."""

from __future__ import annotations

from pydantic import Field
from sqlalchemy.orm import Session

from app.api.auth import Caller
from app.api.idempotency import HEADER, once
from app.api.messages import MessageObject, describe
from app.api.operation import Answer, operation
from app.api.problem import Refusal as ApiRefusal
from app.api.problem import invalid
from app.api.reading import Shape
from app.api.shapes import MemberObject, Phone
from app.domain import mistakes, senders
from app.domain.callbacks import CallbacksSpec
from app.domain.calls import queue_call
from app.domain.messages import Refusal, queue_text
from app.domain.wake import wake
from app.models.client import Client
from app.models.communication import MachineDetection
from app.models.credential import Scope
from app.models.sender import Sender


class MessageBody(Shape):
    """A text or a call to one person."""

    to: Phone
    from_: str | None = Field(
        None, alias="from", max_length=64, description="One of the client's numbers."
    )
    messaging_service: str | None = Field(
        None, max_length=100, description="Its name or SID, in place of a number."
    )
    body: str = Field("", max_length=100_000)
    media: list[str] = Field(
        default_factory=list, max_length=100, description="http(s) URLs of at most 10 files."
    )
    twiml: str | None = Field(
        None, max_length=100_000,
        description="Makes it a call: what is said, with the member's attributes as placeholders"
        " and `AnsweredBy` (`human` or `machine`).",
    )  # fmt: skip
    machine_detection: MachineDetection | None = Field(
        None, description="What happens when a machine answers the call; `off` when not given."
    )
    member: MemberObject | None = Field(
        None, description="Attributes of the person; a reply that is forwarded carries them."
    )
    callbacks: CallbacksSpec | None = Field(
        None, description="Who is told what becomes of it; the client's default without."
    )


@operation(
    "POST",
    "/messages",
    Scope.SEND,
    {201: MessageObject},
    problems=(409,),
    headers={HEADER: "Repeats with the same key, for a day, make no second message."},
    example={
        "to": "+13195550150",
        "from": "+13195550100",
        "body": "Your book is ready.",
        "callbacks": {"message_status": {"endpoint": "sis"}},
    },
)
def create(caller: Caller, body: MessageBody) -> Answer:
    """Send a text to one person, or with `twiml` place a call.

    Give exactly one of `from` and `messagingService`; a call needs `from`. A phone that has opted
    out makes a message with the status `suppressed`; one that is invalid or not allowed is 422. A
    text waits for its turn at the sender's rate, a call at the Twilio account's.
    """
    _check_kind(body)
    answer = once(caller, body, MessageObject, lambda session: _queue(session, caller, body))
    wake("send")
    wake("relay")
    return answer


def _queue(session: Session, caller: Caller, body: MessageBody) -> MessageObject:
    client = session.get_one(Client, caller.client_id)
    sender = _sender(session, caller, body)
    member = body.member.root if body.member else None
    try:
        if body.twiml is None:
            message = queue_text(
                session,
                client,
                sender,
                body.to,
                body=body.body,
                media=body.media,
                member=member,
                callbacks=body.callbacks,
            )
        else:
            message = queue_call(
                session,
                client,
                sender,
                body.to,
                source=body.twiml,
                member=member,
                machine_detection=body.machine_detection or MachineDetection.OFF,
                callbacks=body.callbacks,
            )
    except Refusal as refusal:
        raise _refused(refusal) from None
    except mistakes.Refused as refused:
        wrong = [one.under("callbacks") for one in refused.mistakes]
        raise mistakes.Refused(wrong) from None
    return describe([message])[0]


def _check_kind(body: MessageBody) -> None:
    """Refuse a mixture of text and call."""
    if body.twiml is not None and (body.body or body.media):
        raise invalid("twiml", "one_of", "Give either twiml, for a call, or body and media.")
    if body.twiml is None and body.machine_detection is not None:
        raise invalid(
            "machineDetection", "calls_only", "Only a call, with twiml, detects machines."
        )
    if body.twiml is not None and body.messaging_service is not None:
        raise invalid(
            "messagingService", "wrong_sender", "A messaging service cannot place calls; give from."
        )


def _sender(session: Session, caller: Caller, body: MessageBody) -> Sender:
    if (body.from_ is None) == (body.messaging_service is None):
        raise invalid("from", "one_of", "Give exactly one of from and messagingService.")
    if body.from_ is not None:
        sender = senders.find_number(session, caller.client_id, body.from_)
        name, what = "from", f"{body.from_} is not a number of {caller.client_name}."
    else:
        service = body.messaging_service or ""
        sender = senders.find_service(session, caller.client_id, service)
        name = "messagingService"
        what = f"{caller.client_name} has no messaging service {service}."
    if sender is None:
        raise invalid(name, "unknown_sender", what)
    return sender


def _refused(refusal: Refusal) -> ApiRefusal:
    """Say why it may not be sent: 403 where the client may not send at all, else 422."""
    if refusal.field == "client":
        return ApiRefusal(403, refusal.sentence)
    return invalid(refusal.field, refusal.code, refusal.sentence)
