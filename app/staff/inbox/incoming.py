"""The inbox: what came in, what was done about it, and whole conversations by phone."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flask import abort, g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain.audience import names, suppression_lists
from app.domain.conversations import entries
from app.domain.voicemails import log
from app.extensions import db, unit_of_work
from app.inbound import way
from app.models.base import utcnow
from app.models.client import Client
from app.models.conversation import Conversation, ConversationNote
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint
from app.models.incoming import Incoming
from app.models.message import Message
from app.models.route import Destination
from app.models.sender import Sender
from app.models.voicemail import HEARD, Voicemail
from app.staff import listing, own, words
from app.staff.access import blueprint, client_blueprint, role_in
from app.staff.inbox.bubbles import REACTIONS, files_beside

PAGE = 50
CONVERSATION = 100
TALKS = 20
SEARCH_LENGTH = 100
PHONE = re.compile(r"[-+(). 0-9]+")


@dataclass(frozen=True)
class Turn:
    """One text or call of a conversation, theirs or ours, or a note of ours about it."""

    at: datetime
    incoming: Incoming | None = None
    message: Message | None = None
    note: ConversationNote | None = None
    reactions: tuple[str, ...] = ()
    """Pictures of what people showed about our text, as they stand now."""


@client_blueprint.get("/inbox")
def inbox() -> str:
    """List what came in, newest first; filtered by kind, number, words or phone."""
    wanted, kind = asked()
    page = _page(wanted, kind)
    known = names.of(db.session(), g.client.id, {one.from_ for one in page.rows})
    return render_template(
        "staff/inbox.html", page=page, q=wanted, kind=kind, kinds=KINDS, known=known,
        voicemails=log.beside(db.session(), page.rows),
    )  # fmt: skip


KINDS = {
    "": "Everything",
    "sms": "Texts",
    "voice": "Calls",
    "voicemail": "Voice messages",
    "flagged": "To read",
    "opt_out": "Opt-outs",
    "failed": "Not answered",
}
NOT_ANSWERED = ("failed", "no_route", "not_enabled", "loop_stopped", "too_late")


def asked() -> tuple[str, str]:
    """Return the words and the kind that the address asks for."""
    return request.args.get("q", "").strip()[:SEARCH_LENGTH], request.args.get("kind", "")


def fitting(wanted: str, kind: str) -> tuple[Select[Incoming], list[ColumnElement[bool]]]:
    """Return what came in as an index finds it, and conditions for which there is none."""
    query = select(Incoming).where(
        Incoming.client_id == g.client.id, Incoming.received_at >= retention_start()
    )
    if kind == "flagged":  # few, and an index finds them
        query = query.where(Incoming.flagged)
    filters = _kind(kind)
    if phones := _whole_phone(wanted):
        query = query.where(Incoming.from_.in_(phones))
    elif wanted:
        filters.append(_fits(wanted))
    return query, filters


def _page(wanted: str, kind: str) -> listing.Page[Incoming]:
    query, filters = fitting(wanted, kind)
    return listing.page(
        db.session(),
        query,
        (Incoming.received_at, Incoming.id),
        _place(request.args.get("before", "")),
        size=PAGE,
        wanted=filters,
    )


def _kind(kind: str) -> list[ColumnElement[bool]]:
    if kind in set(Destination):
        return [Incoming.destination == Destination(kind)]
    if kind == "voicemail":
        left = select(Voicemail.incoming_id).where(
            Voicemail.client_id == g.client.id, Voicemail.state.in_(HEARD)
        )
        return [Incoming.id.in_(left)]
    if kind == "opt_out":
        return [Incoming.opt_out.is_not(None)]
    return [Incoming.outcome.in_(NOT_ANSWERED)] if kind == "failed" else []


def _whole_phone(wanted: str) -> tuple[str, ...]:
    """Return the phones that a whole number may stand for, which an index finds."""
    digits = "".join(filter(str.isdecimal, wanted))
    whole = PHONE.fullmatch(wanted) and 10 <= len(digits) <= 15
    return (f"+{digits}", f"+1{digits}") if whole else ()


def _fits(wanted: str) -> ColumnElement[bool]:
    """Match words, and parts of phone numbers."""
    words = Incoming.body.icontains(wanted, autoescape=True)
    digits = "".join(filter(str.isdecimal, wanted))
    if len(digits) < 3:  # words such as "2 pm"
        return words
    return or_(words, Incoming.from_.contains(digits, autoescape=True))


def retention_start() -> datetime:
    """Return when the log begins: what is older may be gone at any moment and is not shown."""
    return utcnow() - timedelta(days=g.client.retention_days)


def _place(before: str) -> tuple[datetime, str] | None:
    if not before:
        return None
    last = db.session.get(Incoming, before)
    if last is None or last.client_id != g.client.id:
        abort(404, "That page is gone. Begin again at the top of the inbox.")
    return last.received_at, last.id


@client_blueprint.get("/inbox/phone/<path:phone>")
def inbox_conversation(phone: str) -> str:
    """Show both sides of the conversation with one phone, the newest at the end."""
    theirs, ours, talks = _theirs(phone), _ours(phone), _talks(phone)
    said = [*_beside(theirs, ours), *_notes([talk for talk, _ in talks])]
    turns = sorted(said, key=lambda turn: turn.at)[-CONVERSATION:]
    about = _about(phone)
    if not (turns or about["listed"] or about["entries"]):
        abort(404, "There is nothing from or to this phone, or it is older than you keep.")
    came = [turn.incoming for turn in turns if turn.incoming is not None]
    went = [turn.message for turn in turns if turn.message is not None]
    page = render_template(
        "staff/person.html", phone=phone, turns=turns, talks=talks,
        files=files_beside(db.session(), g.client.id, came, went),
        voicemails=log.beside(db.session(), came), **about,
    )  # fmt: skip
    with unit_of_work() as session:
        own.note(session, "read", f"conversation with {phone}")
    return page


def _talks(phone: str) -> list[tuple[Conversation, Sender]]:
    """Return the conversations with a phone, each with its number, the newest first."""
    found = db.session.execute(
        select(Conversation, Sender)
        .join(Sender, Sender.id == Conversation.sender_id)
        .where(Conversation.client_id == g.client.id, Conversation.phone == phone)
        .order_by(Conversation.last_at.desc())
        .limit(TALKS)
    )
    return [(row[0], row[1]) for row in found]


def _senders(session: Session) -> dict[str, Sender]:
    return {one.id: one for one in session.scalars(select(Sender).filter_by(client_id=g.client.id))}


def _notes(talks: list[Conversation]) -> list[Turn]:
    """Return what staff noted about these conversations."""
    query = (
        select(ConversationNote)
        .where(
            ConversationNote.conversation_id.in_([talk.id for talk in talks]),
            ConversationNote.at >= retention_start(),
        )
        .order_by(ConversationNote.at.desc())
        .limit(CONVERSATION)
    )
    return [Turn(one.at, note=one) for one in db.session.scalars(query)] if talks else []


def _about(phone: str) -> dict[str, object]:
    """Return who somebody is: the name, the lists with what they say, and the opt-outs."""
    session = db.session()
    return {
        "name": names.of(session, g.client.id, [phone]).get(phone),
        "listed": names.listed(session, g.client.id, phone),
        "entries": suppression_lists.entries_of(session, g.client.id, phone),
        "scopes": _senders(session),
    }


def _beside(theirs: list[Turn], ours: list[Turn]) -> list[Turn]:
    """Put each reaction beside the text that it is about; others stay turns of their own."""
    shown: dict[str, dict[str, None]] = {turn.message.id: {} for turn in ours if turn.message}
    left = []
    for turn in sorted(theirs, key=lambda turn: turn.at):
        reaction = turn.incoming.reaction if turn.incoming else None
        kinds = shown.get(reaction["messageId"] or "") if reaction else None
        if reaction is None or kinds is None:
            left.append(turn)
        elif reaction["removed"]:
            kinds.pop(reaction["kind"], None)
        else:
            kinds[reaction["kind"]] = None
    reacted = [
        replace(turn, reactions=tuple(REACTIONS[kind] for kind in shown[turn.message.id]))
        for turn in ours
        if turn.message
    ]
    return left + reacted


def _theirs(phone: str) -> list[Turn]:
    query = (
        select(Incoming)
        .where(
            Incoming.client_id == g.client.id,
            Incoming.from_ == phone,
            Incoming.received_at >= retention_start(),
        )
        .order_by(Incoming.received_at.desc())
        .limit(CONVERSATION)
    )
    return [Turn(one.received_at, incoming=one) for one in db.session.scalars(query)]


def _ours(phone: str) -> list[Turn]:
    query = (
        select(Message)
        .where(
            Message.client_id == g.client.id,
            Message.to == phone,
            or_(Message.created_at >= retention_start(), Message.send_at >= retention_start()),
        )
        .order_by(Message.created_at.desc())
        .limit(CONVERSATION)
    )
    return [Turn(entries.gone_out(one), message=one) for one in db.session.scalars(query)]


@client_blueprint.get("/inbox/<incoming_id>")
def inbox_item(incoming_id: str) -> str:
    """Show one text or call: what was done about it, and what became of its deliveries."""
    incoming = db.session.get(Incoming, incoming_id)
    if incoming is None or incoming.client_id != g.client.id:
        abort(404, "It is not there; it may be older than you keep.")
    deliveries = db.session.execute(
        select(Delivery, Endpoint)
        .join(Endpoint, Endpoint.id == Delivery.endpoint_id)
        .where(Delivery.incoming_id == incoming.id)
        .order_by(Delivery.id)
    ).all()
    return render_template(
        "staff/inbox_item.html",
        incoming=incoming,
        number=db.session.get(Sender, incoming.sender_id),
        reply=db.session.get(Message, incoming.reply_id) if incoming.reply_id else None,
        deliveries=deliveries,
        voicemails=log.beside(db.session(), [incoming]),
        way=way.of(incoming),
        call_states=words.CALL_STATES,
        name=names.of(db.session(), g.client.id, [incoming.from_]).get(incoming.from_),
    )


@blueprint.get("/inbox/<incoming_id>")
def find_incoming(incoming_id: str) -> Response:
    """Lead from the link in an e-mail to the page of the right client."""
    incoming = db.session.get(Incoming, incoming_id)
    client = db.session.get(Client, incoming.client_id) if incoming else None
    if client is None or role_in(current_user.user, client) is None:
        abort(404, "It is not there, or it is not yours to see.")
    return redirect(url_for("client.inbox_item", client=client.name, incoming_id=incoming_id))
