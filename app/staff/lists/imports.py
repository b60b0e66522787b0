"""CSV files of the staff's lists: taken in with mistakes row by row, and handed out."""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import dataclass, field
from typing import TypeVar

from flask import request
from sqlalchemy.orm import Session

from app.domain import tables
from app.domain.mistakes import Refused
from app.domain.tables import FaultyRows, RowMistake, Table
from app.extensions import unit_of_work
from app.staff import own

Good = TypeVar("Good", bound=Sized)
Done = TypeVar("Done")
SHOWN_MISTAKES = 100


@dataclass
class Wrong:
    """What is to be mended before something is saved: as a whole, and row by row of a file."""

    sentences: list[str] = field(default_factory=list)
    rows: FaultyRows = field(default_factory=FaultyRows)
    good: int = 0
    """How many rows of the file are fine."""
    typed: str = ""

    @property
    def shown(self) -> list[RowMistake]:
        """The first mistakes; nobody mends thousands of rows one by one."""
        return self.rows.named[:SHOWN_MISTAKES]


class Unfit(Exception):
    """The file was not taken in; nothing is saved."""

    def __init__(self, wrong: Wrong) -> None:
        super().__init__(", ".join(wrong.sentences) or f"{wrong.rows.count} faulty rows")
        self.wrong = wrong


def take_in(
    read: Callable[[Table], tuple[Good, FaultyRows]],
    save: Callable[[Session, Good], Done],
) -> tuple[Done, Good, int]:
    """Save what the uploaded file holds, all of it or nothing.

    Faulty rows are left out only where the form's ``skip`` is ticked.

    :param read: takes a file apart into what is good and what is wrong with the other rows.
    :param save: saves what is good, within one transaction.
    :return: what ``save`` says, what was read, and how many faulty rows were left out.
    :raises Unfit: with every mistake.
    """
    try:
        good, faulty = read(tables.read(own.uploaded_file()))
        if faulty.count and not (len(good) and "skip" in request.form):
            raise Unfit(Wrong([], faulty, len(good)))
        with unit_of_work() as session:
            return save(session, good), good, faulty.count
    except Refused as refused:
        raise Unfit(Wrong(own.sentences(refused))) from None


def count(number: int, one: str, several: str) -> str:
    """Count things in words: ``1 row``, ``2,000 rows``."""
    return f"{number:,} {one if number == 1 else several}"
