"""The way of a call through the steps of its route: what was pressed, who took it, where it ended.

Read from what was kept of each step when it was answered (`app.inbound.steps`), by the route as it
was when the call came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.routing.handlers import SPECS
from app.domain.routing.handlers.base import Shown, note
from app.domain.routing.handlers.menu import KEYS
from app.domain.routing.handlers.ring import PersonSpec, Ring
from app.inbound import dialing, flow
from app.inbound.flow import Lost, Step
from app.inbound.number import RouteFacts
from app.models.incoming import Incoming
from app.models.route import Handler
from app.twiml import ringing

ENDS = {"busy": "was busy", "no-answer": "did not take the call", "failed": "could not be reached"}
"""How a phone that rang has ended, in words, by DialCallStatus (Twilio, <Dial>)."""


@dataclass(frozen=True)
class Event:
    """One step of a call."""

    at: datetime
    handler: Handler
    """What was there: a menu, or people whose phones ring."""
    place: tuple[str, ...]
    """Where the call was then, as the places of the routes inside each other."""
    told: str
    """What was pressed or said, or how a phone has rung (DialCallStatus)."""
    what: str
    """Which of the handler's steps it was."""
    person: PersonSpec | None
    """Whose phone it was, where it was one person's."""
    words: str


@dataclass(frozen=True)
class Way:
    """How a call went."""

    events: list[Event]
    last: str
    """Where in the route the caller was at the end, or is: “Key 1 → Take a message”."""
    taker: PersonSpec | None
    """Who took the call, of those whose phones rang."""


def of(incoming: Incoming) -> Way | None:
    """Return the way of a call; None of a text, or of a call that had no steps."""
    if incoming.flow is None:
        return None
    root, steps = flow.read(incoming.flow), incoming.steps or {}
    taker, events = _forwarded_to(incoming), []
    at: tuple[str, ...] = ()
    for key, kept in sorted(steps.items(), key=lambda one: one[1]["at"]):
        step = Step.of(key)
        try:
            event = _event(root, step, kept)
            taker = taker or _taker(event, kept["twiml"])
        except (Lost, IndexError):  # what was kept of an earlier version
            continue
        at = event.place
        events.append(event)
    return Way(events, _where(root, at), taker)


def taken_by(incoming: Incoming, way: Way | None) -> PersonSpec | None:
    """Return who took the call, of those to whom it went on; None where nobody did."""
    return way.taker if way else _forwarded_to(incoming)


def is_key(told: str) -> bool:
    """Tell whether somebody has pressed it, and not said it."""
    return bool(told) and set(told) <= set(KEYS)


def _forwarded_to(incoming: Incoming) -> PersonSpec | None:
    if incoming.dial_status not in dialing.ANSWERED or "to" not in (incoming.later or {}):
        return None
    return PersonSpec.model_construct(to=(incoming.later or {})["to"])


def _event(root: RouteFacts, step: Step, kept: Mapping[str, Any]) -> Event:
    route, place, told = flow.find(root, step.at), tuple(kept["place"]), kept["told"]
    people: list[int] = []
    if route.handler is Handler.RING:
        rings = Ring.of(route.options)
        people = rings.rounds()[step.turn] if step.what == "rung" else [step.turn]
    words = _words(route, step, told, kept["twiml"])
    return Event(
        at=datetime.fromisoformat(kept["at"]),
        handler=route.handler,
        place=place,
        told=told,
        what=step.what,
        person=_person(route, people[0]) if len(people) == 1 else None,
        words=words if place == step.at else f"{words}; then: {_where(root, place)}",
    )


def _words(route: RouteFacts, step: Step, told: str, twiml: str) -> str:
    if route.handler is Handler.MENU:
        if not told:
            return "No key was pressed"
        return f"Key {told} was pressed" if is_key(told) else f"The caller said “{told}”"
    if step.what == "rung":
        return _rung(route, step, told, twiml)
    who = _person(route, step.turn).known_as
    if step.what == "picked-up":
        return f"{who}: picked up"
    took = twiml == ringing.take()
    return f"{who}: {'took the call' if took else 'pressed nothing, as a mailbox does'}"


def _rung(route: RouteFacts, step: Step, told: str, twiml: str) -> str:
    if _is_taken(told, twiml):
        return "The two hung up"
    together = Ring.of(route.options).rounds()[step.turn]
    if len(together) > 1:
        return "Nobody took the call"
    return f"{_person(route, together[0]).known_as}: {ENDS.get(told, 'did not take the call')}"


def _taker(event: Event, twiml: str) -> PersonSpec | None:
    if event.handler is not Handler.RING:
        return None
    if event.what == "key":
        return event.person if twiml == ringing.take() else None
    return event.person if event.what == "rung" and _is_taken(event.told, twiml) else None


def _is_taken(told: str, twiml: str) -> bool:
    return told in dialing.ANSWERED and "<Hangup" in twiml and "<Say" not in twiml


def _person(route: RouteFacts, at: int) -> PersonSpec:
    return Ring.of(route.options).people[at]


def _where(root: RouteFacts, at: tuple[str, ...]) -> str:
    """Say how one comes to a place, and what is there."""
    said = []
    for number, place in enumerate(at):
        name, _, key = place.partition(".")
        outer = SPECS[flow.find(root, at[:number]).handler]
        shown = note(outer.model_fields[name], Shown)
        said.append(f"Key {key}" if key else shown.label if shown else name)
    return " → ".join([*said, SPECS[flow.find(root, at).handler].label])
