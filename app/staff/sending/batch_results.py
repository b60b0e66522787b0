"""What became of a batch as a picture: a bar for each way in which it ended, and opened links."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, g, render_template, request
from sqlalchemy.orm import Session

from app.domain.sending import calls, endings, resending
from app.domain.sending.endings import Ending
from app.extensions import db
from app.models.base import utcnow
from app.models.batch import Batch
from app.models.communication import MachineDetection
from app.staff import own, words
from app.staff.access import client_blueprint
from app.staff.sending.batch_shown import Shown, shown_batch
from app.staff.sending.messages import Rows, message_rows
from app.twilio import errors

LOOK_AGAIN = 10
"""Seconds between two looks of an open page, at least, while something moves."""
WHY_NOT = {
    "invalid_phone": "no valid phone",
    "not_allowed": "a phone that may not be reached",
    "template_error": "something the template needs is missing",
    "unknown": "nobody knows whether it arrived",
}
"""Our own reasons, which Twilio has no code for."""
NOT_REACHED = ("failed", "undelivered", "busy", "no-answer")
WIDTH, HEIGHT, GAP = 600, 110, 3
"""Of the drawing of opened links, in its own units."""


@dataclass(frozen=True)
class Bar:
    """One way in which it ended for some."""

    words: str
    colour: str
    count: int
    share: float
    """In percent of all."""
    note: str
    status: str
    why: str
    by: str


@dataclass(frozen=True)
class Column:
    """How often links were opened within one stretch of time, and its place in the drawing."""

    x: float
    y: float
    width: float
    height: float
    count: int
    at: datetime


@dataclass(frozen=True)
class Opened:
    """The drawing of when links were opened."""

    columns: list[Column]
    total: int
    each: str


@client_blueprint.get("/batches/<batch_id>/results")
def communication_batch_results(batch_id: str) -> str | Response:
    """Show what became of a batch and of whom, if that is other than the page that asks has."""
    shown = shown_batch(db.session(), own.find(Batch, batch_id, "batch"))
    values = results(db.session(), shown)
    if values["look_again"] and request.args.get("seen") == values["seen"]:
        return Response(status=204)
    return render_template("staff/batch_news.html", **values)


def results(session: Session, shown: Shown) -> dict[str, Any]:
    """Return what the parts of a batch's page need that say what became of it, and of whom.

    ``seen`` changes whenever they do.
    """
    found = endings.of_batch(session, shown.batch, shown.progress.counts)
    values: dict[str, Any] = {
        "shown": shown,
        "bars": bars(found, shown.batch),
        "opened": _opened(session, shown),
        "width": WIDTH,
        "height": HEIGHT,
        "most_opened": endings.MOST_OPENED,
        "filters": filters(),
        "again": shown.ended and _any_reachable(session, shown),
        "rows": message_rows(session, shown.batch.id),
        "look_again": max(2 * shown.look_again, LOOK_AGAIN) if shown.look_again else 0,
    }
    return {**values, "seen": _mark(values)}


def _mark(values: dict[str, Any]) -> str:
    """Return what changes whenever the picture or the people do."""
    rows: Rows = values["rows"]
    people = [(one.id, one.updated_at, rows.clicks.get(one.id)) for one in rows.messages]
    drawn = (values["bars"], values["opened"], values["again"], people)
    return hashlib.sha256(repr(drawn).encode()).hexdigest()[:16]


def filters() -> dict[str, str]:
    """Return by what the address narrows the list of people."""
    return {name: request.args.get(name, "")[:32] for name in ("status", "why", "by")}


def _any_reachable(session: Session, shown: Shown) -> bool:
    """Tell whether it may be sent again to anybody; where nothing failed nobody is asked."""
    if not any(status in NOT_REACHED for status, *_ in shown.counts):
        return False
    return resending.any_reachable(session, shown.batch.id)


def bars(found: list[Ending], batch: Batch) -> list[Bar]:
    """Say each ending in words, with its share of all of them."""
    whole = sum(one.count for one in found) or 1
    is_call = batch.plan.get("destination") == "voice"
    hung_up = calls.detection_of(batch.plan.get("options") or {}) is MachineDetection.HANG_UP
    shown = []
    for one in found:
        said, colour, note = _said(one, hung_up, is_call)
        shown.append(
            Bar(
                said, colour, one.count, round(100 * one.count / whole, 1), note, one.status,
                one.reason or "", one.answered_by or "",
            )
        )  # fmt: skip
    return shown


def _said(one: Ending, hung_up: bool, is_call: bool) -> tuple[str, str, str]:
    """Return the words for an ending, their colour, and what else is to be said of it."""
    said, colour = words.STATUSES.get(one.status, (one.status, ""))
    note = ""
    if one.status == endings.COMPLETED and is_call:
        said, colour = words.answered(one.answered_by, hung_up)
        note = f"{words.duration(one.seconds / one.count)} on average" if one.seconds else ""
    elif one.status == "suppressed" and not errors.is_wish(one.code):
        said, colour = words.STATUSES["unreachable"]
    if one.code is not None:
        note = f"{errors.explain(one.code)} ({one.code})"
    elif one.reason in WHY_NOT:
        note = WHY_NOT[one.reason]
    return said, colour, note


def _opened(session: Session, shown: Shown) -> Opened | None:
    """Draw when people opened links; None where nobody has."""
    if not shown.people:
        return None
    step, found = endings.opened(session, shown.batch, utcnow())
    most = max((one.count for one in found), default=0)
    if not most:
        return None
    room = WIDTH / len(found)
    columns = [
        Column(
            round(at * room + GAP / 2, 1), round(HEIGHT * (1 - one.count / most), 1),
            round(room - GAP, 1), round(HEIGHT * one.count / most, 1), one.count,
            one.since.astimezone(ZoneInfo(g.client.time_zone)),
        )
        for at, one in enumerate(found)
    ]  # fmt: skip
    return Opened(columns, sum(one.count for one in found), _each(step))


def _each(step: timedelta) -> str:
    return {600: "ten minutes", 3600: "hour"}.get(int(step.total_seconds()), "six hours")
