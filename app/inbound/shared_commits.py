"""Reports that come at the same moment are committed together: a commit is what they cost most.

Whoever's turn it is commits for all who have come meanwhile, and the next turn is for those who
come during that commit. A process with one thread commits each report by itself.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import OperationalError

from app.domain.sending import journal
from app.domain.sending.statuses import Given
from app.extensions import one_write, unit_of_work

log = structlog.get_logger(__name__)


@dataclass(eq=False)
class _Entry:
    """One report on its way into the journal."""

    given: Given
    is_tried: bool = False
    is_kept: bool = False
    error: OperationalError | None = None


_coming: list[_Entry] = []
_lock = threading.Lock()
_turn = threading.Lock()


def append(given: Given) -> None:
    """Take a report into the journal; return when it is committed.

    One that cannot be kept does not take its companions along: each of them then tries alone.

    :raises SQLAlchemyError: when it could not be committed.
    """
    entry = _Entry(given)
    with _lock:
        _coming.append(entry)
    with _turn:
        if not entry.is_tried:
            _commit_together(_take())
        if entry.error is not None:
            raise entry.error
        if not entry.is_kept:
            _commit([entry])


def _take() -> list[_Entry]:
    with _lock:
        together = list(_coming)
        _coming.clear()
    return together


def _commit_together(entries: list[_Entry]) -> None:
    for entry in entries:
        entry.is_tried = True
    try:
        _commit(entries)
    except OperationalError as error:  # the database is away, for all of them
        for entry in entries:
            entry.error = error
    except Exception:
        log.exception("one of several reports cannot be kept", count=len(entries))


def _commit(entries: list[_Entry]) -> None:
    given = [entry.given for entry in entries]
    if len(given) == 1:
        with one_write() as connection:
            journal.append(connection, given)
    else:
        with unit_of_work() as session:
            journal.append(session.connection(), given)
    for entry in entries:
        entry.is_kept = True
