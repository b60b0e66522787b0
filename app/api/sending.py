"""Sending one message: a text, or a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from pydantic import ConfigDict, Field
from sqlalchemy.orm import Session

from app.api.auth import Caller
from app.api.idempotency import once
from app.api.messages import MessageObject, describe
from app.api.operation import Answer, operation
from app.api.problem import HttpProblem
from app.api.reading import Shape
from app.api.shapes import MemberObject
from app.domain import named
from app.domain.content import attachments
from app.domain.mistakes import Mistake, Refused
from app.domain.reach import Refusal
from app.domain.relaying import callbacks
from app.domain.relaying.callbacks import CallbacksSpec
from app.domain.sending import calls, messages, texts
from app.domain.sending.calls import Script
from app.domain.sending.twiml_rules import TwimlRules
from app.domain.specs import Instant
from app.domain.wake import wake
from app.extensions import db
from app.models.base import PHONE_LENGTH, utcnow
from app.models.client import Client
from app.models.communication import MachineDetection
from app.models.credential import Credential, Scope
from app.models.route import Destination
from app.models.sender import Sender
from app.outbound.send import media_links

Checked = TypeVar("Checked")
Looks = Mapping[str, attachments.Look]


class MessageBody(Shape):
    """A text or a call to one person."""

    model_config = Shape.model_config | ConfigDict(json_schema_extra={"required": ["to"]})

    to: str = Field("", max_length=PHONE_LENGTH)
    """Checked with the rest, so that a body without it hears of its other mistakes as well."""
    from_: str | None = Field(
        None, alias="from", max_length=64, description="One of the client's numbers."
    )
    messaging_service: str | None = Field(
        None, max_length=100, description="Its name or SID, in place of a number."
    )
    body: str = Field("", max_length=100_000)
    media: list[str] = Field(
        default_factory=list, max_length=100,
        description="http(s) URLs of at most 10 files that Twilio takes, 5 MB"
        " in all; `POST media` keeps files for you.",
    )  # fmt: skip
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
    send_at: Instant | None = Field(
        None,
        description="When a text is to go, with its zone, such as `2026-11-22T09:00:00-06:00`, 366"
        " days ahead at most; at once if not given, or past. Who may be reached, lists and limits"
        " are asked again then.",
    )
    callbacks: CallbacksSpec | None = Field(
        None, description="Who is told what becomes of it; the client's default without."
    )


_TOGETHER = (
    {"from", "messagingService"},
    {"body", "media", "twiml", "machineDetection", "member", "sendAt"},
)
"""Fields that are looked at together: where one cannot be read, nothing is said of the others."""


def _further(caller: Caller, body: MessageBody, unread: set[str | int]) -> list[Mistake]:
    """Say what is wrong with a message of which some fields cannot be read."""
    looks = media_links.look_in_passing(body.media, caller.client_id)
    session = db.session()
    try:
        _check(
            session, caller, session.get_one(Client, caller.client_id), body, looks, _script(body)
        )
    except Refused as refused:
        silent = set().union(*(group for group in _TOGETHER if group & unread))
        return [one for one in refused.mistakes if not silent.intersection(one.path[:1])]
    return []


@operation(
    "POST",
    "/messages",
    Scope.SEND,
    {201: MessageObject},
    problems=(409, 429),
    further=_further,
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
    text waits for its turn at the sender's rate, a call at the Twilio account's. Over a limit
    of the client it is 429, nothing is kept, and `Retry-After` says when there is room again. A
    text with `sendAt` waits for that hour first, counts then, and goes as soon as the limits let
    it.
    """
    looks = media_links.look_in_passing(body.media, caller.client_id)
    script = _script(body)
    answer = once(
        caller, body, lambda session: Answer(201, _queue(session, caller, body, looks, script))
    )
    wake("send")
    wake("relay")
    return answer


def _script(body: MessageBody) -> Script | Refusal | None:
    """Render a call before the transaction opens, or say why it cannot be."""
    if body.twiml is None:
        return None
    member = body.member.root if body.member else None
    try:
        return calls.script(body.twiml, member, body.machine_detection or MachineDetection.OFF)
    except Refusal as refusal:
        return refusal


def _queue(
    session: Session,
    caller: Caller,
    body: MessageBody,
    looks: Looks,
    script: Script | Refusal | None,
) -> MessageObject:
    client = session.get_one(Client, caller.client_id)
    try:
        messages.check_client(client)
    except Refusal as refusal:
        raise HttpProblem(403, refusal.sentence) from None
    sender = _check(session, caller, client, body, looks, script)
    member = body.member.root if body.member else None
    if not isinstance(script, Script):
        message = texts.queue_text(
            session,
            client,
            sender,
            body.to,
            body=body.body,
            media=body.media,
            member=member,
            callbacks=body.callbacks,
            looks=looks,
            send_at=body.send_at,
        )
    else:
        message = calls.queue_call(
            session,
            client,
            sender,
            body.to,
            script=script,
            callbacks=body.callbacks,
        )
    return describe([message])[0]


def _check(
    session: Session,
    caller: Caller,
    client: Client,
    body: MessageBody,
    looks: Looks,
    script: Script | Refusal | None,
) -> Sender:
    """Return the sender, if the message may be sent from it.

    :raises Refused: with every reason why not.
    """
    wrong: list[Mistake] = []

    def tried(check: Callable[[], Checked]) -> Checked | None:
        try:
            return check()
        except Refusal as refusal:
            wrong.append(Mistake((refusal.field,), refusal.sentence, refusal.code))
            return None

    destination = Destination.SMS if body.twiml is None else Destination.VOICE
    tried(lambda: messages.check_recipient(client, None, body.to, destination))
    sender = tried(lambda: _sender(session, caller, body, destination))
    if sender is not None and not wrong:
        tried(lambda: messages.check_recipient(client, sender, body.to, destination))
    tried(lambda: _check_kind(body))
    tried(lambda: _check_content(body, script, TwimlRules(session, client, sender)))
    wrong += attachments.inspect(session, client.id, body.media, looks).mistakes
    if body.callbacks is not None:
        if caller.scope is Scope.ADMIN:
            callbacks.grant(session, client.id, body.callbacks)
        member = body.member.root if body.member else {}
        found = callbacks.mistakes_in(session, client.id, body.callbacks, member)
        wrong += [one.under("callbacks") for one in found]
    if sender is None or wrong:
        raise Refused(wrong)
    return sender


def _sender(
    session: Session, caller: Caller, body: MessageBody, destination: Destination
) -> Sender:
    if (body.from_ is None) == (body.messaging_service is None):
        raise Refusal("one_of", "Give exactly one of from and messagingService.", "from")
    if body.from_ is not None:
        sender = named.find_number(session, caller.client_id, body.from_)
        name, what = "from", f"{body.from_} is not a number of {caller.client_name}."
    else:
        service = body.messaging_service or ""
        sender = named.find_service(session, caller.client_id, service)
        name = "messagingService"
        what = f"{caller.client_name} has no messaging service {service}."
    if sender is None:
        raise Refusal("unknown_sender", what, name)
    try:
        messages.check_sender(
            sender, session.get_one(Credential, sender.credential_id), destination
        )
    except Refusal as refusal:
        raise Refusal(refusal.code, refusal.sentence, name) from None
    return sender


def _check_kind(body: MessageBody) -> None:
    """Refuse a mixture of text and call."""
    if body.twiml is not None and (body.body or body.media):
        raise Refusal("one_of", "Give either twiml, for a call, or body and media.", "twiml")
    if body.twiml is None and body.machine_detection is not None:
        raise Refusal(
            "calls_only", "Only a call, with twiml, detects machines.", "machineDetection"
        )
    if body.twiml is not None and body.send_at is not None:
        raise Refusal("texts_only", "Only a text can wait for an hour, no call.", "sendAt")
    if body.send_at is not None and body.send_at > utcnow() + texts.LATEST:
        raise Refusal("too_late", texts.TOO_LATE, "sendAt")


def _check_content(body: MessageBody, script: Script | Refusal | None, rules: TwimlRules) -> None:
    if isinstance(script, Refusal):
        raise script
    if script is None:
        messages.check_content(body.body, body.media, {})
    else:
        script.checked(rules)
