"""Office hours: when somebody is there, as a week that people can see and change."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain import deletion, mistakes
from app.domain.hours import hours
from app.domain.hours.calendars import LARGEST
from app.domain.hours.schedule import DAY, Span
from app.domain.mistakes import Refused
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.hours import Hours
from app.models.sender import Sender
from app.staff import own
from app.staff.access import client_blueprint, say

DAYS = dict(
    zip(
        hours.DAYS,
        ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        strict=True,
    )
)
_NEW = {day: "08:00-12:00, 13:00-17:00" if day not in ("sat", "sun") else "" for day in DAYS}
_DATE_LINE = "A line of “Other days” begins with a date, such as 2026-12-24 08:00-12:00."


@dataclass
class HoursForm:
    """Office hours being edited: as typed, and what is wrong."""

    name: str = ""
    week: dict[str, str] = field(default_factory=lambda: dict(_NEW))
    dates: str = ""
    has_calendar: bool = False
    mistakes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bar:
    """A span in the picture of a week, in percent of a day."""

    left: float
    width: float
    words: str


@client_blueprint.get("/hours", endpoint="hours")
def list_of_hours() -> str:
    """List the office hours, and what they are now."""
    client = db.session.get_one(Client, g.client.id)
    query = select(Hours).where(Hours.client_id == client.id).order_by(Hours.name)
    rows = [(row, hours.now_words(row, client), week(row)) for row in db.session.scalars(query)]
    return render_template(
        "staff/hours_list.html", rows=rows, days=DAYS, closed_until=closed_until(client)
    )


@client_blueprint.get("/hours/new", endpoint="hours_new")
def new() -> str:
    """Show an empty form."""
    return _page(None, HoursForm())


@client_blueprint.get("/hours/<hours_id>", endpoint="hours_edit")
def edit(hours_id: str) -> str:
    """Show office hours in their form."""
    row = own.find(Hours, hours_id, "office hours")
    return _page(row, _stored(row))


@client_blueprint.post("/hours/new", endpoint="hours_add")
def add() -> Response | tuple[str, int]:
    """Make office hours."""
    return _save(None)


@client_blueprint.post("/hours/<hours_id>", endpoint="hours_save")
def save(hours_id: str) -> Response | tuple[str, int]:
    """Save office hours."""
    return _save(own.find(Hours, hours_id, "office hours"))


@client_blueprint.post("/hours/<hours_id>/delete", endpoint="hours_delete")
def delete(hours_id: str) -> Response:
    """Delete office hours that nothing goes by."""
    row = own.find(Hours, hours_id, "office hours")
    back = url_for("client.hours_edit", hours_id=row.id)
    return own.delete(row, back, url_for("client.hours"))


@client_blueprint.post("/closed-until", endpoint="hours_close")
def close() -> Response:
    """Close everything until a time, or end that."""
    with unit_of_work() as session:
        words = _close(session, session.get_one(Client, g.client.id), "the office")
    say(*words)
    return redirect(url_for("client.hours"))


@client_blueprint.post("/numbers/<sender_id>/closed-until", endpoint="number_close")
def close_number(sender_id: str) -> Response:
    """Close one number until a time, or end that."""
    sender = own.find(Sender, sender_id, "number")
    with unit_of_work() as session:
        fresh = session.get_one(Sender, sender.id)
        words = _close(session, fresh, f"number {sender.address}")
    say(*words)
    return redirect(url_for("client.number", sender_id=sender.id))


def week(row: Hours) -> dict[str, list[Bar]]:
    """Return the picture of a week: the spans of each day, as they are drawn."""
    return {
        day: [
            Bar(span.start / DAY * 100, (min(span.end, DAY) - span.start) / DAY * 100, str(span))
            for span in map(Span.parse, row.week.get(day, []))
        ]
        for day in DAYS
    }


def closed_until(owner: Client | Sender) -> datetime | None:
    """Return until when it is closed whatever its hours say; None where that is over."""
    until = owner.closed_until
    return until if until is not None and until > utcnow() else None


def _close(session: Session, owner: Client | Sender, target: str) -> tuple[str, str]:
    """Close what is asked for; return what to say, and how."""
    try:
        until = _until(request.form.get("until", ""))
        hours.close_until(owner, until)
    except Refused as refused:
        return str(refused), "bad"
    own.note(session, "close" if until else "open again", target)
    if until is None:
        return "The hours count again.", "good"
    return f"Closed until {until:%A, %-d %B, %H:%M}.", "good"


def _until(typed: str) -> datetime | None:
    if request.form.get("do") == "open":
        return None
    return own.typed_time(typed, "until", "Choose a day and a time.")


def _save(row: Hours | None) -> Response | tuple[str, int]:
    form = _typed(row)
    try:
        with unit_of_work() as session:
            known = session.get_one(Hours, row.id) if row else None
            spec = mistakes.parse(hours.HoursSpec, _as_written(form, known))
            saved = hours.save(session, g.client.id, spec, known, current_user.email).row
    except Refused as refused:
        form.mistakes = [_in_words(one) for one in refused.mistakes]
        return _page(row, form), 422
    say(f"“{saved.name}” is saved: {hours.now_words(saved, g.client)}.")
    return redirect(url_for("client.hours"))


def _typed(row: Hours | None) -> HoursForm:
    sent = request.form
    return HoursForm(
        sent.get("name", "").strip(),
        {day: sent.get(day, "").strip() for day in DAYS},
        sent.get("dates", ""),
        row is not None and row.calendar is not None,
    )


def _as_written(form: HoursForm, known: Hours | None) -> dict[str, Any]:
    """Return the form in the shape in which hours are written down.

    :raises Refused: when a line of other days names no date.
    """
    data: dict[str, Any] = {"name": form.name}
    for day, typed in form.week.items():
        data[day] = _parts(typed)
    data["dates"] = dict(_date_line(line) for line in form.dates.splitlines() if line.strip())
    uploaded = request.files.get("calendar")
    if uploaded is not None and uploaded.filename:
        content = uploaded.read(LARGEST + 1)
        data["calendar"] = content.decode("utf-8-sig", errors="replace")
    elif known is not None and "no_calendar" not in request.form:
        data["calendar"] = known.calendar
    return data


def _date_line(line: str) -> tuple[str, Any]:
    day, _, rest = line.strip().partition(" ")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
        raise Refused.because(_DATE_LINE, "dates")
    spans = _parts(rest)
    return day, spans if spans and rest.strip().casefold() != hours.CLOSED else hours.CLOSED


def _parts(typed: str) -> list[str]:
    return [part.strip() for part in re.split(r"[,;]", typed) if part.strip()]


def _in_words(mistake: mistakes.Mistake) -> str:
    """Name the day before the sentence, where it is about one."""
    place = str(mistake.path[0]) if mistake.path else ""
    if place in DAYS:
        return f"{DAYS[place]}: {mistake.message}"
    if place == "dates" and len(mistake.path) > 1:
        return f"{mistake.path[1]}: {mistake.message}"
    return mistake.message


def _stored(row: Hours) -> HoursForm:
    dates = [f"{day} {', '.join(spans) or hours.CLOSED}" for day, spans in row.dates.items()]
    typed = {day: ", ".join(row.week.get(day, [])) for day in DAYS}
    return HoursForm(row.name, typed, "\n".join(dates), row.calendar is not None)


def _page(row: Hours | None, form: HoursForm) -> str:
    client = db.session.get_one(Client, g.client.id)
    return render_template(
        "staff/hours.html",
        row=row,
        form=form,
        days=DAYS,
        now=hours.now_words(row, client) if row else None,
        picture=week(row) if row else None,
        users=deletion.in_use(db.session(), row) if row else [],
    )
