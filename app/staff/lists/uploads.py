"""Uploaded files with people: looked at first, mapped and mended, and only then taken in."""

from __future__ import annotations

from typing import Any, cast

from flask import Response, abort, redirect, render_template, request, url_for
from flask_login import current_user
from pydantic import ValidationError
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from app.domain import audit, leftovers
from app.domain.attributes import ADDRESS, KNOWN, NAME, PHONE
from app.domain.audience import columns, uploads
from app.domain.audience.arrivals import TakenIn
from app.domain.audience.columns import LEFT_OUT, attribute_of
from app.domain.audience.uploads import Look, Wanted
from app.domain.mistakes import Refused
from app.domain.tables.csv_text import SEPARATORS
from app.domain.tables.encodings import NAMES
from app.domain.tables.lines import MAX_COLUMNS
from app.extensions import unit_of_work
from app.models.audience import Population
from app.models.upload import Upload
from app.staff import downloads, own
from app.staff.access import client_blueprint, say
from app.staff.lists import imports, populations
from app.staff.lists.imports import Wrong

SHOWN_MISTAKES = 100
SHOWN_READINGS = 5
OTHER = "other"
"""In place of an attribute in the form: one with the name that is typed beside it."""
USES = {PHONE: "Phone", NAME: "Name", ADDRESS: "E-mail address"}
PATH = "/populations/<population_id>/uploads/<upload_id>"


@client_blueprint.post("/populations/<population_id>/import")
def population_import(population_id: str) -> BaseResponse | tuple[str, int]:
    """Keep a file with people, to be looked at."""
    found = own.find(Population, population_id, "population")
    try:
        file = own.uploaded_file()
        with unit_of_work() as session:
            kept = uploads.store(session, found, file, request.files["file"].filename or "")
            own.note(session, "upload", f"{kept.filename[:100]} for population {found.name}")
    except Refused as refused:
        return populations.page_of(found, Wrong(own.sentences(refused))), 422
    return redirect(_url(kept), 303)


@client_blueprint.get(PATH)
def population_upload(population_id: str, upload_id: str) -> str:
    """Show what a file holds, and how it was read."""
    found, upload = _find(population_id, upload_id)
    if upload.saved_at is not None:
        return render_template(
            "staff/population_upload_done.html", found=found, upload=upload, done=_result(upload)
        )
    return _page(found, upload, uploads.look(upload, uploads.wanted_of(upload)))


@client_blueprint.post(PATH)
def population_upload_save(
    population_id: str, upload_id: str
) -> str | BaseResponse | tuple[str, int]:
    """Read the file as was said, to be looked at again or to be taken in."""
    found, upload = _find(population_id, upload_id)
    try:
        wanted = _wanted()
    except Refused as refused:
        looked = uploads.look(upload, uploads.wanted_of(upload))
        return _page(found, upload, looked, own.sentences(refused)), 422
    looked = uploads.look(upload, wanted)
    _keep(upload, wanted, looked)
    if looked.wrong:
        return _page(found, upload, looked), 422
    if request.form.get("action") != "save":
        return redirect(f"{_url(upload)}#read", 303)
    if looked.faulty.count and "skip" not in request.form:
        told = "Nothing was saved: some rows have mistakes. Mend the file, or leave them out."
        return _page(found, upload, looked, [told]), 422
    return _save(found, upload, wanted, looked)


def _save(
    found: Population, upload: Upload, wanted: Wanted, looked: Look
) -> BaseResponse | tuple[str, int]:
    by, url = current_user.email, _url(upload)
    left_out = looked.faulty.count

    def note(session: Session, population: Population, done: TakenIn) -> None:
        told = {**vars(done), "left_out": left_out}
        name = f"population {population.name}"
        audit.record(session, by, "import", name, population.client_id, told)

    replace = request.form.get("mode") == "replace"
    try:
        done = uploads.save(upload, wanted, looked, note, replace=replace)
    except Refused as refused:
        found, upload = _find(found.id, url.rpartition("/")[2])
        return _page(found, upload, looked, own.sentences(refused)), 422
    say(what_was_done(vars(done), left_out))
    if left_out:
        return redirect(url, 303)
    return redirect(url_for("client.population", population_id=found.id), 303)


@client_blueprint.get(f"{PATH}/faulty.csv")
def population_upload_faulty(population_id: str, upload_id: str) -> Response:
    """Hand out the rows that cannot be taken, with what is wrong, to be mended."""
    found, upload = _find(population_id, upload_id)
    try:
        content = "".join(uploads.faulty_rows(upload))
    except Refused as refused:
        abort(404, str(refused))
    return downloads.hand_out(f"{found.name} to mend", content)


@client_blueprint.post(f"{PATH}/discard")
def population_upload_discard(population_id: str, upload_id: str) -> BaseResponse:
    """Throw a file away; who is in the population stays as they are."""
    found, upload = _find(population_id, upload_id)
    with unit_of_work() as session:
        leftovers.remove_uploads(session, [upload.id])
        own.note(session, "discard", f"{upload.filename[:100]} for population {found.name}")
    say("The file is thrown away. Nothing was changed.")
    return redirect(url_for("client.population", population_id=found.id))


def what_was_done(done: dict[str, Any], left_out: int) -> str:
    """Say what became of a file's people."""
    parts = [
        f"{done.get('added', 0):,} new",
        f"{done.get('changed', 0):,} changed",
        f"{done.get('same', 0):,} the same as before",
    ]
    if done.get("removed"):
        parts.append(f"{done['removed']:,} removed")
    if left_out:
        parts.append(f"{imports.count(left_out, 'faulty row', 'faulty rows')} left out")
    return f"The file is in: {', '.join(parts)}."


def _find(population_id: str, upload_id: str) -> tuple[Population, Upload]:
    found = own.find(Population, population_id, "population")
    upload = own.find(Upload, upload_id, "file")
    if upload.population_id != found.id:
        abort(404, "There is no such file for this population.")
    return found, upload


def _url(upload: Upload) -> str:
    return url_for(
        "client.population_upload", population_id=upload.population_id, upload_id=upload.id
    )


def _result(upload: Upload) -> dict[str, Any]:
    numbers = upload.result or {}
    kept = {key: value for key, value in numbers.items() if isinstance(value, int)}
    left_out = kept.get("left_out", 0)
    return {"said": what_was_done(kept, left_out), "left_out": left_out}


def _keep(upload: Upload, wanted: Wanted, looked: Look) -> None:
    """Keep what was said, and remember what columns are where that holds."""
    with unit_of_work() as session:
        session.get_one(Upload, upload.id).choices = wanted.model_dump()
        if not looked.wrong:
            population = session.get_one(Population, upload.population_id)
            uploads.remember(population, looked.names)


def _wanted() -> Wanted:
    """Read the form.

    :raises Refused: when something in it is not among what can be chosen.
    """
    form = request.form
    line = form.get("header_line", "").strip()
    labels = [(place, form.get(f"label-{place}")) for place in range(MAX_COLUMNS)]
    try:
        return Wanted(
            sheet=form.get("sheet") or None,
            encoding=form.get("another") or form.get("encoding") or None,
            separator=form.get("separator") or None,
            header_line=cast(Any, line or None),
            with_hidden="with_hidden" in form,
            columns={label: _attribute(place, label) for place, label in labels if label},
        )
    except ValidationError:
        raise Refused.because("Say the number of the line that names the columns.") from None


def _attribute(place: int, label: str) -> str:
    """Return what a column becomes, by the form."""
    chosen = request.form.get(f"as-{place}", LEFT_OUT)
    if chosen in KNOWN or chosen == LEFT_OUT:
        return chosen
    typed = request.form.get(f"name-{place}", "").strip()
    if typed == label or not typed:
        return typed or attribute_of(label) or f"column_{place + 1}"
    return attribute_of(typed) or typed


def _page(
    found: Population, upload: Upload, looked: Look, mistakes: list[str] | None = None
) -> str:
    opened = looked.opened
    readings = [
        one
        for one in (opened.readings if opened else ())
        if one.score > opened.readings[0].score - 0.5  # type: ignore[union-attr]
    ]
    return render_template(
        "staff/population_upload.html",
        found=found,
        upload=upload,
        look=looked,
        opened=opened,
        wanted=uploads.wanted_of(upload),
        columns=_columns(looked),
        readings=readings[:SHOWN_READINGS],
        encodings=NAMES,
        separators=SEPARATORS,
        uses=USES,
        faults=looked.faulty.named[:SHOWN_MISTAKES],
        mistakes=[*(mistakes or []), *looked.wrong],
        skip="skip" in request.form,
        mode=request.form.get("mode", "add"),
        fault_column=columns.FAULTS,
    )


def _columns(looked: Look) -> list[dict[str, Any]]:
    if looked.opened is None:
        return []
    table = looked.opened.table
    return [
        {
            "label": label,
            "name": looked.names.get(label, LEFT_OUT),
            "samples": [one[label] for one in table.samples if one.get(label)][:3],
        }
        for label in table.columns
    ]
