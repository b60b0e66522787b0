"""What a number does with an incoming text or call: one handler a file.

A handler of texts is called inside the transaction that will store the text. It may read and must
not write: it returns an :class:`Answer`, and whatever has to be written besides is in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.domain.clients.spending import Amount
from app.inbound.history import History
from app.inbound.lookup import Number, RouteFacts
from app.inbound.parsing import Arrival
from app.models.incoming import OptOut, Outcome
from app.twilio.segments import measure


@dataclass(frozen=True)
class Reply:
    """A text in answer, stored as a message of its own."""

    message_id: str
    body: str
    media: tuple[str, ...] = ()
    template_version_id: str | None = None
    member: dict[str, object] | None = None

    @property
    def segments(self) -> int:
        """How many segments it takes."""
        return measure(self.body).segments


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
    call_minutes: int = 0
    """What a call that goes on counts against the client's limits, to begin with."""

    @property
    def counts(self) -> Amount:
        """What the answer counts against the client's limits."""
        segments = max(self.reply.segments, 1) if self.reply else 0
        return Amount(segments, self.call_minutes)


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

    @property
    def route(self) -> RouteFacts:
        """The route by which the handler was chosen.

        :raises ValueError: for a number without one, which no handler answers for.
        """
        if self.number.route is None:
            raise ValueError("this number has no route for texts")
        return self.number.route
