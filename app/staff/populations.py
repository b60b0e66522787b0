"""Populations: lists of people, page by page, changed one by one or from a CSV file."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, g, redirect, render_template, request, url_for
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from app.domain import attributes as attributes_of_people
from app.domain import csv_files, deletion
from app.domain.audience import population_files, populations
from app.domain.audience.population_files import Imported, People
from app.domain.audience.populations import ADDRESS, NAME, PHONE
from app.domain.csv_files import FaultyRows, Table
from app.domain.mistakes import Refused
from app.extensions import db, unit_of_work
from app.models.audience import Member, Population
from app.staff import imports, listing, own
from app.staff.access import client_blueprint, say
from app.staff.imports import Unfit, Wrong

PAGE = 25
TOGETHER = 1000
SPARE_ROWS = 3
KNOWN = (NAME, PHONE, ADDRESS)
MAX_ID = 2**63 - 1


@client_blueprint.get("/populations", endpoint="populations")
def list_of_populations() -> str:
    """List the populations with their sizes."""
    return _list([])


@client_blueprint.post("/populations")
def population_new() -> BaseResponse | tuple[str, int]:
    """Make an empty population."""
    try:
        with unit_of_work() as session:
            made = populations.create(session, g.client.id, request.form.get("name", ""))
            own.note(session, "create", f"population {made.name}")
    except Refused as refused:
        return _list(own.sentences(refused)), 422
    say(f"“{made.name}” is ready. Add people to it, one by one or from a file.")
    return _back(made)


@client_blueprint.get("/populations/<population_id>")
def population(population_id: str) -> str:
    """Show the people of a population."""
    return _page(_find(population_id), Wrong())


@client_blueprint.post("/populations/<population_id>/import")
def population_import(population_id: str) -> BaseResponse | tuple[str, int]:
    """Take people in from a CSV file."""
    found = _find(population_id)
    replace = request.form.get("mode") == "replace"

    def save(session: Session, people: People) -> Imported:
        done = population_files.merge(session, found.id, people, replace=replace)
        own.note(session, "import", f"population {found.name}", vars(done))
        return done

    try:
        done, _, left_out = imports.take_in(_people_of, save)
    except Unfit as unfit:
        return _page(found, unfit.wrong), 422
    say(_what_was_done(done, left_out))
    return _back(found)


def _people_of(table: Table) -> tuple[People, FaultyRows]:
    people, faulty = population_files.read_people(table)
    if not len(people) and not faulty.count:
        raise Refused.because("The file names nobody: there is nothing under its first line.")
    return people, faulty


def _what_was_done(done: Imported, left_out: int) -> str:
    parts = [
        f"{done.added:,} new",
        f"{done.changed:,} changed",
        f"{done.same:,} the same as before",
    ]
    if done.removed:
        parts.append(f"{done.removed:,} removed")
    if left_out:
        parts.append(f"{imports.count(left_out, 'faulty row', 'faulty rows')} left out")
    return f"The file is in: {', '.join(parts)}."


@client_blueprint.get("/populations/<population_id>/export")
def population_export(population_id: str) -> Response:
    """Hand the people out as CSV, a column for each attribute."""
    found = _find(population_id)
    query = (
        select(Member.attributes)
        .where(Member.population_id == found.id)
        .order_by(Member.id)
        .execution_options(yield_per=TOGETHER)
    )
    names = dict.fromkeys(KNOWN)
    for person in db.session.scalars(query):
        names.update(dict.fromkeys(person))
    rows = ([person.get(one) for one in names] for person in db.session.scalars(query))
    content = csv_files.write(names, rows)
    with unit_of_work() as session:
        own.note(session, "export", f"population {found.name}")
    return imports.hand_out(found.name, content)


@client_blueprint.post("/populations/<population_id>/delete")
def population_delete(population_id: str) -> BaseResponse:
    """Delete a population that nothing uses, with its people."""
    found = _find(population_id)
    try:
        with unit_of_work() as session:
            deletion.delete_thing(session, session.get_one(Population, found.id))
            own.note(session, "delete", f"population {found.name}")
    except Refused as refused:
        say(str(refused), "bad")
        return _back(found)
    say(f"“{found.name}” is deleted.")
    return redirect(url_for("client.populations"))


@client_blueprint.route("/populations/<population_id>/people/new", methods=["GET", "POST"])
def population_member_new(population_id: str) -> str | BaseResponse | tuple[str, int]:
    """Add one person."""
    return _edit(_find(population_id), None)


@client_blueprint.route(
    "/populations/<population_id>/people/<int:member_id>", methods=["GET", "POST"]
)
def population_member(population_id: str, member_id: int) -> str | BaseResponse | tuple[str, int]:
    """Change one person's attributes."""
    found = _find(population_id)
    return _edit(found, _member(found, member_id))


@client_blueprint.post("/populations/<population_id>/people/<int:member_id>/remove")
def population_member_remove(population_id: str, member_id: int) -> BaseResponse:
    """Take one person out of a population."""
    found = _find(population_id)
    gone = _member(found, member_id)
    with unit_of_work() as session:
        session.delete(session.get_one(Member, gone.id))
        own.note(session, "remove", f"{_called(gone.attributes)} from population {found.name}")
    say(f"{_called(gone.attributes)} is no longer in this population.")
    return _back(found)


def _edit(found: Population, member: Member | None) -> str | BaseResponse | tuple[str, int]:
    if request.method == "GET":
        return _form(found, member, member.attributes if member else {}, [])
    typed = _typed()
    try:
        with unit_of_work() as session:
            current = session.get(Member, member.id) if member else None
            saved = populations.save_member(session, found.id, typed, current)
            action = "change" if member else "add"
            own.note(session, action, f"{_called(saved.attributes)} in population {found.name}")
    except Refused as refused:
        return _form(found, member, typed, own.sentences(refused)), 422
    say("Saved.")
    return _back(found)


def _typed() -> dict[str, str]:
    typed = {name: request.form.get(name, "").strip() for name in KNOWN}
    pairs = zip(request.form.getlist("attribute"), request.form.getlist("value"), strict=False)
    typed |= {name.strip(): value.strip() for name, value in pairs if name.strip()}
    return typed


def _form(
    found: Population, member: Member | None, attributes: dict[str, Any], mistakes: list[str]
) -> str:
    others = [(name, value) for name, value in attributes.items() if name not in KNOWN]
    present = {name for name, _ in others}
    usual = [name for name in _usual_attributes(db.session(), found) if name not in present]
    return render_template(
        "staff/population_member.html",
        found=found,
        member=member,
        attributes=attributes,
        pairs=[
            *((name, attributes_of_people.text(value)) for name, value in others),
            *((name, "") for name in usual),
            *[("", "")] * SPARE_ROWS,
        ],
        mistakes=mistakes,
    )


def _usual_attributes(session: Session, found: Population) -> list[str]:
    """Return the attributes that others of this population have, seen from its last one."""
    query = select(Member.attributes).where(Member.population_id == found.id)
    latest = session.scalar(query.order_by(Member.id.desc()).limit(1)) or {}
    return [name for name in latest if name not in KNOWN]


def _called(attributes: dict[str, Any]) -> str:
    return str(next(filter(None, map(attributes.get, KNOWN)), "somebody"))[:100]


def _find(population_id: str) -> Population:
    return own.find(Population, population_id, "population")


def _member(found: Population, member_id: int) -> Member:
    member = db.session.get(Member, member_id) if member_id <= MAX_ID else None
    if member is None or member.population_id != found.id:
        abort(404, "This person is not in the population; they may have been removed.")
    return member


def _back(found: Population) -> BaseResponse:
    return redirect(url_for("client.population", population_id=found.id))


def _list(mistakes: list[str]) -> str:
    sizes = (
        select(Member.population_id, func.count().label("n"))
        .join(Population, Population.id == Member.population_id)
        .where(Population.client_id == g.client.id)
        .group_by(Member.population_id)
        .subquery()
    )
    rows = db.session.execute(
        select(Population, func.coalesce(sizes.c.n, 0))
        .outerjoin(sizes, sizes.c.population_id == Population.id)
        .where(Population.client_id == g.client.id)
        .order_by(Population.name)
    ).all()
    return render_template("staff/populations.html", rows=rows, mistakes=mistakes)


def _page(found: Population, wrong: Wrong) -> str:
    session = db.session()
    return render_template(
        "staff/population.html",
        found=found,
        page=_people(session, found),
        size=populations.size(session, found.id),
        q=request.args.get("q", ""),
        known=KNOWN,
        uses=deletion.in_use(session, found),
        wrong=wrong,
    )


def _people(session: Session, found: Population) -> listing.Page[Member]:
    """Return one page of the people, in the order in which they came."""
    matches = []
    if wanted := request.args.get("q", "").strip()[:100]:
        matches = [
            Member.attributes[name].as_string().icontains(wanted, autoescape=True)
            for name in (NAME, ADDRESS)
        ]
        if digits := "".join(filter(str.isdigit, wanted)):
            phone = Member.attributes[PHONE].as_string()
            matches.append(phone.contains(digits, autoescape=True))
    after = request.args.get("after", "")
    return listing.page(
        session,
        select(Member).where(Member.population_id == found.id),
        (Member.id,),
        (int(after),) if listing.is_small(after) else None,
        size=PAGE,
        wanted=[or_(*matches)] if matches else [],
        newest_first=False,
    )
