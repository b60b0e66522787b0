"""Suppression lists: who must not be texted, since when and why; by hand and by file."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Response, abort, g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from app.domain import deletion, mistakes
from app.domain.audience import in_force, names, suppression, suppression_files, suppression_lists
from app.domain.audience.suppression_lists import SuppressionListSpec
from app.domain.mistakes import Refused
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.sender import Sender, SenderKind
from app.models.suppression import (
    LIFTED_BY_START,
    SCOPE_ALL,
    SuppressionEntry,
    SuppressionList,
    SuppressionReason,
    SuppressionSource,
)
from app.staff import downloads, listing, own, words
from app.staff.access import client_blueprint, say
from app.staff.lists import imports
from app.staff.lists.imports import Unfit, Wrong, count
from app.twilio import errors

PAGE = 25
SOURCES = {
    SuppressionSource.KEYWORD: "They texted STOP",
    SuppressionSource.TWILIO: "Twilio said so",
    SuppressionSource.MANUAL: "Added by hand",
    SuppressionSource.IMPORT: "From a file",
}
KINDS = {
    "": "In force",
    "opted_out": "Opted out",
    "unreachable": "Cannot be reached",
    "lifted": "Lifted or over",
    "all": "All",
}


@client_blueprint.get("/suppression-lists", endpoint="suppression_lists")
def list_of_lists() -> str:
    """List the suppression lists with how many phones are on each."""
    return _lists([])


@client_blueprint.post("/suppression-lists")
def suppression_list_new() -> BaseResponse | tuple[str, int]:
    """Make a list."""
    try:
        with unit_of_work() as session:
            spec = mistakes.parse(SuppressionListSpec, {"name": request.form.get("name", "")})
            by = current_user.email
            made = suppression_lists.save(session, g.client.id, spec, None, by).row
    except Refused as refused:
        return _lists(own.sentences(refused)), 422
    say(f"“{made.name}” is ready. Choose it for a number or a communication to put it to work.")
    return redirect(url_for("client.suppression_list", list_id=made.id))


@client_blueprint.get("/suppression-lists/<list_id>")
def suppression_list(list_id: str) -> str:
    """Show the phones on a list."""
    return _page(_find(list_id), Wrong())


@client_blueprint.post("/suppression-lists/<list_id>/add")
def suppression_add(list_id: str) -> BaseResponse | tuple[str, int]:
    """Put one phone on a list."""
    found = _find(list_id)
    typed = request.form.get("phone", "")
    try:
        with unit_of_work() as session:
            scope = request.form.get("scope", SCOPE_ALL)
            by = current_user.email
            entry, added = suppression_lists.add(session, found, typed, scope, by)
    except Refused as refused:
        return _page(found, Wrong(own.sentences(refused), typed=typed)), 422
    say(f"{entry.phone} is on the list{'' if added else ' already'}.")
    return _back(found)


@client_blueprint.post("/suppression-lists/<list_id>/entries/<entry_id>/lift")
def suppression_lift(list_id: str, entry_id: str) -> BaseResponse:
    """Lift one entry: the phone may be texted again, as far as we are concerned."""
    found = _find(list_id)
    entry = db.session.get(SuppressionEntry, entry_id)
    if entry is None or entry.list_id != found.id:
        abort(404, "This phone is not on the list.")
    with unit_of_work() as session:
        suppression_lists.lift(session, found, entry.phone, [entry], current_user.email)
    if entry.reason is SuppressionReason.OPTED_OUT and entry.source in LIFTED_BY_START:
        say(
            f"{words.phone(entry.phone)} is lifted here. Twilio keeps a list of its own, though: it"
            f" goes on refusing texts to this phone until its owner texts START{_to(entry)}.",
            "warn",
        )
    else:
        say(f"{words.phone(entry.phone)} may be texted again.")
    return _back(found)


@client_blueprint.post("/suppression-lists/<list_id>/import")
def suppression_import(list_id: str) -> BaseResponse | tuple[str, int]:
    """Put the phones of a CSV file on a list."""
    found = _find(list_id)

    def save(session: Session, phones: Sequence[str]) -> int:
        added = suppression.suppress_all(
            session, found.id, phones, source=SuppressionSource.IMPORT, at=utcnow()
        )
        own.note(session, "import", f"suppression list {found.name}", {"phones": added})
        return added

    try:
        added, phones, left_out = imports.take_in(suppression_files.read_phones, save)
    except Unfit as unfit:
        return _page(found, unfit.wrong), 422
    known = count(len(phones) - added, "was", "were")
    faulty = (
        f" {count(left_out, 'faulty row was', 'faulty rows were')} left out." if left_out else ""
    )
    say(f"{count(added, 'phone was', 'phones were')} added, {known} on it already.{faulty}")
    return _back(found)


@client_blueprint.get("/suppression-lists/<list_id>/export")
def suppression_export(list_id: str) -> Response:
    """Hand the list out as CSV."""
    found = _find(list_id)
    content = suppression_files.export(db.session(), found)
    with unit_of_work() as session:
        own.note(session, "export", f"suppression list {found.name}")
    return downloads.hand_out(found.name, content)


@client_blueprint.post("/suppression-lists/<list_id>/delete")
def suppression_list_delete(list_id: str) -> BaseResponse:
    """Delete a list that nothing uses."""
    found = _find(list_id)
    return own.delete(
        found,
        url_for("client.suppression_list", list_id=found.id),
        url_for("client.suppression_lists"),
    )


def _to(entry: SuppressionEntry) -> str:
    """Say to which number, where the entry is about one."""
    sender = db.session.get(Sender, entry.scope)
    return f" to {sender.name or words.phone(sender.address)}" if sender else ""


def _find(list_id: str) -> SuppressionList:
    return own.find(SuppressionList, list_id, "suppression list")


def _back(found: SuppressionList) -> BaseResponse:
    return redirect(url_for("client.suppression_list", list_id=found.id))


def _lists(wrong: list[str]) -> str:
    counted = (
        select(SuppressionEntry.list_id, func.count(SuppressionEntry.phone.distinct()).label("n"))
        .join(SuppressionList, SuppressionList.id == SuppressionEntry.list_id)
        .where(SuppressionList.client_id == g.client.id, in_force.counts(utcnow()))
        .group_by(SuppressionEntry.list_id)
        .subquery()
    )
    rows = db.session.execute(
        select(SuppressionList, func.coalesce(counted.c.n, 0))
        .outerjoin(counted, counted.c.list_id == SuppressionList.id)
        .where(SuppressionList.client_id == g.client.id)
        .order_by(SuppressionList.name)
    ).all()
    return render_template("staff/suppression_lists.html", rows=rows, mistakes=wrong)


def _page(found: SuppressionList, wrong: Wrong) -> str:
    session = db.session()
    senders = list(
        session.scalars(
            select(Sender)
            .where(Sender.client_id == g.client.id, Sender.kind != SenderKind.VERIFIED)
            .order_by(Sender.address)
        )
    )
    shown = _entries(session, found)
    return render_template(
        "staff/suppression_list.html",
        found=found,
        page=shown,
        known=names.of(session, g.client.id, {one.phone for one in shown.rows}),
        q=request.args.get("q", ""),
        kind=request.args.get("kind", ""),
        kinds=KINDS,
        why=_why,
        now=utcnow(),
        scopes={sender.id: sender for sender in senders},
        uses=deletion.in_use(session, found),
        wrong=wrong,
    )


def _why(entry: SuppressionEntry) -> str:
    if entry.reason is SuppressionReason.UNREACHABLE:
        return f"Cannot be reached: {errors.explain(entry.error_code)} ({entry.error_code})"
    return SOURCES[entry.source]


def _entries(session: Session, found: SuppressionList) -> listing.Page[SuppressionEntry]:
    """Return one page of the entries, newest first."""
    entry = SuppressionEntry
    wanted: list[ColumnElement[bool]] = []
    kind = request.args.get("kind", "")
    if kind != "all":
        counts = in_force.counts(utcnow())
        wanted.append(~counts if kind == "lifted" else counts)
    if kind in list(SuppressionReason):
        wanted.append(entry.reason == kind)
    if digits := "".join(filter(str.isdigit, request.args.get("q", "")))[:20]:
        wanted.append(entry.phone.contains(digits, autoescape=True))
    before = request.args.get("before", "")[:26]
    query = select(entry).where(entry.list_id == found.id)
    after = (before,) if before else None
    return listing.page(session, query, (entry.id,), after, size=PAGE, wanted=wanted)
