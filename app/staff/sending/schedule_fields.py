"""The fields that say when a communication goes out by itself: as stored, as typed, as written."""

from __future__ import annotations

import re
from typing import Any

from flask import request
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.mistakes import Mistake
from app.domain.sending import runs
from app.domain.sending.recurrence import DAY_NAMES, WEEKDAYS, RelativeSpec, RepeatSpec
from app.models.audience import Population
from app.models.communication import Communication

EMPTY: dict[str, Any] = {
    "schedule": "", "every": "week", "weekday": [], "monthdays": "", "repeat_at": "09:00",
    "until": "", "attribute": "", "days": "1", "direction": "before", "relative_at": "09:00",
}  # fmt: skip
DAYS = tuple(zip(WEEKDAYS, DAY_NAMES, strict=True))
_NO_TIME = "Choose the time of day at which it goes out."


def stored(one: Communication) -> dict[str, Any]:
    """Return the fields of a communication as it is."""
    schedule = runs.schedule_of(one)
    if isinstance(schedule, RepeatSpec):
        return EMPTY | {
            "schedule": "repeat", "every": schedule.every, "repeat_at": schedule.at,
            "weekday": [day for day in schedule.on if isinstance(day, str)],
            "monthdays": ", ".join(str(day) for day in schedule.on if isinstance(day, int)),
            "until": schedule.until.isoformat() if schedule.until else "",
        }  # fmt: skip
    if isinstance(schedule, RelativeSpec):
        return EMPTY | {
            "schedule": "relative", "attribute": schedule.attribute,
            "days": str(abs(schedule.days)), "relative_at": schedule.at,
            "direction": "after" if schedule.days > 0 else "before",
        }  # fmt: skip
    return dict(EMPTY)


def typed() -> dict[str, Any]:
    """Return the fields as they were sent; without any, nothing is said about it."""
    found: dict[str, Any] = {name: request.form.get(name, "").strip() for name in EMPTY}
    found["weekday"] = request.form.getlist("weekday")
    found["schedule"] = request.form.get("schedule")
    return found


def written(values: dict[str, Any], wrong: list[Mistake]) -> dict[str, Any]:
    """Return what the fields say, in the shape in which it is written; mistakes are added."""
    if values["schedule"] is None:
        return {}
    both: dict[str, Any] = {"repeat": None, "relative": None}
    if values["schedule"] == "repeat":
        both["repeat"] = _repeat(values, wrong)
    elif values["schedule"] == "relative":
        both["relative"] = _relative(values, wrong)
    return both


def attributes(session: Session, client_id: str) -> list[str]:
    """Return the names of attributes that files of the client's lists have brought."""
    found = session.scalars(select(Population.columns).where(Population.client_id == client_id))
    return sorted({name for columns in found for name in columns.values() if name})


def _repeat(values: dict[str, Any], wrong: list[Mistake]) -> dict[str, Any] | None:
    on: list[str] = []
    if values["every"] == "week":
        on = values["weekday"]
    elif values["every"] == "month":
        on = [one for one in re.split(r"[\s,;.]+", values["monthdays"]) if one]
    if not values["repeat_at"]:
        wrong.append(Mistake(("repeat",), _NO_TIME))
        return None
    return {
        "every": values["every"], "on": on, "at": values["repeat_at"],
        "until": values["until"] or None,
    }  # fmt: skip


def _relative(values: dict[str, Any], wrong: list[Mistake]) -> dict[str, Any] | None:
    days = values["days"] or "0"
    if not values["relative_at"]:
        wrong.append(Mistake(("relative",), _NO_TIME))
    if not values["attribute"]:
        wrong.append(Mistake(("relative",), "Say which column of the list holds the date."))
    if not (days.isdecimal() and days.isascii() and len(days) <= 3 and int(days) <= 365):
        wrong.append(Mistake(("relative",), "Give a number of days from 0 to 365."))
    if any(one.path == ("relative",) for one in wrong):
        return None
    sign = -1 if values["direction"] == "before" else 1
    return {
        "attribute": values["attribute"], "days": sign * int(days),
        "at": values["relative_at"],
    }  # fmt: skip
