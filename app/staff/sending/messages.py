"""Messages: those of a batch, one by one, with what Twilio said about them, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain.reach import Refusal
from app.domain.sending import endings, fates, resending
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.communication import Communication
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint
from app.models.link import Click, Link
from app.models.message import Message, MessageReport
from app.models.sender import Sender
from app.staff import listing, own, words
from app.staff.access import client_blueprint, say
from app.twilio import errors

PAGE = 25
SOURCES = {
    "callback": "Twilio called back",
    "response": "Twilio answered",
    "lookup": "found in Twilio's log",
    "dispatch": "Dispatch",
}
HEARD = words.STATUSES | {
    "answered": ("Somebody answered", ""),
    "completed": ("The call ended", "good"),
    "gathered": ("Keys or words came", ""),
    "recorded": ("A recording came", ""),
}
"""What the history of a message may hold: of calls, besides statuses, what they brought."""


@dataclass(frozen=True)
class Rows:
    """One page of a batch's messages, what to say about each, and where the next page begins."""

    messages: Sequence[Message]
    why: dict[str, str]
    clicks: dict[str, int]
    following: str | None


def message_rows(session: Session, batch_id: str) -> Rows:
    """Return one page of a batch's messages, as the request's ``status`` and ``after`` want it."""
    query = of_batch(batch_id)
    position, _, step = request.args.get("after", "").partition(".")
    if listing.is_small(position, 9) and listing.is_small(step, 9):
        place = tuple_(Message.position, Message.step)
        query = query.where(place > (int(position), int(step)))
    ordered = query.order_by(Message.position, Message.step).limit(PAGE + 1)
    found = session.scalars(ordered).all()
    shown = found[:PAGE]
    following = f"{shown[-1].position}.{shown[-1].step}" if len(found) > PAGE else None
    return Rows(
        shown, {one.id: explanation(one) for one in shown}, clicks_of(session, shown), following
    )


def of_batch(batch_id: str) -> Select[Message]:
    """Return a batch's messages, as the request's ``status``, ``why`` and ``by`` want them."""
    query = select(Message).where(Message.batch_id == batch_id)
    if status := request.args.get("status", "")[:32]:
        query = query.where(Message.public_status == status)
    why, by = request.args.get("why", "")[:32], request.args.get("by", "")[:32]
    return query.where(*endings.fitting(why, by))


def explanation(message: Message) -> str:
    """Say why a message ended as it did: Twilio's code in plain words, or our own reason."""
    if message.error_code is not None:
        return f"{errors.explain(message.error_code)} ({message.error_code})"
    return message.error_message or ""


def clicks_of(session: Session, messages: Sequence[Message]) -> dict[str, int]:
    """Return how often people opened the links of each of these messages."""
    rows = session.execute(
        select(Link.message_id, func.count())
        .join(Click, Click.code == Link.code)
        .where(Link.message_id.in_([one.id for one in messages]), Click.is_preview.is_(False))
        .group_by(Link.message_id)
    )
    return {row[0]: row[1] for row in rows}


@client_blueprint.get("/messages/<message_id>")
def communication_message(message_id: str) -> str:
    """Show one message with everything that was heard about it."""
    found = own.find(Message, message_id, "message")
    session = db.session()
    reports = session.scalars(
        select(MessageReport).filter_by(message_id=found.id).order_by(MessageReport.id)
    ).all()
    deliveries = session.execute(
        select(Delivery, Endpoint)
        .join(Endpoint, Endpoint.id == Delivery.endpoint_id)
        .where(Delivery.message_id == found.id)
        .order_by(Delivery.id)
        .limit(50)
    ).all()
    by_people = func.count(Click.id).filter(Click.is_preview.is_(False))
    links = session.execute(
        select(Link.url, by_people)
        .outerjoin(Click, Click.code == Link.code)
        .where(Link.message_id == found.id)
        .group_by(Link.url)
        .order_by(Link.url)
    ).all()
    return render_template(
        "staff/message.html",
        found=found,
        sender=session.get_one(Sender, found.sender_id),
        communication=session.get(Communication, found.communication_id or ""),
        reports=reports,
        sources=SOURCES,
        statuses=HEARD,
        deliveries=deliveries,
        links=links,
        why=explanation(found),
        docs=errors.docs_url(found.error_code) if found.error_code else None,
        again=resending.sent_again_as(session, found),
        again_from=resending.again_from(session, found),
        is_open=fates.is_open(found),
        candidates=fates.candidates(session, found) if fates.is_open(found) else [],
        now=utcnow(),
    )


@client_blueprint.post("/messages/<message_id>/again")
def communication_message_again(message_id: str) -> Response:
    """Send once more what did not arrive."""
    found = own.find(Message, message_id, "message")
    try:
        with unit_of_work() as session:
            sent = resending.send_again(session, found.id, current_user.email)
    except Refusal as refusal:
        say(f"Not sent. {refusal.sentence}", "bad")
        return redirect(url_for("client.communication_message", message_id=found.id))
    wake("send")
    say("It is on its way again, as this message.")
    return redirect(url_for("client.communication_message", message_id=sent.id))


@client_blueprint.post("/messages/<message_id>/fate")
def communication_message_fate(message_id: str) -> Response:
    """Take a person's word on a message of which Twilio's log does not tell whether it went out."""
    found = own.find(Message, message_id, "message")
    said = request.form.get("arrived", "")
    arrived = said == "yes"
    try:
        if said not in ("yes", "no"):
            raise Refusal("missing", "Say whether it arrived.", "arrived")
        with unit_of_work() as session:
            if arrived:
                fates.arrived(session, found.id, request.form.get("sid", ""), current_user.email)
            else:
                fates.did_not_arrive(session, found.id, current_user.email)
    except Refusal as refusal:
        say(refusal.sentence, "bad")
    else:
        wake("relay")
        say("Noted: it arrived." if arrived else "Noted: it did not arrive. It can be sent again.")
    return redirect(url_for("client.communication_message", message_id=found.id))
