"""Claiming in many lanes so that one at fault keeps no other back.

Claims are made for all lanes in one transaction. Where that raises, each lane gets one of its own;
in the one that raises again, the messages at fault are set aside, or else the lane itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from app.domain import aside, clocks
from app.extensions import db, unit_of_work
from app.outbound.send import candidates, claims
from app.outbound.send.candidates import Wanted
from app.outbound.send.claims import LaneView

log = structlog.get_logger(__name__)

Due = tuple[LaneView, int]
"""A lane, and how many messages may be claimed in it."""


def claim(
    due: Sequence[Due],
    now_us: Callable[[], int],
    begin_again: Callable[[LaneView], None],
    make: Callable[[Sequence[Due]], None],
) -> set[str]:
    """Have claims made; return the lanes in which that could not be done.

    :param now_us: tells the database's time.
    :param begin_again: forgets the slots that an attempt which raised has given.
    :param make: claims in one transaction.
    :raises SQLAlchemyError: when the database is away.
    """
    try:
        make(due)
    except Exception as error:
        if aside.is_away(error):
            raise
        log.warning("one of several lanes is at fault", error=type(error).__name__)
    else:
        return set()
    wrong = {view.key for view, _ in due}
    for view, room in due:
        begin_again(view)
        with aside.set_aside("send", view.key):
            _claim_alone((view, room), now_us, begin_again, make)
            wrong.discard(view.key)
    return wrong


def _claim_alone(
    lane: Due,
    now_us: Callable[[], int],
    begin_again: Callable[[LaneView], None],
    make: Callable[[Sequence[Due]], None],
) -> None:
    try:
        make([lane])
        return
    except Exception as error:
        if aside.is_away(error):
            raise
        faults = _faults(*lane, now_us())
        if not faults:
            raise
    for message_id, fault in faults.items():
        aside.note("send", message_id, fault)
    begin_again(lane[0])
    make([lane])


class _Undo(Exception):
    """Ends a transaction of which nothing is to stay."""


def _faults(view: LaneView, most: int, now_us: int) -> dict[str, Exception]:
    """Return the messages that a claim for this lane stumbles over, each with what it raises."""
    found: dict[str, Exception] = {}
    wanted = Wanted(view.key, claims.in_turn(view), most)
    for message_id in candidates.queued(db.session(), wanted, clocks.moment(now_us)):
        try:
            with unit_of_work() as session:
                claims.examine(session, message_id, view, now_us)
                raise _Undo
        except _Undo:
            continue
        except Exception as error:
            if aside.is_away(error):
                raise
            found[message_id] = error
    return found
