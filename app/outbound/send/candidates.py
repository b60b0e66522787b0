"""Which messages are next in their lanes, found for many lanes at once.

A hundred lanes at one message a second are a hundred small questions a second; asked together they
are a few, so that lanes keep their pace on a busy database as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BindParameter,
    ColumnElement,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    column,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.orm import Session

from app.domain import aside
from app.domain.sending import breaker
from app.models.message import Message, MessageState
from app.models.route import Destination

Now = datetime | BindParameter[datetime]
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
_NOTHING_FORBIDS = text(
    "message.client_id NOT IN (SELECT id FROM client"
    " WHERE halted_at IS NOT NULL OR NOT twilio_enabled)"
    " AND message.sender_id NOT IN (SELECT id FROM sender WHERE stopped_at IS NOT NULL)"
    " AND message.credential_id NOT IN (SELECT id FROM credential"
    " WHERE stopped_at IS NOT NULL OR unconfirmed_since IS NOT NULL)"
)


def nothing_forbids(now: Now) -> ColumnElement[bool]:
    """Return the condition that a single message may go: nothing of its is stopped or held."""
    return and_(
        _NOTHING_FORBIDS,
        breaker.holds_no_message(now),
        aside.free("credential", Message.credential_id, now),
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a choice needs to know of a message that waits, and what its POST will need."""

    id: str
    destination: Destination
    lane_key: str
    batch_id: str | None
    position: int | None
    due_at: datetime
    to: str
    from_: str
    body: str | None
    media: Sequence[str]
    options: Mapping[str, Any]
    sender_id: str
    credential_id: str
    suppression_list_id: str | None
    segments: int
    tries: int


_COLUMNS = [getattr(Message, field.name) for field in fields(Candidate)]
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


def choose(session: Session, wanted: Sequence[Wanted], now: datetime) -> dict[str, list[Candidate]]:
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
    pages: Mapping[tuple[str, str], Sequence[Candidate]],
    ahead: Ahead,
    now: datetime,
) -> list[Candidate]:
    queues = []
    for name in lane.queues:
        page = pages.get((lane.lane, name), ())
        usable = [message for message in page if not _has_to_wait(message, ahead)]
        if len(usable) < lane.count and len(page) >= lane.count + _SPARE:
            usable = _page_by_page(session, lane, name, now)
        queues.append(usable)
    found: list[Candidate] = []
    taken: set[str] = set()
    single, *batches = queues
    for message in single:
        _take(message, found, taken, lane.count)
    while len(found) < lane.count and any(batches):
        for queue in batches:
            while queue and not _take(queue.pop(0), found, taken, lane.count):
                continue
    return found


def _take(message: Candidate, found: list[Candidate], taken: set[str], count: int) -> bool:
    if len(found) >= count or message.to in taken:
        return False
    taken.add(message.to)
    found.append(message)
    return True


def _first_pages(
    session: Session, wanted: Sequence[Wanted], now: datetime
) -> dict[tuple[str, str], list[Candidate]]:
    """Read the beginnings of all queues."""
    queues = [(lane.lane, name, lane.count + _SPARE) for lane in wanted for name in lane.queues]
    pages: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for message in sorted(_read_together(session, queues, now), key=_place):
        pages[message.lane_key, message.batch_id or ""].append(message)
    return pages


def _read_together(
    session: Session, queues: Sequence[tuple[str, str, int]], now: datetime
) -> Iterator[Candidate]:
    """Yield the first messages of (lane, queue, so many).

    By one statement on PostgreSQL; SQLite is not asked over a network.
    """
    if not queues:
        return
    if session.get_bind().dialect.name == "sqlite":
        for lane, name, size in queues:
            yield from _read(session, _due(lane, name, now, size))
        return
    names = ("lanes", "names", "sizes")
    values = dict(zip(names, map(list, zip(*queues, strict=True)), strict=True))
    yield from _read(session, _ALL_DUE, {**values, "now": now})


def _read(
    session: Session, query: Select[Any], values: Mapping[str, Any] | None = None
) -> Iterator[Candidate]:
    for row in session.execute(query, values):
        yield Candidate(*row)


def _page_by_page(session: Session, lane: Wanted, name: str, now: datetime) -> list[Candidate]:
    """Go on through a queue whose first messages have to wait, passing over their phones."""
    found: list[Candidate] = []
    passed: set[str] = set()
    size = 2 * lane.count + 10
    for _ in range(_PAGES):
        due = _due(lane.lane, name, now, size).where(Message.to.not_in(passed))
        page = list(_read(session, due))
        ahead = _ahead(session, page)
        found += [message for message in page if not _has_to_wait(message, ahead)]
        passed |= {message.to for message in page}
        if len({message.to for message in found}) >= lane.count or len(page) < size:
            break
    return found


def _due(lane_key: str, name: str, now: datetime, size: int) -> Select[Any]:
    """Return the query for the next of a queue."""
    due = _in_order(lane_key, literal(name), now).limit(size)
    return due if name else due.where(nothing_forbids(now))


def _in_order(lane: str | ColumnElement[str], name: ColumnElement[str], now: Now) -> Select[Any]:
    """Return the query for what is due in a queue, by the index of what waits, in its order."""
    return (
        select(*_COLUMNS)
        .where(
            Message.lane_key == lane,
            name == QUEUE,
            WAITING,
            Message.due_at <= now,
            aside.free("send", Message.id, now),
        )
        .order_by(Message.due_at, Message.position)
    )


def _all_due() -> Select[Any]:
    """Return the same query for many queues: the arrays ``lanes``, ``names``, ``sizes``."""
    wanted = (
        func.unnest(
            bindparam("lanes", type_=ARRAY(String)),
            bindparam("names", type_=ARRAY(String)),
            bindparam("sizes", type_=ARRAY(Integer)),
        )
        .table_valued(column("lane", String), column("name", String), column("size", Integer))
        .render_derived("wanted")
    )
    now = bindparam("now", type_=Message.due_at.type)
    due = (
        _in_order(wanted.c.lane, wanted.c.name, now)
        .where(or_(wanted.c.name != "", nothing_forbids(now)))
        .limit(wanted.c.size)
        .lateral("due")
    )
    return select(*due.c).select_from(wanted.join(due, true()))


_ALL_DUE = _all_due()


def queued(session: Session, wanted: Wanted, now: datetime) -> list[str]:
    """Return the ids of what would be looked at for a lane, without reading anything else."""
    size = wanted.count + _SPARE
    found = [following(session, wanted.lane, name, now, size) for name in wanted.queues]
    return [id_ for queue in found for id_, _ in queue]


def following(
    session: Session, lane: str, name: str, now: datetime, size: int
) -> list[tuple[str, str]]:
    """Return (id, phone) of the next of a queue, in their order."""
    query = _due(lane, name, now, size).with_only_columns(Message.id, Message.to)
    return [(row.id, row.to) for row in session.execute(query)]


def one(session: Session, message_id: str) -> Candidate:
    """Read one message by itself."""
    (found,) = _read(session, select(*_COLUMNS).where(Message.id == message_id))
    return found


def _ahead(session: Session, messages: Sequence[Candidate]) -> Ahead:
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


def _has_to_wait(message: Candidate, ahead: Ahead) -> bool:
    """Tell whether an earlier text to the same phone is on its way, or will be tried again."""
    return any(
        state is MessageState.CLAIMED or id_ < message.id
        for id_, state in ahead.get((message.lane_key, message.to), ())
        if id_ != message.id
    )


def _place(message: Candidate) -> tuple[datetime, int, str]:
    return message.due_at, message.position or 0, message.id
