"""Callers whom nobody has answered get a text, once a day, some moments after they hung up.

What is to be done stands on the call (``text_back_at``), written with its end. The text is filled
in while nothing is locked, and queued with the mark that it was, so that it goes once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from app.domain import aside, clocks, phone_kinds
from app.domain.audience import contacts
from app.domain.content import templates
from app.domain.content.templates import TemplateProblem
from app.domain.conversations import record
from app.domain.phone_kinds import Kind
from app.domain.reach import Refusal
from app.domain.sending import answering, texts
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.inbound import call_log, dialing
from app.models.base import utcnow
from app.models.client import Client
from app.models.incoming import Incoming
from app.models.route import Destination
from app.models.sender import Sender
from app.models.template import Template, TemplateVersion
from app.twiml.text import clean

log = structlog.get_logger(__name__)

LOOP = "text back"
AT_ONCE = 100
ONCE = timedelta(days=1)
"""Whoever had such a text on a call within this gets no other from that number."""
_TEXTABLE = (Kind.DOMESTIC, Kind.CARIBBEAN, Kind.INTERNATIONAL)
_NOT_TEXTED = "No text went back. {}"


@dataclass(frozen=True)
class Words:
    """A text as it goes out, and of which version of a template."""

    version_id: str
    media: tuple[str, ...]
    body: str


def due(session: Session, most: int) -> Sequence[str]:
    """Return the calls whose callers are to be texted, the longest due first."""
    is_due = clocks.has_come(Incoming.text_back_at, utcnow(), call_log.SETTLED)
    found = select(Incoming.id).where(is_due, aside.free(LOOP, Incoming.id))
    return session.scalars(found.order_by(Incoming.text_back_at).limit(most)).all()


def run() -> None:
    """Text those who are due; a job of the queue ``house``."""
    ids = due(db.session(), AT_ONCE)
    db.session.rollback()
    for incoming_id in ids:
        with aside.set_aside(LOOP, incoming_id):
            _text(incoming_id)


def _text(incoming_id: str) -> None:
    """Queue the text for one caller, or note why there is none."""
    try:
        words = _filled_in(db.session(), incoming_id)
    except (Refusal, TemplateProblem) as problem:
        db.session.rollback()
        _note(incoming_id, str(problem), flagged=isinstance(problem, TemplateProblem))
        return
    db.session.rollback()
    if words is None:
        _note(incoming_id, None)
        return
    try:
        with unit_of_work() as session:
            _queue(session, incoming_id, words)
    except Refusal as refusal:
        _note(incoming_id, refusal.sentence)
        return
    wake("send")


def _filled_in(session: Session, incoming_id: str) -> Words | None:
    """Return what is to go out; None where nobody is to be texted.

    :raises Refusal: when the caller may not be texted.
    :raises TemplateProblem: when the template cannot be filled in.
    """
    call = session.get_one(Incoming, incoming_id)
    version = session.scalar(
        select(TemplateVersion)
        .join(Template, Template.id == TemplateVersion.template_id)
        .where(Template.id == call.text_back_id, TemplateVersion.number == Template.current_version)
    )
    if version is None or not _is_wanted(session, call):
        return None
    client = session.get_one(Client, call.client_id)
    number = session.get_one(Sender, call.sender_id)
    if refusal := answering.why_not(session, client, number, call.from_):
        raise refusal
    known = {"From": call.from_, "To": call.to, "Body": ""}
    about = answering.known_of(session, client, number, call.from_)
    body = clean(templates.render(version.body, {**about, **call.parameters, **known}))
    return Words(version.id, tuple(version.media), body)


def _is_wanted(session: Session, call: Incoming) -> bool:
    """Tell whether nobody has answered a caller who can get texts and had none of these today."""
    if call.dial_status in dialing.ANSWERED or phone_kinds.classify(call.from_) not in _TEXTABLE:
        return False
    had_one = exists().where(
        Incoming.client_id == call.client_id,
        Incoming.from_ == call.from_,
        Incoming.received_at > call.received_at - ONCE,
        Incoming.sender_id == call.sender_id,
        Incoming.destination == Destination.VOICE,
        Incoming.reply_id.is_not(None),
    )
    return not session.scalar(select(had_one))


def _queue(session: Session, incoming_id: str, words: Words) -> None:
    """Put the text into its lane and mark the call, unless somebody else has by now.

    :raises Refusal: when it may not go; nothing is to be kept then.
    """
    call = _held(session, incoming_id)
    number = session.get_one(Sender, call.sender_id)
    record.take_turn(session.connection(), number.id, call.from_)
    if call.text_back_at is None:
        return
    call.text_back_at = None
    if not _is_wanted(session, call):
        return
    client = session.get_one(Client, call.client_id)
    contact = contacts.find(session, client.id, call.from_, number)
    message = texts.queue_text(
        session, client, number, call.from_, body=words.body, media=words.media,
        member=contact.member if contact else None,
    )  # fmt: skip
    message.template_version_id = words.version_id
    call.reply_id = message.id
    log.info("a caller is texted back", sid=call.sid, client=client.id, message=message.id)


def _note(incoming_id: str, why: str | None, flagged: bool = False) -> None:
    """Be done with a call whose caller is not texted, and say why."""
    with unit_of_work() as session:
        call = _held(session, incoming_id)
        call.text_back_at = None
        if why and not call.error:
            call.error = _NOT_TEXTED.format(why)[:500]
        call.flagged = call.flagged or flagged


def _held(session: Session, incoming_id: str) -> Incoming:
    return session.get_one(Incoming, incoming_id, with_for_update=True, populate_existing=True)
