"""Communications: what is said, to whom and from where; listed, written, looked at, deleted."""

from __future__ import annotations

from typing import Any

from flask import abort, g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain.mistakes import Refused
from app.domain.sending import authoring
from app.extensions import db, unit_of_work
from app.models.audience import Population
from app.models.batch import Batch
from app.models.communication import Campaign, Communication
from app.models.route import Destination
from app.models.sender import Sender
from app.models.suppression import SuppressionList
from app.models.template import Template, TemplateVersion
from app.models.user import Role
from app.staff import own, words
from app.staff.access import client_blueprint, say
from app.staff.sending import calendar, communication_form, schedule_fields
from app.staff.sending.communication_form import Form
from app.staff.systems import callback_fields

BATCHES = 20
NOUNS = {Destination.SMS: "text", Destination.VOICE: "call"}


@client_blueprint.get("/communications")
def communications() -> str:
    """List the communications by campaign, each with its last run."""
    session = db.session()
    latest = (
        select(func.max(Batch.id)).where(Batch.client_id == g.client.id)
        .group_by(Batch.communication_id)
    )  # fmt: skip
    rows = session.execute(
        select(Communication, Campaign, Population.name, Batch)
        .join(Campaign, Campaign.id == Communication.campaign_id)
        .outerjoin(Population, Population.id == Communication.population_id)
        .outerjoin(Batch, (Batch.communication_id == Communication.id) & Batch.id.in_(latest))
        .where(Communication.client_id == g.client.id)
        .order_by(Campaign.name, Communication.name)
    ).all()
    return render_template("staff/communications.html", rows=rows, nouns=NOUNS)


@client_blueprint.route("/communications/new/<destination>", methods=["GET", "POST"])
def communication_new(destination: str) -> str | Response | tuple[str, int]:
    """Write a new communication, of texts or of calls."""
    if destination not in set(Destination):
        abort(404)
    return _edit(None, Destination(destination))


@client_blueprint.route("/communications/<communication_id>/edit", methods=["GET", "POST"])
def communication_edit_page(communication_id: str) -> str | Response | tuple[str, int]:
    """Change a communication; batches that have begun go on as they were."""
    found = find(communication_id)
    return _edit(found, found.destination)


def _edit(
    found: Communication | None, destination: Destination
) -> str | Response | tuple[str, int]:
    session = db.session()
    choices = communication_form.choices(session, g.client.id, destination)
    form = communication_form.typed(destination)
    if request.method == "GET":
        form = (
            communication_form.stored(session, found)
            if found
            else communication_form.empty(destination, choices)
        )
        return _form_page(found, form, choices)
    try:
        spec = communication_form.read(session, g.client.id, form)
        with unit_of_work() as writing:
            known = writing.get_one(Communication, found.id) if found else None
            saved = authoring.save(
                writing, g.client.id, spec, known, current_user.email,
                granting=g.role is Role.OWNER,
            ).row  # fmt: skip
    except Refused as refused:
        communication_form.show_mistakes(form, refused)
        return _form_page(found, form, choices), 422
    more = "" if found else " Nothing is sent yet."
    if saved.next_run_at is not None:
        more = f" It goes out by itself, {words.when(saved.next_run_at)} at first."
    say(f"“{saved.name}” is saved.{more}")
    return redirect(url_for("client.communication", communication_id=saved.id))


def _form_page(found: Communication | None, form: Form, choices: communication_form.Choices) -> str:
    return render_template(
        "staff/communication_form.html",
        found=found,
        form=form,
        choices=choices,
        noun=NOUNS[form.destination],
        detection=communication_form.DETECTION,
        call_options=communication_form.CALL_OPTIONS,
        days=schedule_fields.DAYS,
    )


@client_blueprint.get("/communications/<communication_id>")
def communication(communication_id: str) -> str:
    """Show one communication, what it says, and its runs."""
    found = find(communication_id)
    session = db.session()
    batches = session.scalars(
        select(Batch)
        .where(Batch.communication_id == found.id)
        .order_by(Batch.id.desc())
        .limit(BATCHES)
    ).all()
    return render_template(
        "staff/communication.html",
        found=found,
        noun=NOUNS[found.destination],
        detection=communication_form.DETECTION,
        call_options=communication_form.stored_options(found),
        batches=batches,
        **calendar.by_itself(session, found),
        said=_said(session, found),
        callbacks=[
            one for one in callback_fields.saved(session, g.client.id, found.id) if one.chosen
        ],
        **_names(session, found),
    )


@client_blueprint.post("/communications/<communication_id>/delete")
def communication_delete(communication_id: str) -> Response:
    """Delete a communication that was never run."""
    found = find(communication_id)
    try:
        with unit_of_work() as session:
            fresh = session.get_one(Communication, found.id)
            authoring.remove(session, fresh, current_user.email)
    except Refused as refused:
        say(str(refused), "bad")
        return redirect(url_for("client.communication", communication_id=found.id))
    say(f"“{found.name}” is deleted.")
    return redirect(url_for("client.communications"))


def find(communication_id: str) -> Communication:
    """Return the client's communication of that id; stop with 404 otherwise."""
    return own.find(Communication, communication_id, "communication")


def _said(session: Session, found: Communication) -> list[tuple[Template, TemplateVersion, int]]:
    """Return what is said in order: template, current version, seconds after the one before."""
    said = []
    chain = [(found.template_id, 0)] + [(step.template_id, step.after) for step in found.steps]
    for template_id, after in chain:
        template, version = session.execute(
            select(Template, TemplateVersion)
            .join(TemplateVersion, TemplateVersion.template_id == Template.id)
            .where(Template.id == template_id, TemplateVersion.number == Template.current_version)
        ).one()
        said.append((template, version, after))
    return said


def _names(session: Session, found: Communication) -> dict[str, Any]:
    return {
        "campaign": session.get_one(Campaign, found.campaign_id),
        "population": session.get(Population, found.population_id or ""),
        "suppression": session.get(SuppressionList, found.suppression_list_id or ""),
        "sender": session.get_one(Sender, found.sender_id),
    }
