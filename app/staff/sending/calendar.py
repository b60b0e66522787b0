"""The calendar: what goes out by itself or was started for later, and texts that wait."""

from __future__ import annotations

import calendar as months
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain.audience import names
from app.domain.reach import Refusal
from app.domain.sending import coming, later, runs
from app.domain.sending.coming import Run
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.communication import Communication
from app.models.message import HELD, Message
from app.staff import own
from app.staff.access import client_blueprint, say

MOST_RUNS, MOST_TEXTS = 500, 200
"""Entries of a month that are shown."""
YEARS_AHEAD = 2
AHEAD, BEHIND = timedelta(days=60), timedelta(days=30)
"""What of a communication's runs its own page shows."""
NEXT, LAST = 5, 5


@dataclass
class Day:
    """A day of the calendar and what is on it."""

    date: date
    in_month: bool
    is_today: bool
    runs: list[Run] = field(default_factory=list)
    texts: list[Message] = field(default_factory=list)


@client_blueprint.get("/calendar")
def calendar() -> str:
    """Show a month, with everything that goes out at a time of its own."""
    session, zone = db.session(), ZoneInfo(g.client.time_zone)
    today = utcnow().astimezone(zone).date()
    month = _month(today)
    weeks = months.Calendar(months.SUNDAY).monthdatescalendar(month.year, month.month)
    days = {day: Day(day, day.month == month.month, day == today) for week in weeks for day in week}
    first, until = (_midnight(day, zone) for day in (weeks[0][0], _after(weeks[-1][-1])))
    found = coming.between(session, g.client, first, until, most=MOST_RUNS)
    for run in found:
        days[run.at.astimezone(zone).date()].runs.append(run)
    waiting = _texts(session, first, until)
    for message in waiting:
        if message.send_at is not None:
            days[message.send_at.astimezone(zone).date()].texts.append(message)
    return render_template(
        "staff/calendar.html",
        month=month,
        weeks=[[days[day] for day in week] for week in weeks],
        before=_named(_before(month)) if month > _limits(today)[0] else None,
        after=_named(_after_month(month)) if month < _limits(today)[1] else None,
        is_empty=not (found or waiting),
        is_cut=len(found) == MOST_RUNS or len(waiting) == MOST_TEXTS,
        names=names.of(session, g.client.id, {one.to for one in waiting}),
    )


@client_blueprint.post("/messages/<message_id>/cancel")
def communication_message_cancel(message_id: str) -> Response:
    """Keep a text that waits for its hour from going out."""
    found = own.find(Message, message_id, "message")
    try:
        with unit_of_work() as session:
            later.cancel(session, found.id, current_user.email)
    except Refusal as refusal:
        say(refusal.sentence, "warn")
    else:
        wake("relay")
        say("Canceled. It does not go out.")
    return redirect(url_for("client.communication_message", message_id=found.id))


def by_itself(session: Session, found: Communication) -> dict[str, Any]:
    """Return what the page of a communication says about its runs."""
    schedule = runs.schedule_of(found)
    if schedule is None:
        return {"schedule": None}
    now = utcnow()
    past = coming.between(session, g.client, now - BEHIND, now, found)
    ahead = coming.between(session, g.client, now, now + AHEAD, found, most=NEXT)
    return {
        "schedule": schedule,
        "runs": [*past[-LAST:], *ahead],
        "without_date": coming.without_date(session, found),
    }


def _texts(session: Session, first: datetime, until: datetime) -> list[Message]:
    query = select(Message).where(
        text(HELD), Message.client_id == g.client.id, Message.send_at >= first,
        Message.send_at < until,
    )  # fmt: skip
    return list(session.scalars(query.order_by(Message.send_at).limit(MOST_TEXTS)))


def _month(today: date) -> date:
    """Return the first day of the month that is asked for; of this one otherwise."""
    first, last = _limits(today)
    try:
        asked = date.fromisoformat(f"{request.args.get('month', '')[:7]}-01")
    except ValueError:
        asked = today.replace(day=1)
    return min(max(asked, first), last)


def _limits(today: date) -> tuple[date, date]:
    first = today.replace(day=1)
    return first.replace(year=first.year - 1), first.replace(year=first.year + YEARS_AHEAD)


def _before(month: date) -> date:
    return (month - timedelta(days=1)).replace(day=1)


def _after_month(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def _named(month: date) -> tuple[str, str]:
    return f"{month:%Y-%m}", f"{month:%B %Y}"


def _after(day: date) -> date:
    return day + timedelta(days=1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, datetime.min.time(), zone)
