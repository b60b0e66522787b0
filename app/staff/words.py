"""How things are said to people: times in the client's zone, phones as they are written, states."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import phonenumbers
from flask import Flask, g

from app.domain.routing.handlers import SPECS
from app.domain.sending import calls
from app.inbound.dialing import ANSWERED
from app.inbound.way import ENDS
from app.models.base import utcnow
from app.models.incoming import Incoming, OptOut, Outcome
from app.models.message import Message, MessageState
from app.twilio import errors
from app.twilio.console import log_url
from app.twiml.spoken import take_apart

OUTCOMES: dict[Outcome, tuple[str, str]] = {
    Outcome.REPLIED: ("Answered", "good"),
    Outcome.FORWARDED: ("Forwarded", "good"),
    Outcome.REDIRECTED: ("Handled by your own system", ""),
    Outcome.PLAYED: ("Message played", "good"),
    Outcome.KEYWORD: ("Keyword, answered", ""),
    Outcome.NOT_ENABLED: ("Not answered: Twilio is not enabled for you", "warn"),
    Outcome.NO_ROUTE: ("Not answered: nothing is set up for this", "warn"),
    Outcome.REACTION: ("A reaction, which nobody answers", ""),
    Outcome.LOOP_STOPPED: ("Not answered: too many replies to this phone within an hour", "warn"),
    Outcome.NOT_REPLIED: ("Not answered: this sender cannot be replied to", ""),
    Outcome.TOO_LATE: ("Not answered: it came in while Dispatch was down", "warn"),
    Outcome.FAILED: ("Failed", "bad"),
}
PUT_THROUGH = ("Put through", "good")
NOBODY_TOOK = ("Nobody took the call", "warn")
CALL_STATES = {
    "ringing": "rings", "in-progress": "goes on", "queued": "is coming", "busy": "was busy",
    "no-answer": "was not answered", "failed": "failed", "canceled": "the caller hung up at once",
}  # fmt: skip
"""Twilio's words for where a call stands, other than that it has ended."""
OPT_OUTS: dict[OptOut, tuple[str, str]] = {
    OptOut.STOP: ("Opted out", "warn"),
    OptOut.START: ("Opted in again", "good"),
    OptOut.HELP: ("Asked for help", ""),
}
STATUSES: dict[str, tuple[str, str]] = {
    "waiting": ("Waiting to go out", ""),
    "claimed": ("Being sent", ""),
    "accepted": ("Taken by Twilio", ""),
    "scheduled": ("Scheduled at Twilio", ""),
    "queued": ("In Twilio's queue", ""),
    "sending": ("Being sent", ""),
    "sent": ("Sent to the carrier", "good"),
    "delivered": ("Delivered", "good"),
    "partially_delivered": ("Delivered in part", "warn"),
    "read": ("Read", "good"),
    "undelivered": ("Not delivered", "bad"),
    "failed": ("Failed", "bad"),
    "canceled": ("Canceled", ""),
    "suppressed": ("Not sent: opted out", "warn"),
    "unreachable": ("Not sent: cannot be reached", "warn"),
    "refused": ("Not sent: refused", "bad"),
    "unknown": ("Unknown; Twilio is being asked", "warn"),
    "initiated": ("Calling", ""),
    "ringing": ("Ringing", ""),
    "in-progress": ("Talking", ""),
    "completed": ("Answered", "good"),
    "busy": ("Busy", "warn"),
    "no-answer": ("Not answered", "warn"),
}
"""Twilio's statuses and our own ends, in plain words, each with the colour it is shown in."""


def when(moment: datetime | None) -> str:
    """Say a time in the client's zone: only the hour today, with the year when it is not ours."""
    if moment is None:
        return "–"
    zone = ZoneInfo(g.client.time_zone if "client" in g else "UTC")
    there, today = moment.astimezone(zone), utcnow().astimezone(zone)
    clock = f"{there:%-I:%M} {there:%p}".lower()  # no full stops: times end sentences too
    if there.date() == today.date():
        return f"today, {clock}"
    year = "" if there.year == today.year else f" {there.year}"
    return f"{there:%b} {there.day}{year}, {clock}"


def clock(moment: datetime) -> str:
    """Say a time of the day in the client's zone, to the second."""
    there = moment.astimezone(ZoneInfo(g.client.time_zone))
    return f"{there:%-I:%M:%S} {there:%p}".lower()


def hour(moment: datetime) -> str:
    """Say a time of the day in the client's zone, to the minute."""
    there = moment.astimezone(ZoneInfo(g.client.time_zone))
    return f"{there:%-I:%M} {there:%p}".lower()


def duration(seconds: float) -> str:
    """Say how long something takes, roughly: people plan with it."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} second{'' if seconds < 1.5 else 's'}"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} minutes"
    hours, rest = divmod(minutes, 60)
    return f"{hours} hours" if hours >= 10 or not rest else f"{hours} hours {rest} minutes"


MANY = 10_000
"""More than this is not counted to the end."""


def many(count: int) -> str:
    """Write a number that was counted no further than just past :data:`MANY`."""
    return f"{count:,}" if count <= MANY else f"more than {MANY:,}"


def milliseconds(count: int) -> str:
    """Say how long an answer took: 240 ms, or 3.2 s where that is easier to read."""
    return f"{count} ms" if count < 1000 else f"{count / 1000:.1f} s"


def phone(raw: str) -> str:
    """Write a phone number as people do: (319) 335-0000, or international with spaces."""
    try:
        parsed = phonenumbers.parse(raw)
    except phonenumbers.NumberParseException:
        return raw  # a short code, a name, or what an odd caller sent
    style = phonenumbers.PhoneNumberFormat
    chosen = style.NATIONAL if parsed.country_code == 1 else style.INTERNATIONAL
    return phonenumbers.format_number(parsed, chosen)


def outcome(incoming: Incoming) -> tuple[str, str]:
    """Return what was done about a text or call, and the colour to say it in."""
    if incoming.opt_out is not None:
        return OPT_OUTS[incoming.opt_out]
    if incoming.dial_status is not None:
        return PUT_THROUGH if incoming.dial_status in ANSWERED else NOBODY_TOOK
    return OUTCOMES[incoming.outcome]


def how_it_rang(incoming: Incoming) -> str:
    """Say how the phone that a call was forwarded to has ended; empty where none was."""
    status = incoming.dial_status
    if status is None or "to" not in (incoming.later or {}):
        return ""
    how = "took the call" if status in ANSWERED else ENDS.get(status, "did not take the call")
    return f"{phone((incoming.later or {})['to'])} {how}."


def status(message: Message) -> tuple[str, str]:
    """Return where a message stands in plain words, and the colour to say it in."""
    name = message.public_status
    if message.is_held:
        return f"Waits until {when(message.send_at)}", "warn"
    if message.state is MessageState.WAITING:
        return STATUSES["waiting"]
    if message.state is MessageState.UNKNOWN and message.check_at is None:
        return "Unknown; somebody has to look", "warn"
    if message.state is MessageState.SUPPRESSED and not errors.is_wish(message.error_code):
        return STATUSES["unreachable"]
    if name == "completed":  # only calls are
        who = calls.verdict(message.answered_by)
        return answered(who, calls.was_hung_up_on(message))
    return STATUSES.get(name, (name, ""))


def answered(who: str | None, hung_up: bool) -> tuple[str, str]:
    """Say who took a call: a person, a machine, or somebody where nobody listened for that.

    :param hung_up: whether machines are hung up on.
    """
    if who == calls.MACHINE:
        return ("A machine answered; we hung up", "warn") if hung_up else ("A machine answered", "")
    return ("A person answered", "good") if who == calls.HUMAN else STATUSES["completed"]


def init_app(app: Flask) -> None:
    """Give the templates these words."""
    app.jinja_env.filters.update(
        when=when,
        clock=clock,
        hour=hour,
        many=many,
        phone=phone,
        milliseconds=milliseconds,
        outcome=outcome,
        status=status,
        log_url=log_url,
        spoken=take_apart,
        how_it_rang=how_it_rang,
        handler=lambda name: SPECS[name].label if name in SPECS else name.replace("_", " "),
    )
