"""One conversation: what was said, and answering, noting, taking and closing it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask import abort, g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain import urls
from app.domain.audience import names
from app.domain.clients import prices, spending
from app.domain.clients.spending import Amount, Limited
from app.domain.content import templates
from app.domain.conversations import care, entries, finding, record
from app.domain.mistakes import Mistake, Refused
from app.domain.reach import Refusal
from app.domain.sending import answering, quiet
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.conversation import Conversation, ConversationState
from app.models.sender import Sender, SenderKind
from app.models.template import Template, TemplateKind, TemplateVersion
from app.models.user import User
from app.staff import own, words
from app.staff.access import client_blueprint, say
from app.staff.inbox.bubbles import Bubble, bubbles
from app.staff.inbox.conversations import takers
from app.staff.wordings.wording_files import keep_files
from app.twilio import segments

SHOWN = 200
"""How many of the newest texts, calls and notes are shown."""
LOOK_AGAIN = 10
"""Seconds between two looks of an open page: some five statements each."""
MOST_REPLIES = 50


@dataclass(frozen=True)
class Talk:
    """A conversation of the client's."""

    number: Sender
    row: Conversation
    is_kept: bool

    @property
    def seen(self) -> str:
        """What changes whenever there is something new to show."""
        return f"{self.row.last_at.timestamp()} {self.row.state} {self.row.assigned_id or '-'}"


@client_blueprint.get("/conversations/<sender_id>/<path:phone>")
def inbox_talk(sender_id: str, phone: str) -> str:
    """Show a conversation, and note that somebody has seen it."""
    talk = _find(sender_id, phone)
    page = _page(talk, "", [])
    with unit_of_work() as session:
        if talk.row.unread:
            care.seen(session, talk.row)
        own.note(session, "read", f"conversation with {talk.row.phone}")
    return page


@client_blueprint.get("/conversation-news/<sender_id>/<path:phone>")
def inbox_talk_news(sender_id: str, phone: str) -> str | Response:
    """Show what was said, if that is more than the page that asks has."""
    number = own.find(Sender, sender_id, "number")
    row = record.find(db.session(), number.id, phone)
    if row is None or row.client_id != g.client.id:
        return Response(status=204)
    talk = Talk(number, row, True)
    if request.args.get("seen", "") == talk.seen:
        return Response(status=204)
    shown = render_template("staff/conversation_entries.html", **_said(talk))
    if talk.row.unread:
        with unit_of_work() as session:
            care.seen(session, talk.row)
    return shown


@client_blueprint.post("/conversation-answer/<sender_id>/<path:phone>")
def inbox_talk_answer(sender_id: str, phone: str) -> Response | tuple[str, int, dict[str, str]]:
    """Send an answer, or put a canned reply into the box to be looked over first."""
    talk = _find(sender_id, phone)
    body = request.form.get("body", "").replace("\r\n", "\n").strip()
    media = [url for url in request.form.getlist("media")[:20] if urls.media_code(url)]
    status, headers = 422, {}
    at = request.form.get("at", "").strip()[:30]
    try:
        media += keep_files(media)
        if chosen := request.form.get("template"):
            put, media = _put_in(talk, chosen, body, media)
            return _page(talk, put, media, at), 200, {}
        _send(talk, body, media, _chosen(at))
    except Limited as limited:
        say(f"Not sent. {limited.sentence}", "bad")
        status, headers = 429, {"Retry-After": str(limited.seconds)}
    except Refusal as refusal:
        say(f"Not sent. {refusal.sentence}", "bad")
    except Refused as refused:
        for sentence in own.sentences(refused):
            say(f"Not sent. {sentence}", "bad")
    else:
        return redirect(_url(talk))
    return _page(talk, body, media, at), status, headers


def _chosen(typed: str) -> datetime | None:
    """Return the hour that was chosen, in the client's zone; None for at once.

    :raises Refused: when there is no such time, or it has passed.
    """
    if not typed:
        return None
    at = own.typed_time(typed, "at", "Choose the day and time at which it is to go.")
    if at <= utcnow():
        raise Refused.because("That time has passed; choose a later one.", "at")
    return at


@client_blueprint.post("/conversation-preview")
def inbox_talk_preview() -> str:
    """Say what the answer that is being written takes."""
    body = request.form.get("body", "").replace("\r\n", "\n").strip()
    measure = segments.measure(body)
    cost = segments.estimate_cost(measure.segments, 0, prices.PRICES)
    return render_template("staff/answer_size.html", body=body, measure=measure, cost=f"{cost:.4f}")


@client_blueprint.post("/conversation-note/<sender_id>/<path:phone>")
def inbox_talk_note(sender_id: str, phone: str) -> Response:
    """Write down something for the others."""
    talk = _find(sender_id, phone)
    note = request.form.get("text", "").replace("\r\n", "\n").strip()
    if not note or len(note) > care.LONGEST_NOTE:
        say(f"A note has 1 to {care.LONGEST_NOTE:,} characters.", "bad")
    else:
        with unit_of_work() as session:
            care.note(session, _kept(session, talk), note, current_user.email)
    return redirect(_url(talk))


@client_blueprint.post("/conversation-take/<sender_id>/<path:phone>")
def inbox_talk_take(sender_id: str, phone: str) -> Response:
    """Take it, or give it back; not past somebody who took it meanwhile."""
    talk = _find(sender_id, phone)
    taken = request.form.get("release") is None
    with unit_of_work() as session:
        row = _kept(session, talk)
        other = row.assigned_id if row.assigned_id != current_user.user.id else None
        if other is not None and other != request.form.get("from", ""):
            email = session.scalar(select(User.email).where(User.id == other))
            say(f"{email} has taken this conversation meanwhile.", "warn")
        else:
            me = session.get_one(User, current_user.user.id)
            care.assign(session, row, me if taken else None, current_user.email)
    return redirect(_url(talk))


@client_blueprint.post("/conversation-close/<sender_id>/<path:phone>")
def inbox_talk_close(sender_id: str, phone: str) -> Response:
    """Say that nobody waits for anything any more."""
    talk = _find(sender_id, phone)
    with unit_of_work() as session:
        care.close(session, _kept(session, talk), current_user.email)
    say("Closed. A new text from this phone opens it again.")
    return redirect(url_for("client.inbox_conversations"))


def _find(sender_id: str, phone: str) -> Talk:
    number = own.find(Sender, sender_id, "number")
    found = finding.one(db.session(), g.client, number, phone) if number.is_number else None
    if found is None:
        abort(404, "There is nothing between this number and phone, or it is older than you keep.")
    return Talk(number, *found)


def _kept(session: Session, talk: Talk) -> Conversation:
    number = session.get_one(Sender, talk.number.id)
    return record.keep(session, number, talk.row) if not talk.is_kept else talk.row


def _url(talk: Talk) -> str:
    return url_for("client.inbox_talk", sender_id=talk.number.id, phone=talk.row.phone)


def _send(talk: Talk, body: str, media: list[str], at: datetime | None) -> None:
    """Send an answer as a message like any other, at once or at an hour.

    :raises Refusal: when it may not go out; the conversation waits on.
    """
    if refusal := answering.why_not(db.session(), g.client, talk.number, talk.row.phone):
        raise refusal
    with unit_of_work() as session:
        message = answering.reply(
            session, session.get_one(Client, g.client.id), session.get_one(Sender, talk.number.id),
            talk.row.phone, body=body, media=media, send_at=at, by=current_user.email,
        )  # fmt: skip
    if message.is_held:
        say(f"It goes {words.when(message.send_at)}. Until then you can cancel it below.")
    wake("send")


def _put_in(talk: Talk, template_id: str, body: str, media: list[str]) -> tuple[str, list[str]]:
    """Return the answer with a canned reply behind it, filled in for this person."""
    found = own.find(Template, template_id, "canned reply")
    version = db.session.scalars(
        select(TemplateVersion).filter_by(template_id=found.id, number=found.current_version)
    ).one()
    db.session.rollback()  # what it is filled with is decided by its author
    about = answering.known_of(db.session(), g.client, talk.number, talk.row.phone)
    asked = talk.row.last_text or ""
    known = {**about, "From": talk.row.phone, "To": talk.number.address, "Body": asked}
    source, shown = version.body, list(version.media)
    db.session.rollback()
    try:
        text = templates.render(source, known)
    except templates.TemplateProblem as problem:
        raise Refused([Mistake(("template",), problem.message)]) from None
    return f"{body}\n{text}".strip(), [*media, *(url for url in shown if url not in media)]


def _page(talk: Talk, body: str, media: list[str], at: str = "") -> str:
    session = db.session()
    replies = session.scalars(
        select(Template)
        .where(Template.client_id == g.client.id, Template.kind == TemplateKind.REPLY)
        .order_by(Template.name)
        .limit(MOST_REPLIES)
    ).all()
    refusal = answering.why_not(session, g.client, talk.number, talk.row.phone)
    return render_template(
        "staff/conversation.html",
        **_said(talk),
        replies=replies,
        why_not=refusal.sentence if refusal else None,
        cautions=[] if refusal else list(_cautions(session)),
        body=body,
        media=media,
        at=at,
        is_number=talk.number.kind is SenderKind.TWILIO,
    )


def _said(talk: Talk) -> dict[str, object]:
    session = db.session()
    said = entries.between(
        session, talk.number, talk.row.phone, finding.retention_start(g.client),
        talk.row if talk.is_kept else None, most=SHOWN,
    )  # fmt: skip
    shown: list[Bubble] = bubbles(said)
    known = names.of(session, g.client.id, [talk.row.phone])
    return {
        "talk": talk,
        "bubbles": shown,
        "name": known.get(talk.row.phone),
        "taker": takers([talk.row]).get(talk.row.assigned_id),
        "look_again": LOOK_AGAIN,
        "State": ConversationState,
    }


def _cautions(session: Session) -> list[str]:
    """Say what to think of before answering, though it may go ahead."""
    found = []
    client = g.client
    if quiet.until(utcnow(), client.time_zone, client.quiet_from, client.quiet_to):
        found.append(
            f"It is quiet from {client.quiet_from} to {client.quiet_to}: what you send arrives now"
            " all the same."
        )
    spent = spending.spent_by(session, [client.id], utcnow())[client.id]
    if limit := spending.over(client, spent, Amount(segments=1)):
        found.append(f"A limit is reached, so an answer cannot go out yet: {limit.sentence}.")
    return found
