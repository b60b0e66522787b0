"""What every kind of table is made of: numbered lines of cells, and the limits of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from app.domain.mistakes import Refused

MAX_BYTES = 15 * 1024 * 1024
MAX_ROWS = 100_000
MAX_COLUMNS = 100


class Line(NamedTuple):
    """One line with any content: its number in the file, from 1, and its cells."""

    number: int
    cells: list[str]
    hidden: bool = False
    """Whether a workbook hides it, by a filter for example."""
    faults: tuple[str, ...] = ()
    """What cannot be read in it, in sentences."""


class Source(Protocol):
    """A file, or one of its sheets, that can be read from its first line as often as wanted."""

    def lines(self) -> Iterator[Line]:
        """Yield the lines with any content.

        :raises Refused: where the file cannot be read on.
        """


def refused(sentence: str) -> Refused:
    """Make the refusal of a whole file."""
    return Refused.because(sentence, "file")
