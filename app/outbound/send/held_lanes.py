"""The lanes that a process holds: leased, looked at, claimed from, and given back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, or_, true, update
from sqlalchemy.exc import SQLAlchemyError

from app.domain import clocks, wake
from app.domain.restoring import hold, marks
from app.extensions import db, unit_of_work
from app.models.base import new_id
from app.models.message import Lane
from app.outbound.afterwards import restored
from app.outbound.send import agenda, apart, claims
from app.outbound.send.agenda import LEASE, Duty
from app.outbound.send.claims import HORIZON_US, LaneView, Outgoing
from app.outbound.send.posting import MAX_LANES, Posting

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.2
"""How often a drain looks for lanes with work; a pause takes effect within this."""
LANES_A_LOOK = 24
"""The most lanes leased in one look, so that processes that begin together share them."""
LOOK_AHEAD_US = HORIZON_US - 50_000
"""A lane is served when its next slot is this near, so that one commit serves several; and early
enough that a late tick or a slow commit is made up for before the slot."""
KEPT_SECONDS = 0.5
"""How long lanes are kept for the next drain of this process, when another one takes its turn."""
FAR_US = 500_000
"""A lane whose next slot is as far away as this can change its process and lose nothing."""
WRITTEN_SECONDS = 1.0
"""Within this all that is claimed has been written: then somebody else may have the lanes."""
CLEAN_END_SECONDS = 14.0
"""A POST takes 13 s at most: whoever is asked to stop waits for those that are out."""


class Drain:
    """The lanes that one process holds, and what it knows of them, from drain to drain."""

    def __init__(self, posting: Posting) -> None:
        self.posting = posting
        self.token = new_id()
        self.views: dict[str, LaneView] = {}
        self._wanted: set[str] = set()
        self._called = False
        self._busy: set[str] = set()
        self._next_look = 0.0
        self._renew_at = 0.0
        self._installation: str | None = None
        """Known when it has found that it may send, and begins to count its claims."""
        self._claims = 0

    def may_send(self) -> bool:
        """Return whether nothing is held because the database was restored.

        A process compares the database with what is noted outside before it claims for the first
        time.
        """
        if self._installation is not None:
            return hold.state() is None
        if restored.look() is not None:
            return False
        self._installation = hold.begin(self.token)
        return True

    def begin(self) -> None:
        """Begin a drain: whoever kept lanes for the next one may have to be called once."""
        self._called = False

    def turn(self) -> bool:
        """Look for lanes and claim what is due; return whether anything is left to do soon.

        What falls due later, or is in lanes that another process is at work on, is the clock's: it
        looks every second, and one of those may die. A text that was settled a moment ago can have
        made the next step due, so nothing is left only when a look finds nothing after all had been
        settled.
        """
        if self._installation is None and not self.may_send():
            return False
        now, settled = time.monotonic(), not self.posting.busy()
        looks = now >= self._next_look
        if looks:
            self._next_look = now + LOOK_SECONDS
            if self._look(now) == LANES_A_LOOK:
                self._next_look = now  # there may be more, for others as well
                wake.wake("send")
        self._serve()
        return bool(self._wanted) or not (looks and settled)

    def end(self) -> None:
        """Let what is claimed go out, give the lanes back, and wait for what Twilio says."""
        self.posting.finish(WRITTEN_SECONDS)
        self.release()
        self.posting.finish(CLEAN_END_SECONDS)

    def let_go(self) -> None:
        """Give back the lanes that can do without, so that a process with fewer can take them.

        The others are kept, but not for long: the next drain may begin in another process.
        """
        now_us = self.posting.clock.now_us()
        far = [view.key for view in self.views.values() if view.next_slot_us > now_us + FAR_US]
        if far:
            self._return(far, Lane.key.in_(far))
        if self.views:
            until = clocks.moment(now_us) + timedelta(seconds=KEPT_SECONDS)
            self._write(list(self.views), true(), {"lease_until": until})
            self._renew_at = 0.0

    def release(self) -> None:
        """Give all lanes back, so that other processes can take them at once."""
        if self.views:
            self._return(list(self.views), true())  # those that became idle are no longer viewed

    def _return(self, keys: Sequence[str], which: ColumnElement[bool]) -> None:
        self._write(keys, which, {"lease_token": None, "lease_until": None})
        for key in keys:
            del self.views[key]
        self._busy &= self.views.keys()

    def _write(
        self, keys: Sequence[str], which: ColumnElement[bool], values: Mapping[str, object]
    ) -> None:
        """Write what becomes of leases of ours, and the true next slots of their lanes."""
        try:
            with unit_of_work() as session:
                claims.move(session, self._pushed(keys), self.token)
                session.execute(
                    update(Lane).where(which, Lane.lease_token == self.token).values(values)
                )
        except SQLAlchemyError as error:
            log.warning("leases could not be returned; they run out", error=type(error).__name__)

    def _pushed(self, keys: Sequence[str]) -> list[LaneView]:
        """Return the lanes whose messages go out later than planned, with their true next slots."""
        pushed = []
        for key in keys:
            view, earliest = self.views[key], self.posting.earliest_us(key)
            if earliest > view.next_slot_us:
                view.next_slot_us = earliest
                pushed.append(view)
        return pushed

    def _look(self, now: float) -> int:
        """Find the lanes with work; lease the free ones among them and renew what we hold.

        :returns: how many were free and could be taken.
        """
        session = db.session()
        try:
            moment = clocks.db_now(session)
            duties = agenda.due(session, moment, self.token)
        finally:
            session.rollback()
        self._wanted, self._busy = set(duties), duties.keys() & self.views.keys()
        free = self._free(duties, moment)
        if free or (self._busy and now >= self._renew_at):
            self._lease(free, moment)
            self._renew_at = now + LEASE.total_seconds() / 3
            self._busy = duties.keys() & self.views.keys()
        for key in self._busy:
            self.views[key].batches = duties[key].batches
        if not self._called and any(
            not duty.is_free(moment, self.token) for duty in duties.values()
        ):
            self._called = True
            wake.wake("send")
        return len(free)

    def _free(self, duties: Mapping[str, Duty], now: datetime) -> list[str]:
        """Return free lanes: first those that have waited for the most segments of their rate."""
        free = [
            duty
            for duty in duties.values()
            if duty.key not in self.views and duty.is_free(now, self.token)
        ]
        horizon_us = clocks.microseconds(now) + HORIZON_US
        free.sort(key=lambda duty: (duty.next_slot_us - horizon_us) * duty.rate)
        room = max(min(LANES_A_LOOK, MAX_LANES - len(self.views)), 0)
        return [duty.key for duty in free[:room]]

    def _lease(self, free: list[str], now: datetime) -> None:
        keep = list(self._busy)
        with unit_of_work() as session:
            leased = session.execute(
                update(Lane)
                .where(
                    or_(
                        Lane.key.in_(keep) & (Lane.lease_token == self.token),
                        Lane.key.in_(free) & self._may_take(now),
                    )
                )
                .values(lease_token=self.token, lease_until=now + LEASE)
                .returning(Lane.key, Lane.rate, Lane.next_slot_us, Lane.last_batch_id)
                .execution_options(synchronize_session=False)
            ).all()
        held = {}
        for key, rate, slot, batch in leased:
            held[key] = self.views.get(key) or LaneView(key, rate, slot, batch)
        self.views = held

    def _may_take(self, now: datetime) -> ColumnElement[bool]:
        """Free is also a lane that was idle and let go of while its lease is still ours."""
        return or_(
            Lane.lease_until.is_(None),
            clocks.has_come(Lane.lease_until, now, LEASE),
            Lane.lease_token == self.token,
        )

    def _serve(self) -> None:
        now_us = self.posting.clock.now_us()
        due = []
        for key in sorted(self._busy):
            view = self.views[key]
            slot_us = max(view.next_slot_us, self.posting.earliest_us(key))
            view.next_slot_us = claims.possible_slot_us(slot_us, now_us, view.rate)
            room = self.posting.room(key, view.rate)
            if room > 0 and view.next_slot_us - now_us <= LOOK_AHEAD_US:
                due.append((view, room))
        if due:
            with wake.in_one_piece():
                wrong = apart.claim(due, self.posting.clock.now_us, self._begin_again, self._claim)
                self._busy -= wrong

    def _begin_again(self, view: LaneView) -> None:
        view.next_slot_us = self.posting.earliest_us(view.key)

    def _claim(self, due: Sequence[tuple[LaneView, int]]) -> None:
        """Claim messages and have them posted.

        A commit that failed may have happened nevertheless: what it claimed waits again, at once.
        """
        claimed: list[Outgoing] = []
        known = self._claims
        try:
            with unit_of_work() as session:
                before = time.monotonic()
                now_us = clocks.db_now_us(session)
                self.posting.clock.set(before, time.monotonic(), now_us)
                self._claims = hold.count(session, self.token, known)
                claimed = claims.claim(session, due, now_us, self.token)
            if claimed:
                marks.write(self._installation or "", {self.token: self._claims})
        except BaseException:
            self._claims = known
            for outgoing in claimed:
                self.posting.give_back(outgoing, "It is not known whether it was claimed.")
            raise
        for outgoing in claimed:
            self.posting.add(outgoing)
