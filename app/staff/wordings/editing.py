"""Canned replies and other templates: edit, preview, go back to an older version, try out."""

from __future__ import annotations

from typing import Any

from flask import abort, g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response
from wtforms import StringField, TextAreaField

from app.domain import audit, mistakes, named
from app.domain.audience import populations
from app.domain.content import catalog, drafts
from app.domain.content.catalog import TemplateSpec
from app.domain.content.voice_templates import Rules
from app.domain.mistakes import Refused
from app.domain.sending.twiml_rules import TwimlRules
from app.extensions import db, unit_of_work
from app.models.client import Client
from app.models.template import Template, TemplateKind, TemplateVersion
from app.staff import own, whom
from app.staff.access import client_blueprint, say
from app.staff.forms import PageForm, show_mistakes
from app.staff.wordings import spoken_fields
from app.staff.wordings.voices import LANGUAGES, VOICES
from app.staff.wordings.wording_files import keep_files
from app.staff.wordings.wording_preview import HEARD_BY, chips, preview
from app.staff.wordings.wording_trials import senders_for
from app.twilio import segments

WORDS = {
    TemplateKind.REPLY: "canned reply",
    TemplateKind.SMS: "text",
    TemplateKind.VOICE: "call",
}
NEXT = {
    TemplateKind.REPLY: "Choose it for a number to put it into use.",
    TemplateKind.SMS: "Choose it for a communication to send it.",
    TemplateKind.VOICE: "Choose it for a communication to call people with it.",
}
EXAMPLE = "example"
"""The value of ``as`` where nobody's part is taken: each placeholder shows its name."""
LISTS = {
    TemplateKind.REPLY: "client.replies",
    TemplateKind.SMS: "client.templates_list",
    TemplateKind.VOICE: "client.templates_list",
}


class WordingForm(PageForm):
    """A name, what is said, and pictures."""

    name = StringField("Name", description="For yourself and your colleagues; nobody else sees it.")
    body = TextAreaField("What it says")
    media = TextAreaField(
        "Pictures",
        description="Web addresses, one a line, at most ten and 5 MB together. Leave empty for"
        " none.",
    )

    @property
    def media_urls(self) -> list[str]:
        """The web addresses, one of each line."""
        return [line.strip() for line in (self.media.data or "").splitlines() if line.strip()]


@client_blueprint.get("/replies")
def replies() -> str:
    """List the canned replies."""
    return _list((TemplateKind.REPLY,), "Canned replies")


@client_blueprint.get("/templates")
def templates_list() -> str:
    """List the templates of texts and calls that are sent."""
    return _list((TemplateKind.SMS, TemplateKind.VOICE), "Templates")


def _list(kinds: tuple[TemplateKind, ...], title: str) -> str:
    rows = db.session.execute(
        select(Template, TemplateVersion)
        .join(
            TemplateVersion,
            (TemplateVersion.template_id == Template.id)
            & (TemplateVersion.number == Template.current_version),
        )
        .where(Template.client_id == g.client.id, Template.kind.in_(kinds))
        .order_by(Template.name)
    ).all()
    return render_template(
        "staff/wordings.html", title=title, rows=rows, kinds=kinds, words=WORDS,
        measure=segments.measure, Kind=TemplateKind,
    )  # fmt: skip


@client_blueprint.route("/templates/new/<kind>", methods=["GET", "POST"])
def template_new(kind: str) -> str | Response | tuple[str, int]:
    """Write a new canned reply or template."""
    if kind not in set(TemplateKind):
        abort(404)
    form = WordingForm()
    chosen = TemplateKind(kind)
    g.section = LISTS[chosen]
    if form.is_submitted():
        if saved := _save(form, form.name.data.strip(), chosen, is_new=True):
            say(f"“{saved.name}” is saved. {NEXT[chosen]}")
            return redirect(url_for("client.template", template_id=saved.id))
        return _editor(form, chosen, None), 422
    return _editor(form, chosen, None)


@client_blueprint.route("/templates/<template_id>", methods=["GET", "POST"])
def template(template_id: str) -> str | Response | tuple[str, int]:
    """Edit a canned reply or template; saving makes a new version."""
    found = own.find(Template, template_id, "template")
    g.section = LISTS[found.kind]
    current = catalog.current_version(db.session(), found)
    draft = drafts.find(db.session(), found)
    shown = draft if draft is not None and "draft" in request.args else current
    form = WordingForm(name=found.name, body=shown.body, media="\n".join(shown.media))
    if form.is_submitted():
        if _save(form, found.name, found.kind, is_new=False):
            return redirect(url_for("client.template", template_id=found.id))
        return _editor(form, found.kind, found), 422
    return _editor(form, found.kind, found)


@client_blueprint.post("/templates/<template_id>/restore/<int:number>")
def template_restore(template_id: str, number: int) -> Response:
    """Make an older version the current one again."""
    found = own.find(Template, template_id, "template")
    if number > found.current_version:
        abort(404, "There is no such version.")
    catalog.look_ahead(found.kind, catalog.version(db.session(), found, number).body)
    try:
        with unit_of_work() as session:
            rules = TwimlRules(session, session.get_one(Client, g.client.id)).problems
            _, changed = catalog.restore_version(session, found, number, current_user.email, rules)
            if changed:
                _note(session, "restore", found, {"version": number})
    except Refused as refused:
        say(str(refused), "bad")
    else:
        said = "is in use again" if changed else "says what is in use already"
        say(f"Version {number} {said}.")
    return redirect(url_for("client.template", template_id=found.id))


@client_blueprint.post("/templates/<template_id>/draft/<action>")
def template_draft(template_id: str, action: str) -> Response:
    """Put the draft into use, or throw it away."""
    found = own.find(Template, template_id, "template")
    if action not in ("use", "discard"):
        abort(404)
    mark = request.form.get("mark", "")
    draft = drafts.find(db.session(), found)
    if draft is not None and action == "use":
        catalog.look_ahead(found.kind, draft.body)
    try:
        with unit_of_work() as session:
            fresh = session.get_one(Template, found.id)
            if action == "use":
                rules = TwimlRules(session, session.get_one(Client, g.client.id)).problems
                drafts.use(session, fresh, mark, current_user.email, rules)
                said = f"The draft is in use, as version {fresh.current_version}."
            else:
                drafts.discard(session, fresh, mark, current_user.email)
                said = "The draft is gone."
    except Refused as refused:
        say(str(refused), "bad")
    else:
        say(said)
    return redirect(url_for("client.template", template_id=found.id))


@client_blueprint.post("/templates/<template_id>/delete")
def template_delete(template_id: str) -> Response:
    """Delete a template that nothing uses."""
    found = own.find(Template, template_id, "template")
    return own.delete(
        found, url_for("client.template", template_id=found.id), url_for(LISTS[found.kind])
    )


@client_blueprint.post("/templates/preview/<kind>")
def template_preview(kind: str) -> str:
    """Show what is being written, as the person who gets it would see it, and what it takes."""
    if kind not in set(TemplateKind):
        abort(404)
    form = WordingForm()
    who, wrong = None, ""
    if request.form.get("as", EXAMPLE) != EXAMPLE:
        try:
            who = whom.asked(db.session())
        except Refused as refused:
            wrong = str(refused)
    made = preview(
        TemplateKind(kind), spoken_fields.body(), form.media_urls, _columns(), _rules(), who
    )
    columns = who.attributes if who and who.attributes else _columns()
    return render_template(
        "staff/wording_preview.html", preview=made, media=form.media_urls, heard_by=HEARD_BY,
        who=who, who_wrong=wrong, chips=chips(columns),
    )  # fmt: skip


def _save(form: WordingForm, name: str, kind: TemplateKind, is_new: bool) -> Template | None:
    """Save the form's wording; on mistakes show them at their fields and return None."""
    form.body.data = spoken_fields.body().replace("\r\n", "\n").strip()
    try:
        if kind is not TemplateKind.VOICE:
            form.media.data = "\n".join([*form.media_urls, *keep_files(form.media_urls)])
        catalog.look_ahead(kind, form.body.data)
        with unit_of_work() as session:
            client = session.get_one(Client, g.client.id)
            written = {"name": name, "kind": kind, "body": form.body.data, "media": form.media_urls}
            known = None if is_new else named.find(session, Template, client.id, name)
            if known is not None and "draft" in request.form:
                return _keep_draft(session, known, form)
            saved = catalog.save(
                session, client, mistakes.parse(TemplateSpec, written), known, current_user.email,
                TwimlRules(session, client).problems,
            )  # fmt: skip
            if known is not None and "draft" in request.args:
                drafts.forget(session, known)
    except Refused as refused:
        show_mistakes(form, refused)
        return None
    if not is_new:
        number = saved.row.current_version
        say(f"Saved as version {number}." if saved else "Nothing has changed.")
    for caution in (
        catalog.unanswered(kind, form.body.data), catalog.meant(form.body.data, _columns())
    ):  # fmt: skip
        if caution:
            say(caution, "warn")
    return saved.row


def _keep_draft(session: Session, known: Template, form: WordingForm) -> Template:
    rules = TwimlRules(session, session.get_one(Client, g.client.id)).problems
    drafts.keep(session, known, form.body.data or "", form.media_urls, current_user.email, rules)
    say("Kept as a draft: nobody gets it before you use it. Try it below.")
    return known


def _columns() -> tuple[str, ...]:
    return populations.columns(db.session(), g.client.id)


def _rules() -> Rules:
    return TwimlRules(db.session(), g.client).problems


def _editor(form: WordingForm, kind: TemplateKind, found: Template | None) -> str:
    session = db.session()
    versions: list[TemplateVersion] = []
    if found is not None:
        versions = list(
            session.scalars(
                select(TemplateVersion)
                .where(TemplateVersion.template_id == found.id)
                .order_by(TemplateVersion.number.desc())
                .limit(20)
            )
        )
    return render_template(
        "staff/wording.html",
        form=form,
        kind=kind,
        Kind=TemplateKind,
        word=WORDS[kind],
        list_endpoint=LISTS[kind],
        template=found,
        draft=drafts.find(session, found) if found else None,
        is_draft_open="draft" in request.args,
        versions=versions,
        uses=catalog.in_use(session, found) if found else [],
        preview=preview(kind, form.body.data or "", form.media_urls, _columns(), _rules()),
        media=form.media_urls,
        senders=senders_for(kind),
        fields=spoken_fields.shown(form.body.data or ""),
        voices=VOICES,
        languages=LANGUAGES,
        heard_by=HEARD_BY,
        chips=chips(_columns()),
        choices=[(EXAMPLE, "An example"), *whom.choices(session)],
    )


def _note(session: Session, action: str, found: Template, details: dict[str, Any]) -> None:
    target = f"{WORDS[found.kind]} {found.name}"
    audit.record(session, current_user.email, action, target, g.client.id, details)
