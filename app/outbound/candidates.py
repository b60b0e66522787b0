"""Which messages are next in their lanes, found for many lanes at once.

A hundred lanes at one message a second are a hundred small questions a second; asked together they
are a few, so that lanes keep their pace on a busy database as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, bindparam, func, literal, literal_column, select, text
from sqlalchemy.orm import Session

from app.models.message import Message, MessageState

_PAGES = 8
_SPARE = 2
"""Messages read beyond those wanted, in case the turn of some has not come."""

# Written out, not bound: the planner has to see that the partial indexes fit.
WAITING = text("message.state = 'waiting'")
QUEUE = func.coalesce(Message.batch_id, literal_column("''"))
"""The second column of the index of what waits: the batch, or nothing for single messages. No
other index has it, so that no planner can mistake another one for the shorter way, whatever it
believes about a table that has just taken in 100,000 rows."""
_AHEAD = text(
    "message.state IN ('waiting', 'claimed') AND (message.state = 'claimed' OR message.tries > 0)"
)
NOTHING_FORBIDS = text(
    "message.client_id NOT IN (SELECT id FROM client"
    " WHERE halted_at IS NOT NULL OR NOT twilio_enabled)"
    " AND message.sender_id NOT IN (SELECT id FROM sender WHERE stopped_at IS NOT NULL)"
    " AND message.credential_id NOT IN (SELECT id FROM credential WHERE stopped_at IS NOT NULL)"
)
_COLUMNS = ", ".join(f'message."{column.name}"' for column in Message.__table__.c)
# In plain SQL: to compile so many selects anew for each number of lanes would cost more than to
# run them.
_PART = (
    "SELECT * FROM (SELECT {columns} FROM message WHERE message.lane_key = :lane{number}"
    " AND coalesce(message.batch_id, '') = :queue{number} AND message.state = 'waiting'"
    " AND message.due_at <= :now {forbids}"
    " ORDER BY message.due_at, message.position LIMIT :size{number}) AS part{number}"
)
Ahead = Mapping[tuple[str | None, str], list[tuple[str, MessageState]]]


@dataclass(frozen=True)
class Wanted:
    """So many messages of a lane: single ones first, then one of each batch in turn."""

    lane: str
    batches: Sequence[str]
    count: int

    @property
    def queues(self) -> list[str]:
        """The queues to look into: single messages are in the one without a name."""
        return ["", *self.batches[: self.count + 1]]


def choose(session: Session, wanted: Sequence[Wanted], now: datetime) -> dict[str, list[Message]]:
    """Return, by lane, what goes next, in order, each to another phone.

    The order to one person is kept: nothing overtakes a text to the same phone that is on its way
    or will be tried again. Phones whose turn it is not are passed over.
    """
    pages = _first_pages(session, wanted, now)
    ahead = _ahead(session, [message for page in pages.values() for message in page])
    return {lane.lane: _of_lane(session, lane, pages, ahead, now) for lane in wanted}


def _of_lane(
    session: Session,
    lane: Wanted,
    pages: Mapping[tuple[str, str], Sequence[Message]],
    ahead: Ahead,
    now: datetime,
) -> list[Message]:
    queues = []
    for name in lane.queues:
        page = pages.get((lane.lane, name), ())
        usable = [message for message in page if not _has_to_wait(message, ahead)]
        if len(usable) < lane.count and len(page) >= lane.count + _SPARE:
            usable = _page_by_page(session, lane, name, now)
        queues.append(usable)
    found: list[Message] = []
    taken: set[str] = set()
    for message in queues[0]:
        _take(message, found, taken, lane.count)
    while len(found) < lane.count and any(queues[1:]):
        for queue in queues[1:]:
            while queue and not _take(queue.pop(0), found, taken, lane.count):
                continue
    return found


def _take(message: Message, found: list[Message], taken: set[str], count: int) -> bool:
    if len(found) >= count or message.to in taken:
        return False
    taken.add(message.to)
    found.append(message)
    return True


def _first_pages(
    session: Session, wanted: Sequence[Wanted], now: datetime
) -> dict[tuple[str, str], list[Message]]:
    """Read the beginnings of all queues by one statement."""
    parts: list[str] = []
    values: dict[str, str | int] = {}
    queues = [(lane, name) for lane in wanted for name in lane.queues]
    for number, (lane, name) in enumerate(queues):
        forbids = "" if name else f"AND {NOTHING_FORBIDS.text}"
        parts.append(_PART.format(number=number, columns=_COLUMNS, forbids=forbids))
        values |= {
            f"lane{number}": lane.lane,
            f"queue{number}": name,
            f"size{number}": lane.count + _SPARE,
        }
    pages: dict[tuple[str, str], list[Message]] = defaultdict(list)
    if not parts:
        return pages
    moment = bindparam("now", now, type_=Message.__table__.c.due_at.type)
    together = text(" UNION ALL ".join(parts)).bindparams(moment, **values)
    statement = select(Message).from_statement(together.columns(*Message.__table__.c))
    for message in session.scalars(statement.execution_options(populate_existing=True)):
        pages[message.lane_key or "", message.batch_id or ""].append(message)
    for page in pages.values():
        page.sort(key=_place)
    return pages


def _page_by_page(session: Session, lane: Wanted, name: str, now: datetime) -> list[Message]:
    """Go on through a queue whose first messages have to wait, passing over their phones."""
    found: list[Message] = []
    passed: set[str] = set()
    size = 2 * lane.count + 10
    for _ in range(_PAGES):
        due = _due(lane.lane, name, now, size).where(Message.to.not_in(passed))
        page = session.scalars(
            select(Message).from_statement(due).execution_options(populate_existing=True)
        ).all()
        ahead = _ahead(session, page)
        found += [message for message in page if not _has_to_wait(message, ahead)]
        passed |= {message.to for message in page}
        if len({message.to for message in found}) >= lane.count or len(page) < size:
            break
    return found


def _due(lane_key: str, name: str, now: datetime, size: int) -> Select[tuple[Message]]:
    """Return the query for the next of a queue, by the index of what waits, whose order this is."""
    due = (
        select(Message.__table__)
        .where(
            Message.lane_key == lane_key,
            literal(name) == QUEUE,
            WAITING,
            Message.due_at <= now,
        )
        .order_by(Message.due_at, Message.position)
        .limit(size)
    )
    return due if name else due.where(NOTHING_FORBIDS)


def _ahead(session: Session, messages: Sequence[Message]) -> Ahead:
    """Return, by lane and phone, what is on its way or will be tried again."""
    found: dict[tuple[str | None, str], list[tuple[str, MessageState]]] = defaultdict(list)
    if messages:
        rows = session.execute(
            select(Message.lane_key, Message.to, Message.id, Message.state).where(
                Message.lane_key.in_({message.lane_key for message in messages}),
                Message.to.in_({message.to for message in messages}),
                _AHEAD,
            )
        )
        for lane, to, id_, state in rows:
            found[lane, to].append((id_, state))
    return found


def _has_to_wait(message: Message, ahead: Ahead) -> bool:
    """Tell whether an earlier text to the same phone is on its way, or will be tried again."""
    return any(
        state is MessageState.CLAIMED or id_ < message.id
        for id_, state in ahead.get((message.lane_key, message.to), ())
        if id_ != message.id
    )


def _place(message: Message) -> tuple[datetime | None, int, str]:
    return message.due_at, message.position or 0, message.id
