"""The table of faults: what each did to all that was going on, as seen from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.outside import FLOWS, Answer, Outside, Unit

HEAD = (
    "| fault | database | reply | forward | text | call | slowest answer | unanswered | afterwards"
    " | recovered after |",
    "|---|---|---|---|---|---|---|---|---|---|",
)
"""Of each flow: how many were begun, lost, and came twice."""


@dataclass
class Row:
    """All that was going on between two moments."""

    fault: str
    database: str
    units: Sequence[Unit]
    during: Sequence[Answer]
    """What Twilio asked while the fault went on."""
    afterwards: Sequence[Answer]
    over: float

    @classmethod
    def of(
        cls, fault: str, database: str, outside: Outside, began: float, over: float, end: float
    ) -> Row:
        """Count what had not come to its end when the fault began, or began until ``end``."""
        return cls(
            fault,
            database,
            [
                unit
                for unit in outside.units.values()
                if unit.began <= end and (unit.settled is None or unit.settled >= began)
            ],
            [one for one in outside.answers if began <= one.at <= over],
            [one for one in outside.answers if over < one.at],
            over,
        )

    @property
    def slowest(self) -> float:
        """Seconds that Twilio waited for an answer, at most."""
        return max((one.seconds for one in self.during), default=0.0)

    @property
    def slowest_afterwards(self) -> float:
        """The same, for what was asked when the fault was over."""
        return max((one.seconds for one in self.afterwards), default=0.0)

    @property
    def unanswered(self) -> int:
        """How often Twilio got no answer, or a 5xx."""
        return sum(not one.served for one in self.during)

    @property
    def unanswered_afterwards(self) -> int:
        return sum(not one.served for one in self.afterwards)

    @property
    def recovered(self) -> float:
        """How many seconds after the fault the last of it had come to its end."""
        ends = [unit.settled - self.over for unit in self.units if unit.settled]
        return max([0.0, *ends])

    def __str__(self) -> str:
        flows = []
        for flow in FLOWS:
            units = [unit for unit in self.units if unit.flow == flow]
            lost, twice = sum(u.is_lost for u in units), sum(u.is_twice for u in units)
            flows.append(f"{len(units)} / {lost} / {twice}")
        return (
            f"| {self.fault} | {self.database} | {' | '.join(flows)} | {self.slowest:.2f} s"
            f" | {self.unanswered} | {self.slowest_afterwards:.2f} s | {self.recovered:.1f} s |"
        )
