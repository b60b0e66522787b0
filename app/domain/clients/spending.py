"""How much a client may send within an hour and a day, counted in the database.

What is spent stands in rows of a minute and of an hour for each sender (`Spending`), written in the
commit that takes a message on: a single text or call when it is accepted, one of a batch when it is
first claimed, a reply or a forwarded call with the answer to Twilio. A call counts one minute then,
and the rest of it when it has ended. So a limit is asked of some eighty rows for each sender,
however many messages there are.

The limit holds for any hour and any day, to the minute: what is spent counts for up to a minute
longer. Where little is left, those who ask for one client take turns, so that it is met exactly;
else whoever asks at the same moment does not see the others. So it can be passed by what is being
decided at once while more than ``NEAR`` is left, which is less than that, and by one message that
is larger than the whole limit, which goes when nothing else is counted.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Protocol

from sqlalchemy import (
    Connection,
    Delete,
    bindparam,
    delete,
    func,
    select,
    text,
)
from sqlalchemy.orm import Session

from app.domain.clients.windows import (
    HOUR,
    MINUTE,
    SPENT,
    WINDOWS,
    bounds,
    stamped_by,
    start_of,
)
from app.domain.reach import Refusal
from app.models.base import utcnow
from app.models.spending import Spending

KINDS = ("segments", "call_minutes")
LONGEST = WINDOWS["day"] + timedelta(seconds=MINUTE)
"""How far ahead there is room again at the latest."""
KEPT = timedelta(hours=26)
NEAR = 100
"""When less than this, or than a tenth of the limit, is left, those who ask take turns."""
_TURN = text("SELECT pg_advisory_xact_lock(:key)")
_row = Spending.__table__
PARAMETERS = (
    bindparam("spent_minute", type_=_row.c.at.type), bindparam("spent_hour", type_=_row.c.at.type)
)  # fmt: skip
# As text, since each answer to Twilio waits for it: SQLAlchemy would write it anew each time.
ADD = text(
    """
    INSERT INTO spending (client_id, source, seconds, at, segments, call_minutes)
    VALUES (:spent_client, :spent_by, 60, :spent_minute, :spent_segments, :spent_calls),
           (:spent_client, :spent_by, 3600, :spent_hour, :spent_segments, :spent_calls)
    ON CONFLICT (client_id, source, seconds, at) DO UPDATE SET
        segments = spending.segments + excluded.segments,
        call_minutes = spending.call_minutes + excluded.call_minutes
    """
).bindparams(*PARAMETERS)
"""Adds what one sender has spent (:func:`added`) to its rows, in the caller's transaction."""


class HasLimits(Protocol):
    """A client, or what is known of it, with its limits; None of each is none."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def limit_segments_hour(self) -> int | None: ...  # noqa: D102
    @property
    def limit_segments_day(self) -> int | None: ...  # noqa: D102
    @property
    def limit_minutes_hour(self) -> int | None: ...  # noqa: D102
    @property
    def limit_minutes_day(self) -> int | None: ...  # noqa: D102


class Limited(Refusal):
    """The client has reached one of its limits; ``until`` is when there is room again."""

    def __init__(self, sentence: str, until: datetime) -> None:
        super().__init__("limit_reached", sentence, "client")
        self.until = until

    @property
    def seconds(self) -> int:
        """Return after how many seconds it is worth asking again."""
        return max(1, math.ceil((self.until - utcnow()).total_seconds()))


@dataclass(frozen=True, slots=True)
class Amount:
    """Segments of texts, and whole minutes of calls."""

    segments: int = 0
    call_minutes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.segments + other.segments, self.call_minutes + other.call_minutes)


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of a client: so much of this within that."""

    of: str
    """``segments`` or ``call_minutes``."""
    window: str
    """``hour`` or ``day``."""
    most: int

    @property
    def sentence(self) -> str:
        """Say what is reached."""
        what = "segments of texts" if self.of == "segments" else "minutes of calls"
        within = "an hour" if self.window == "hour" else "a day"
        return f"at most {self.most:,} {what} may go out within {within}"


@dataclass(frozen=True, slots=True)
class Spent:
    """What a client has spent within the last hour and day."""

    hour: Amount = Amount()
    day: Amount = Amount()

    def of(self, limit: Limit) -> int:
        """Return what counts against ``limit``."""
        amount = self.hour if limit.window == "hour" else self.day
        return int(getattr(amount, limit.of))

    def plus(self, amount: Amount) -> Spent:
        """Return what it is with ``amount`` more."""
        return Spent(self.hour + amount, self.day + amount)


def limits_of(client: HasLimits, of: str) -> list[Limit]:
    """Return the limits of ``segments`` or ``call_minutes`` that the client has."""
    hour, day = (
        (client.limit_segments_hour, client.limit_segments_day)
        if of == "segments"
        else (client.limit_minutes_hour, client.limit_minutes_day)
    )
    given = (("hour", hour), ("day", day))
    return [Limit(of, window, most) for window, most in given if most is not None]


def take(session: Session, client: HasLimits, source: str, amount: Amount) -> None:
    """Count what one message of ``client`` adds, if that is within its limits.

    :param source: the id of the sender.
    :raises Limited: when it is not; nothing is counted.
    """
    check(session, client, amount)
    add(session, {(client.id, source): amount}, utcnow())


def check(session: Session, client: HasLimits, amount: Amount) -> Spent:
    """Return what has been spent, if ``amount`` more is within the limits of ``client``.

    Where little is left, the caller has its turn until its transaction ends.

    :raises Limited: when it is not.
    """
    now = utcnow()
    of = "segments" if amount.segments else "call_minutes"
    if not limits_of(client, of):
        return Spent()
    spent = spent_by(session, [client.id], now)[client.id]
    if near(client, spent, of):
        take_turn(session.connection(), f"limits {client.id}")
        spent = spent_by(session, [client.id], now)[client.id]
    if full := over(client, spent, amount):
        until = free_at(session, client.id, full, amount, spent, now)
        raise Limited(f"{client.name} has reached a limit: {full.sentence}.", until)
    return spent


def over(client: HasLimits, spent: Spent, wanted: Amount) -> Limit | None:
    """Return the limit that ``wanted`` would pass, or None; the day's before the hour's.

    What is larger than a whole limit may go when nothing else counts.
    """
    for of in KINDS:
        more = getattr(wanted, of)
        for limit in reversed(limits_of(client, of)):
            before = spent.of(limit)
            if more and before and before + more > limit.most:
                return limit
    return None


def take_turn(connection: Connection, name: str) -> None:
    """Wait until nobody else decides about ``name``; SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        digest = blake2b(name.encode(), digest_size=8).digest()
        connection.execute(_TURN, {"key": int.from_bytes(digest, signed=True)})


def near(client: HasLimits, spent: Spent, of: str) -> bool:
    """Tell whether so little is left that those who ask should take turns."""
    return any(
        limit.most - spent.of(limit) <= max(NEAR, limit.most // 10)
        for limit in limits_of(client, of)
    )


def spent_by(session: Session, client_ids: Collection[str], now: datetime) -> dict[str, Spent]:
    """Return what these clients have spent within the last hour and day, by one statement."""
    found = dict.fromkeys(client_ids, Spent())
    if not found:
        return found
    values = {"spent_clients": list(found), **bounds(now)}
    rows = session.connection().execute(SPENT, values)
    for client_id, hour_s, hour_m, day_s, day_m in rows:
        found[client_id] = Spent(Amount(int(hour_s), int(hour_m)), Amount(int(day_s), int(day_m)))
    return found


def add(session: Session, amounts: Mapping[tuple[str, str], Amount], now: datetime) -> None:
    """Write down what has been spent, by client and sender, in the caller's transaction."""
    rows = [
        added(client_id, source, amount, now)
        for (client_id, source), amount in sorted(amounts.items())
        if amount != Amount()
    ]
    if rows:
        session.connection().execute(ADD, rows if len(rows) > 1 else rows[0])


def added(client_id: str, source: str, amount: Amount, now: datetime) -> dict[str, Any]:
    """Return the parameters of :data:`ADD`."""
    return {
        "spent_client": client_id,
        "spent_by": source,
        "spent_minute": start_of(now, MINUTE),
        "spent_hour": start_of(now, HOUR),
        "spent_segments": amount.segments,
        "spent_calls": amount.call_minutes,
    }


def free_at(
    session: Session, client_id: str, limit: Limit, wanted: Amount, spent: Spent, now: datetime
) -> datetime:
    """Return when so much has left the window of ``limit`` that ``wanted`` fits into it."""
    window = WINDOWS[limit.window]
    column = _row.c[limit.of]
    excess = spent.of(limit) + getattr(wanted, limit.of) - limit.most
    minutes = session.connection().execute(
        select(_row.c.at, func.sum(column))
        .where(
            _row.c.client_id == client_id,
            _row.c.seconds == MINUTE,
            _row.c.at > now - window - timedelta(seconds=MINUTE),
            stamped_by(now),
        )
        .group_by(_row.c.at)
        .order_by(_row.c.at)
    )
    last = now
    for at, amount in minutes:
        last = at + timedelta(seconds=MINUTE) + window
        excess -= int(amount)
        if excess <= 0:
            break
    return last


def prune() -> Delete:
    """Return the statement that deletes what no window reaches any more."""
    return delete(Spending).where(Spending.at < utcnow() - KEPT)
