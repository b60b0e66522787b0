"""What is answered to an incoming text or call, and all that a handler knows when it is asked.

A handler is called inside the transaction that will store the text or call. It may read and must
not write: it returns an :class:`Answer`, and whatever has to be written besides is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.orm import Session

from app.domain.keywords import Asked
from app.inbound.number import Number
from app.inbound.parsing import Arrival
from app.inbound.webhook import Webhook
from app.models.incoming import OptOut, Outcome


@dataclass(frozen=True)
class Reply:
    """A text in answer, stored as a message of its own."""

    message_id: str
    body: str
    segments: int
    media: tuple[str, ...] = ()
    template_version_id: str | None = None
    member: dict[str, object] | None = None


@dataclass(frozen=True)
class Rendered:
    """What a template of replies makes for one text; worked out before anything is locked."""

    text: str
    media: tuple[str, ...] = ()
    template_id: str | None = None
    template_name: str | None = None
    version_id: str | None = None
    problem: str | None = None
    """Why there is no text, in a sentence; then nothing is sent, and the owner is told."""


@dataclass(frozen=True)
class Prepared:
    """Everything that may be answered to one text."""

    route: Rendered | None = None
    """What the route's template says, or that of its keyword rule."""
    keyword: Rendered | None = None
    """What is said to STOP, START or HELP where Twilio says nothing."""
    asked: Asked | None = None
    """What the text asks for by itself; None for everything but a keyword."""


@dataclass(frozen=True)
class Answer:
    """What Twilio is told, and what the log says about it."""

    twiml: str
    outcome: Outcome
    error: str | None = None
    """Why it is not what staff chose, in a sentence."""
    flagged: bool = False
    """Staff should look at it."""
    reply: Reply | None = None
    afterwards: Callable[[Session], None] | None = None
    """Writes events in the same transaction, once the row of the text is there to refer to."""
    wakes: str | None = None
    """The queue to wake after the commit (``relay``)."""
    later: dict[str, Any] | None = None
    """What a later step of this call needs of its route, as it is now."""
    call_minutes: int = 0
    """What a call that goes on counts against the client's limits, to begin with."""
    flow: dict[str, Any] | None = None
    """The route that the call goes through, step by step (`app.inbound.flow`)."""
    text_back: str | None = None
    """The template of the text that the caller gets who hangs up now, unanswered."""
    dial_status: str | None = None
    """How the phones that rang have answered, where that is known by now."""


@dataclass(frozen=True, slots=True)
class History:
    """What has gone before between a phone and a number, as far as an answer depends on it."""

    sender_id: str | None
    """The number to which the same SID was stored before; None when it is new."""
    answer: str | None
    """The TwiML that was given then."""
    recent_replies: int
    """How many replies the phone has had within an hour."""
    recent_messages: int
    """How many messages of any kind the client has sent it within that time."""
    suppressed: bool
    """The person has opted out: the phone is on the number's suppression list."""
    unreachable: bool = False
    """Some list of the client's says that the phone cannot be reached."""


NOTHING = History(None, None, 0, 0, False)
"""What has gone before with somebody who never wrote nor was written to."""


@dataclass(frozen=True)
class TextContext:
    """All that a handler of texts knows."""

    session: Session
    incoming_id: str
    """The id under which the text is being stored."""
    arrival: Arrival
    number: Number
    past: History
    reaction: dict[str, object] | None
    """``{"kind", "removed", "messageId"}`` where the text is a reaction rather than a message."""
    opt_out: OptOut | None
    """Twilio has answered this person already; forwards carry it as a mark."""
    media_codes: tuple[str, ...]
    """Our codes of the arrival's media, in their order: ``/media/<code>``."""
    prepared: Prepared


@dataclass(frozen=True)
class CallContext:
    """All that a handler of calls knows."""

    session: Session
    incoming_id: str
    """The id under which the call is being stored."""
    arrival: Arrival
    number: Number
    at: tuple[str, ...] = ()
    """Where in the number's route the call has come to: the places of the routes inside each other.
    """

    @property
    def path(self) -> list[str]:
        """The keys that the caller has pressed, or said, to come there."""
        return [key for place in self.at for name, _, key in (place.partition("."),) if key]

    def inside(self, place: str) -> CallContext:
        """Return the same where the call has gone on to a route inside."""
        return replace(self, at=(*self.at, place))


@dataclass(frozen=True)
class Heard:
    """What Twilio tells at one step of a call."""

    what: str
    """Which of its handler's steps it is."""
    turn: int
    """How often, or with whom, from 0."""
    said: Webhook
    before: Mapping[str, str] = field(default_factory=dict)
    """What was answered at the steps before, by `app.inbound.flow.Step.key`."""

    def get(self, name: str) -> str:
        """Return a parameter of Twilio's; empty when it is missing."""
        return self.said.get(name)


@dataclass(frozen=True)
class Onward:
    """The call goes on by a route inside the one that was asked; politely ends without one."""

    place: str
    error: str | None = None
    """Why it goes on there, where that is not what staff would expect, in a sentence."""
    flagged: bool = False
    dial_status: str | None = None
