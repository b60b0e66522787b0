"""The way of a call through the steps of its route: what was pressed, who took it, where it ended.

Read from what was kept of each step when it was answered (`app.inbound.steps`), by the route as it
was when the call came.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.routing.handlers import SPECS
from app.domain.routing.handlers.base import Shown, note
from app.domain.routing.handlers.ring import Ring
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
    words: str


@dataclass(frozen=True)
class Way:
    """How a call went."""

    events: list[Event]
    last: str
    """Where in the route the caller was at the end, or is: “Key 1 → Take a message”."""
    taker: str | None
    """Who took the call, of those whose phones rang."""


def of(incoming: Incoming) -> Way | None:
    """Return the way of a call; None of a text, or of a call that had no steps."""
    if incoming.flow is None:
        return None
    root, steps = flow.read(incoming.flow), incoming.steps or {}
    taker, events = None, []
    at: tuple[str, ...] = ()
    for key, kept in sorted(steps.items(), key=lambda one: one[1]["at"]):
        step, place = Step.of(key), tuple(kept["place"])
        try:
            words = _words(root, step, kept["told"], kept["twiml"])
            taker = taker or _taker(root, step, kept["told"], kept["twiml"])
            if place != step.at:
                words = f"{words}; then: {_where(root, place)}"
        except (Lost, IndexError):  # what was kept of an earlier version
            continue
        at = place
        events.append(Event(datetime.fromisoformat(kept["at"]), words))
    return Way(events, _where(root, at), taker)


def _words(root: RouteFacts, step: Step, told: str, twiml: str) -> str:
    route = flow.find(root, step.at)
    if route.handler is Handler.MENU:
        if not told:
            return "No key was pressed"
        return f"Key {told} was pressed" if len(told) == 1 else f"The caller said “{told}”"
    if step.what == "rung":
        return _rung(route, step, told, twiml)
    who = _person(route, step.turn)
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
    return f"{_person(route, together[0])}: {ENDS.get(told, 'did not take the call')}"


def _taker(root: RouteFacts, step: Step, told: str, twiml: str) -> str | None:
    route = flow.find(root, step.at)
    if route.handler is not Handler.RING:
        return None
    if step.what == "key" and twiml == ringing.take():
        return _person(route, step.turn)
    rounds = Ring.of(route.options).rounds()
    if step.what == "rung" and _is_taken(told, twiml) and len(rounds[step.turn]) == 1:
        return _person(route, rounds[step.turn][0])
    return None


def _is_taken(told: str, twiml: str) -> bool:
    return told in dialing.ANSWERED and "<Hangup" in twiml and "<Say" not in twiml


def _person(route: RouteFacts, at: int) -> str:
    return Ring.of(route.options).people[at].known_as


def _where(root: RouteFacts, at: tuple[str, ...]) -> str:
    """Say how one comes to a place, and what is there."""
    said = []
    for number, place in enumerate(at):
        name, _, key = place.partition(".")
        outer = SPECS[flow.find(root, at[:number]).handler]
        shown = note(outer.model_fields[name], Shown)
        said.append(f"Key {key}" if key else shown.label if shown else name)
    return " → ".join([*said, SPECS[flow.find(root, at).handler].label])
