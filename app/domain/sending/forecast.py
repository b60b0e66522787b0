"""What a batch would do, in figures: what a sender sees before it is started."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from app.domain.clients import prices


@dataclass(frozen=True)
class Warned:
    """Something that may go ahead but should be known."""

    code: str
    sentence: str


@dataclass
class Forecast:
    """What would happen if the batch were started now.

    ``total`` is exact. All other figures are exact where everybody was looked at, and otherwise
    estimates from the members that were (``is_estimate``).
    """

    total: int = 0
    examined: int = 0
    """Members whose texts were rendered and checked."""
    recipients: int = 0
    """Members that get it."""
    suppressed: int = 0
    """Members that have opted out."""
    unreachable: int = 0
    """Members whose phone Twilio could not reach lately."""
    to_look_up: int = 0
    """Recipients whose lines are looked up before their texts, for a price of its own."""
    refused: Counter[str] = field(default_factory=Counter)
    """Members that get nothing, by the code of the reason."""
    examples: list[tuple[int, str]] = field(default_factory=list)
    """The first members that get nothing: position from 1 and the reason in a sentence."""
    missing: Counter[str] = field(default_factory=Counter)
    """Attributes that the templates need, by how many members lack them."""
    messages: int = 0
    segments: int = 0
    longest: int = 0
    """Segments of the longest text."""
    ucs2: int = 0
    """Messages that carry characters outside GSM-7, which makes them dearer."""
    cost: Decimal = Decimal(0)
    currency: str = prices.CURRENCY
    seconds: float = 0.0
    """How long it takes at the sender's rate, what waits in its lane already included."""
    outside: int = 0
    """Recipients who are outside their hours now and whose texts or calls go later."""
    night: int = 0
    """Recipients where it is night now and nothing lets them wait."""
    last_opens_at: datetime | None = None
    """When the last of those outside may be reached."""
    begins_at: datetime | None = None
    """The end of the quiet hours, if it is quiet now."""
    eta: datetime | None = None
    sample: list[str] = field(default_factory=list)
    """What the first recipient gets."""
    heard: dict[str, list[str]] = field(default_factory=dict)
    """What is heard in the first call, by who answers it: ``person`` and ``machine``, or
    ``anybody``."""
    elsewhere: Counter[str] = field(default_factory=Counter)
    """Recipients who have opted out of something else of the client's, by the list that says so."""
    needs_approval: bool = False
    """Whether so many are reached that somebody else has to approve it first."""
    problems: list[str] = field(default_factory=list)
    """Why it cannot be started at all."""
    warnings: list[Warned] = field(default_factory=list)

    @property
    def invalid(self) -> int:
        """Members that get nothing because of their phone or of what they lack."""
        return self.refused.total()

    @property
    def look_up_cost(self) -> Decimal:
        """What looking up their lines costs, beside the texts."""
        return self.to_look_up * prices.LINE_TYPE

    @property
    def is_estimate(self) -> bool:
        """Whether only some of the members were looked at."""
        return self.examined < self.total

    def refuse(self, position: int, code: str, sentence: str, examples: int) -> None:
        """Count one member that gets nothing; the first ``examples`` are named."""
        self.refused[code] += 1
        self.name(position, sentence, examples)

    def name(self, position: int, sentence: str, examples: int) -> None:
        """Name one member that gets nothing, if it is among the first ``examples``."""
        if len(self.examples) < examples:
            self.examples.append((position, sentence))

    def extend(self) -> None:
        """Turn counts of the examined members into estimates for all of them."""
        if not self.is_estimate or not self.examined:
            return
        factor = Decimal(self.total) / self.examined
        for name in (
            "suppressed",
            "unreachable",
            "to_look_up",
            "messages",
            "segments",
            "ucs2",
            "outside",
            "night",
        ):
            setattr(self, name, round(getattr(self, name) * factor))
        for counts in (self.refused, self.missing, self.elsewhere):
            for key, count in counts.items():
                counts[key] = round(count * factor)
        self.cost *= factor
        self.recipients = max(0, self.total - self.suppressed - self.unreachable - self.invalid)
