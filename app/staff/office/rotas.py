"""Rotas: who is on duty, as weeks that people can see and change."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from flask import g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response

from app.domain import deletion, mistakes
from app.domain.hours.schedule import DAY
from app.domain.mistakes import Refused
from app.domain.rotas import rotas
from app.domain.rotas.duty import Turn
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.rota import Rota
from app.staff import own
from app.staff.access import client_blueprint, say
from app.staff.office.office_hours import DAYS, Bar

_PERSON_LINE = "A line of “People” is a name and a phone, such as Pat (319) 555-0123."
_OF_PHONES = "0123456789 \t().+/-"
_PHONE_BEGINS = re.compile(r"(?<=[\s,:])\+?\(?\d")


@dataclass
class RotaForm:
    """A rota being edited: as typed, and what is wrong."""

    name: str = ""
    people: str = ""
    weeks: list[dict[str, str]] = field(default_factory=list)
    begins: str = ""
    mistakes: list[str] = field(default_factory=list)


@client_blueprint.get("/rotas", endpoint="rotas")
def list_of_rotas() -> str:
    """List the rotas, and who is on duty."""
    client = db.session.get_one(Client, g.client.id)
    query = select(Rota).where(Rota.client_id == client.id).order_by(Rota.name)
    rows = [(row, rotas.now_words(row, client), weeks(row)) for row in db.session.scalars(query)]
    return render_template("staff/rotas.html", rows=rows, days=DAYS)


@client_blueprint.get("/rotas/new", endpoint="rota_new")
def new() -> str:
    """Show an empty form."""
    return _page(None, RotaForm())


@client_blueprint.get("/rotas/<rota_id>", endpoint="rota_edit")
def edit(rota_id: str) -> str:
    """Show a rota in its form."""
    row = own.find(Rota, rota_id, "rota")
    return _page(row, _stored(row))


@client_blueprint.post("/rotas/new", endpoint="rota_add")
def add() -> Response | tuple[str, int]:
    """Make a rota."""
    return _save(None)


@client_blueprint.post("/rotas/<rota_id>", endpoint="rota_save")
def save(rota_id: str) -> Response | tuple[str, int]:
    """Save a rota."""
    return _save(own.find(Rota, rota_id, "rota"))


@client_blueprint.post("/rotas/<rota_id>/delete", endpoint="rota_delete")
def delete(rota_id: str) -> Response:
    """Delete a rota by which nobody is rung."""
    row = own.find(Rota, rota_id, "rota")
    back = url_for("client.rota_edit", rota_id=row.id)
    return own.delete(row, back, url_for("client.rotas"))


def weeks(row: Rota) -> list[tuple[str, dict[str, list[Bar]]]]:
    """Return the picture of each week: its heading, and the turns of each day as they are drawn."""
    roster = rotas.of(row, db.session.get_one(Client, row.client_id))
    current = roster.week_of(utcnow().astimezone(roster.zone).date())
    return [
        (_heading(at, len(row.weeks), at == current), _picture(week))
        for at, week in enumerate(row.weeks)
    ]


def _heading(at: int, count: int, is_current: bool) -> str:
    if count == 1:
        return ""
    return f"Week {at + 1}{', this one' if is_current else ''}"


def _picture(week: dict[str, list[str]]) -> dict[str, list[Bar]]:
    return {
        day: [
            Bar(turn.span.start / DAY * 100, _width(turn), str(turn))
            for turn in map(Turn.parse, week.get(day, []))
        ]
        for day in DAYS
    }


def _width(turn: Turn) -> float:
    return (min(turn.span.end, DAY) - turn.span.start) / DAY * 100


def _save(row: Rota | None) -> Response | tuple[str, int]:
    form = _typed()
    try:
        with unit_of_work() as session:
            known = session.get_one(Rota, row.id) if row else None
            spec = mistakes.parse(rotas.RotaSpec, _as_written(form))
            saved = rotas.save(session, g.client.id, spec, known, current_user.email).row
    except Refused as refused:
        form.mistakes = [_in_words(one, form) for one in refused.mistakes]
        return _page(row, form), 422
    say(f"“{saved.name}” is saved. On duty now: {rotas.now_words(saved, g.client)}.")
    return redirect(url_for("client.rotas"))


def _typed() -> RotaForm:
    sent = request.form
    columns = {day: sent.getlist(day) for day in DAYS}
    count = min(max(map(len, columns.values())), rotas.MOST_WEEKS)
    return RotaForm(
        sent.get("name", "").strip(),
        sent.get("people", ""),
        [
            {day: typed[at].strip() if at < len(typed) else "" for day, typed in columns.items()}
            for at in range(count)
        ],
        sent.get("begins", "").strip(),
    )


def _as_written(form: RotaForm) -> dict[str, Any]:
    """Return the form in the shape in which rotas are written down; empty weeks are left out.

    :raises Refused: when a line of people has no phone.
    """
    people = [_person(line) for line in form.people.splitlines() if line.strip()]
    filled = [week for week in form.weeks if any(week.values())]
    written = [{day: _parts(typed) for day, typed in week.items()} for week in filled]
    begins = {"begins": form.begins} if form.begins else {}
    return {"name": form.name, "people": people, "weeks": written, **begins}


def _person(line: str) -> dict[str, str]:
    text = line.strip()
    name = text.rstrip(_OF_PHONES)  # walked once from the end: the line may be of any length
    found = _PHONE_BEGINS.search(text, len(name))
    if found is None:
        raise Refused.because(_PERSON_LINE, "people")
    return {"name": text[: found.start()].rstrip(" \t,:"), "phone": text[found.start() :]}


def _parts(typed: str) -> list[str]:
    return [part.strip() for part in re.split(r"[,;]", typed) if part.strip()]


def _in_words(mistake: mistakes.Mistake, form: RotaForm) -> str:
    """Name the day before the sentence, where it is about one."""
    match mistake.path:
        case ("weeks", int(at), str(day), *_) if day in DAYS:
            week = f"Week {at + 1}, " if len(form.weeks) > 1 else ""
            return f"{week}{DAYS[day]}: {mistake.message}"
        case ("weeks",):
            return "Say at least once who is on duty when."
        case ("people",):
            return mistake.message if form.people.strip() else "Write down who takes turns."
        case _:
            return mistake.message


def _stored(row: Rota) -> RotaForm:
    people = "\n".join(f"{one['name']} {one['phone']}" for one in row.people)
    typed = [{day: ", ".join(week.get(day, [])) for day in DAYS} for week in row.weeks]
    return RotaForm(row.name, people, typed, row.begins.isoformat() if row.begins else "")


def _page(row: Rota | None, form: RotaForm) -> str:
    client = db.session.get_one(Client, g.client.id)
    blank = dict.fromkeys(DAYS, "")
    return render_template(
        "staff/rota.html",
        row=row,
        form=form,
        days=DAYS,
        slots=[*form.weeks, blank][: rotas.MOST_WEEKS],
        now=rotas.now_words(row, client) if row else None,
        pictures=weeks(row) if row else [],
        users=deletion.in_use(db.session(), row) if row else [],
    )
