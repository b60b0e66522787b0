"""Populations: lists of people, page by page, changed one by one or from a CSV file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Response, abort, g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from app.domain import attributes, deletion, mistakes, tables
from app.domain.attributes import ADDRESS, KNOWN, NAME, PHONE
from app.domain.audience import members, populations, taking
from app.domain.audience.populations import PopulationSpec
from app.domain.mistakes import Refused
from app.domain.relaying import bounces
from app.extensions import db, unit_of_work
from app.models.audience import Member, Population
from app.models.endpoint import Endpoint
from app.staff import downloads, listing, own
from app.staff.access import client_blueprint, say
from app.staff.lists.imports import Wrong

PAGE = 25
TOGETHER = 1000
SPARE_ROWS = 3
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
            spec = mistakes.parse(PopulationSpec, {"name": request.form.get("name", "")})
            made = populations.save(session, g.client.id, spec, None, current_user.email).row
    except Refused as refused:
        return _list(own.sentences(refused)), 422
    say(f"“{made.name}” is ready. Add people to it, one by one or from a file.")
    return _back(made)


@client_blueprint.get("/populations/<population_id>")
def population(population_id: str) -> str:
    """Show the people of a population."""
    return page_of(_find(population_id), Wrong())


@client_blueprint.get("/populations/<population_id>/export")
def population_export(population_id: str) -> Response:
    """Hand the people out as CSV, a column for each attribute."""
    found = _find(population_id)
    query = (
        select(Member.attributes)
        .where(Member.roll == found.roll)
        .order_by(Member.id)
        .execution_options(yield_per=TOGETHER)
    )
    names = dict.fromkeys(KNOWN)
    for person in db.session.scalars(query):
        names.update(dict.fromkeys(person))
    rows = ([person.get(one) for one in names] for person in db.session.scalars(query))
    content = tables.write(names, rows)
    with unit_of_work() as session:
        own.note(session, "export", f"population {found.name}")
    return downloads.hand_out(found.name, content)


@client_blueprint.post("/populations/<population_id>/delete")
def population_delete(population_id: str) -> BaseResponse:
    """Delete a population that nothing uses, with its people."""
    found = _find(population_id)
    return own.delete(
        found, url_for("client.population", population_id=found.id), url_for("client.populations")
    )


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
    taking.ahead(found.id)
    try:
        with unit_of_work() as session:
            population = session.get_one(Population, found.id)
            fresh = session.get_one(Member, gone.id)
            members.remove(session, population, fresh, current_user.email)
    except Refused as refused:
        say(str(refused), "bad")
        return _back(found)
    say(f"{members.called(gone.attributes)} is no longer in this population.")
    return _back(found)


def _edit(found: Population, member: Member | None) -> str | BaseResponse | tuple[str, int]:
    if request.method == "GET":
        return _form(found, member, member.attributes if member else {}, [])
    typed = _typed()
    taking.ahead(found.id)
    try:
        with unit_of_work() as session:
            current = session.get(Member, member.id) if member else None
            population = session.get_one(Population, found.id)
            wanted = attributes.like(current.attributes, typed) if current else typed
            members.save(session, population, wanted, current, current_user.email)
    except Refused as refused:
        return _form(found, member, typed, own.sentences(refused)), 422
    say("Saved.")
    return _back(found)


def _typed() -> dict[str, Any]:
    names, values = request.form.getlist("attribute"), request.form.getlist("value")
    pairs = [(name, request.form.get(name, "")) for name in KNOWN]
    pairs += zip(names, values, strict=False)
    named = ((name.strip(), value.strip()) for name, value in pairs)
    return attributes.from_text(pair for pair in named if pair[0])


def _form(found: Population, member: Member | None, known: dict[str, Any], wrong: list[str]) -> str:
    others = [(name, value) for name, value in known.items() if name not in KNOWN]
    present = {name for name, _ in others}
    usual = [name for name in _usual_attributes(db.session(), found) if name not in present]
    return render_template(
        "staff/population_member.html",
        found=found,
        member=member,
        attributes=known,
        back=next(iter(_came_back([known]).values()), None) if member else None,
        pairs=[
            *((name, attributes.text(value)) for name, value in others),
            *((name, "") for name in usual),
            *[("", "")] * SPARE_ROWS,
        ],
        mistakes=wrong,
    )


def _came_back(people: Iterable[Mapping[str, Any]]) -> dict[str, Endpoint]:
    addresses = (attributes.text(one.get(ADDRESS) or "") for one in people)
    return bounces.known(db.session(), g.client.id, addresses)


def _usual_attributes(session: Session, found: Population) -> list[str]:
    """Return the attributes that others of this population have, seen from its last one."""
    query = select(Member.attributes).where(Member.roll == found.roll)
    latest = session.scalar(query.order_by(Member.id.desc()).limit(1)) or {}
    return [name for name in latest if name not in KNOWN]


def _find(population_id: str) -> Population:
    return own.find(Population, population_id, "population")


def _member(found: Population, member_id: int) -> Member:
    member = db.session.get(Member, member_id) if member_id <= MAX_ID else None
    if member is None or member.roll != found.roll:
        abort(404, "This person is not in the population; they may have been removed.")
    return member


def _back(found: Population) -> BaseResponse:
    return redirect(url_for("client.population", population_id=found.id))


def _list(wrong: list[str]) -> str:
    sizes = (
        select(Member.roll, func.count().label("n"))
        .join(Population, Population.roll == Member.roll)
        .where(Population.client_id == g.client.id)
        .group_by(Member.roll)
        .subquery()
    )
    rows = db.session.execute(
        select(Population, func.coalesce(sizes.c.n, 0))
        .outerjoin(sizes, sizes.c.roll == Population.roll)
        .where(Population.client_id == g.client.id)
        .order_by(Population.name)
    ).all()
    return render_template("staff/populations.html", rows=rows, mistakes=wrong)


def page_of(found: Population, wrong: Wrong) -> str:
    """Show the people of a population, and what is wrong with what was sent."""
    session = db.session()
    page = _people(session, found)
    return render_template(
        "staff/population.html",
        found=found,
        page=page,
        bounced=_came_back(one.attributes for one in page.rows),
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
        select(Member).where(Member.roll == found.roll),
        (Member.id,),
        (int(after),) if listing.is_small(after) else None,
        size=PAGE,
        wanted=[or_(*matches)] if matches else [],
        newest_first=False,
    )
