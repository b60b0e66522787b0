"""“Text me a test”, “call me with it”: a saved wording, or a draft, on the person's own phone."""

from __future__ import annotations

from flask import g, redirect, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain.content import catalog, drafts
from app.domain.reach import Refusal
from app.domain.sending import calls, texts
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.client import Client
from app.models.message import Message
from app.models.sender import Sender, SenderKind, SenderType
from app.models.template import Template, TemplateDraft, TemplateKind, TemplateVersion
from app.outbound.send import media_links
from app.staff import own
from app.staff.access import client_blueprint, say
from app.staff.wordings.wording_preview import examples_for, preview

Wording = TemplateVersion | TemplateDraft


@client_blueprint.post("/templates/<template_id>/test")
def template_test(template_id: str) -> Response:
    """Text the saved wording, or its draft, to a phone, or call it, from one of our numbers."""
    found = own.find(Template, template_id, "template")
    current: Wording = catalog.current_version(db.session(), found)
    draft = drafts.find(db.session(), found)
    if draft is not None and request.form.get("which") == "draft":
        current = draft
    sender = db.session.get(Sender, request.form.get("sender", ""))
    back = redirect(url_for("client.template", template_id=found.id))
    if error := preview(found.kind, current.body, current.media).error:
        say(error, "bad")
    elif sender is None or sender.client_id != g.client.id:
        say("Choose one of your numbers to send the test from.", "bad")
    else:
        _try(found, current, sender)
    return back


def _try(found: Template, current: Wording, sender: Sender) -> None:
    phone = request.form.get("phone", "")
    send = _call if found.kind is TemplateKind.VOICE else _text
    try:
        sent = send(current, sender.id, phone)
    except Refusal as refusal:
        say(refusal.sentence, "bad")
        return
    wake("send")
    if sent.state == "suppressed":
        say(f"Not sent: {sent.error_message}", "bad")
    else:
        say(f"A test is on its way to {sent.to}.")


def _text(current: Wording, sender_id: str, phone: str) -> Message:
    shown = preview(TemplateKind.SMS, current.body, current.media)
    looks = media_links.look_now(current.media, g.client.id)
    with unit_of_work() as session:
        sent = texts.queue_text(
            session, session.get_one(Client, g.client.id), session.get_one(Sender, sender_id),
            phone, body=shown.text, media=current.media, looks=looks,
        )  # fmt: skip
        _note(session, current, sent)
    return sent


def _call(current: Wording, sender_id: str, phone: str) -> Message:
    script = calls.script(current.body, examples_for(current.body))
    with unit_of_work() as session:
        sent = calls.queue_call(
            session, session.get_one(Client, g.client.id), session.get_one(Sender, sender_id),
            phone, script=script,
        )  # fmt: skip
        _note(session, current, sent)
    return sent


def _note(session: Session, current: Wording, sent: Message) -> None:
    name = session.get_one(Template, current.template_id).name
    what = "draft of template" if isinstance(current, TemplateDraft) else "template"
    own.note(session, "test", f"{what} {name}", {"to": sent.to})


def senders_for(kind: TemplateKind) -> list[Sender]:
    """Return what such a wording can be tried out from."""
    query = select(Sender).where(Sender.client_id == g.client.id, Sender.stopped_at.is_(None))
    if kind is TemplateKind.VOICE:
        query = query.where(
            Sender.kind != SenderKind.MESSAGING_SERVICE, Sender.type != SenderType.SHORT_CODE
        )
    else:
        query = query.where(Sender.kind != SenderKind.VERIFIED)
    return list(db.session.scalars(query.order_by(Sender.address)))
