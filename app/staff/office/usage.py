"""Usage: what a client used month by month, against the thresholds it is warned at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from flask import Response, g, render_template
from sqlalchemy import select

from app.domain.clients import usage as counting
from app.domain.clients.usage import Month
from app.extensions import db
from app.models.base import utcnow
from app.models.house import Usage
from app.staff import downloads
from app.staff.access import client_blueprint

MONTHS = 12
FILE = {
    "Month": "month", "Texts in": "messages_in", "Texts out": "messages_out",
    "Segments in": "segments_in", "Segments out": "segments_out", "Minutes": "call_minutes",
    "Cost": "price", "Currency": "currency", "Cost of numbers": "numbers_monthly_cost",
}  # fmt: skip
"""What the file calls each figure."""
WIDTH, HEIGHT, GAP = 600, 220, 10
FAR = 2
"""A threshold that is more than so many times the highest bar is told in words alone."""


@dataclass(frozen=True)
class Bar:
    """One month of a chart: its parts from the floor up, in the drawing's units, and its sum."""

    x: float
    width: float
    top: float
    parts: list[Part]
    label: str
    value: int


@dataclass(frozen=True)
class Part:
    """What came in or went out of a month's sum."""

    y: float
    height: float
    value: int


@dataclass(frozen=True)
class Chart:
    """Bars as high as what is there allows, with a line at the threshold where that is near."""

    bars: list[Bar]
    threshold_y: float | None
    threshold: int | None


@client_blueprint.get("/usage")
def usage() -> str:
    """Show this month's figures and the last twelve as a chart and a table."""
    this_month = counting.month_of(utcnow())
    now = counting.current(g.client.id, this_month)
    names = months_until(this_month)
    stored = {
        row.month: counting.of_month(db.session(), g.client.id, row.month)
        for row in db.session.scalars(
            select(Usage).where(Usage.client_id == g.client.id, Usage.month.in_(names))
        )
    }
    rows = [(name, now if name == this_month else stored.get(name)) for name in names]
    return render_template(
        "staff/usage.html",
        now=now,
        month=words_of(this_month),
        rows=[(words_of(name), month) for name, month in reversed(rows) if month],
        segments=chart(
            [(words_of(name)[:3], _in_and_out(month)) for name, month in rows],
            g.client.alert_segments,
        ),
        minutes=chart(
            [(words_of(name)[:3], (month.figures.call_minutes if month else 0,))
             for name, month in rows],
            g.client.alert_call_minutes,
        ),
        used=sum(_in_and_out(now)),
        short=short,
        width=WIDTH,
        height=HEIGHT,
    )  # fmt: skip


@client_blueprint.get(f"/usage.{downloads.FILE}")
def usage_file(ending: str) -> Response:
    """Hand out the months that there are, oldest first."""
    rows = db.session.scalars(
        select(Usage).where(Usage.client_id == g.client.id).order_by(Usage.month)
    ).all()
    lines = [[getattr(one, key) for key in FILE.values()] for one in rows]
    return downloads.hand_out(
        f"{g.client.name} usage", downloads.written(ending, list(FILE), [lines]), ending
    )


def _in_and_out(month: Month | None) -> tuple[int, int]:
    return (month.figures.segments_in, month.figures.segments_out) if month else (0, 0)


def months_until(last: str) -> list[str]:
    """Return the names of twelve months, the last one at the end."""
    year, month = (int(part) for part in last.split("-"))
    count = year * 12 + month - 1
    return [f"{one // 12}-{one % 12 + 1:02}" for one in range(count - MONTHS + 1, count + 1)]


def words_of(month: str) -> str:
    """Return ``2026-11`` as people say it: November 2026."""
    return f"{date.fromisoformat(f'{month}-01'):%B %Y}"


def chart(values: list[tuple[str, tuple[int, ...]]], threshold: int | None) -> Chart:
    """Lay bars out so that the highest one reaches the top: what is there is to be seen.

    :param values: each month's name and the parts of its sum, the lowest first.
    :param threshold: drawn as a line unless it is so far above everything that nothing were seen.
    """
    most = max(sum(parts) for _, parts in values)
    near = threshold is not None and threshold <= FAR * most
    top = max(most, threshold or 0 if near else 0, 1) * 1.05
    step = WIDTH / len(values)
    bars = [
        Bar(
            round(place * step + GAP / 2, 1), round(step - GAP, 1),
            round(HEIGHT * (1 - sum(parts) / top), 1), _stack(parts, top), label, sum(parts),
        )
        for place, (label, parts) in enumerate(values)
    ]  # fmt: skip
    line = round(HEIGHT * (1 - threshold / top), 1) if threshold and near else None
    return Chart(bars, line, threshold)


def _stack(parts: tuple[int, ...], top: float) -> list[Part]:
    found = []
    below = 0
    for value in parts:
        below += value
        found.append(
            Part(round(HEIGHT * (1 - below / top), 1), round(HEIGHT * value / top, 1), value)
        )
    return found


def short(value: int) -> str:
    """Write a number so that it fits above a bar: 940, 1.2k, 35k, 2.1m."""
    for size, sign in ((1_000_000, "m"), (1_000, "k")):
        if value >= size:
            return (
                f"{value / size:.0f}{sign}" if value >= 10 * size else f"{value / size:.1f}{sign}"
            )
    return str(value)
