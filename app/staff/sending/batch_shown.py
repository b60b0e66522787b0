"""Where a batch stands, as its page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import g
from flask_login import current_user
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain.sending import approval, quiet, running
from app.domain.sending.running import Progress
from app.models.base import utcnow
from app.models.batch import BATCH_TRANSITIONS, Batch, BatchState
from app.models.link import Click
from app.staff import words

STATES: dict[BatchState, tuple[str, str]] = {
    BatchState.AWAITING_APPROVAL: ("Waits for approval", "warn"),
    BatchState.SCHEDULED: ("Scheduled", ""),
    BatchState.PREPARING: ("Being prepared", ""),
    BatchState.RUNNING: ("Running", ""),
    BatchState.PAUSED: ("Paused", "warn"),
    BatchState.COMPLETE: ("Complete", "good"),
    BatchState.CANCELED: ("Canceled", "warn"),
    BatchState.REFUSED: ("Refused", "bad"),
}
NOT_FINAL = ("queued", "accepted", "scheduled", "sending", "sent", "initiated", "ringing",
             "in-progress", "unknown")  # fmt: skip
OFTEN, SELDOM = 2, 20
"""Seconds between two looks of an open page."""
SETTLING = timedelta(minutes=10)
"""How long after a batch its page waits for Twilio's last words: some carriers never send one."""


@dataclass(frozen=True)
class Shown:
    """A batch as its page shows it: where it stands and what may be done about it."""

    batch: Batch
    progress: Progress
    counts: list[tuple[str, str, str, int]]
    """Status, its words, its colour, and how many."""
    quiet_until: datetime | None
    is_own: bool
    """Whether who looks at it has started it, and so cannot approve it."""
    people: int = 0
    previews: int = 0

    @property
    def decide_by(self) -> datetime | None:
        """Until when it may be approved."""
        asked = self.batch.approval_asked_at
        return asked + approval.PATIENCE if asked else None

    @property
    def ended(self) -> bool:
        """Whether nothing more happens."""
        return not BATCH_TRANSITIONS[self.batch.state]

    @property
    def moving(self) -> bool:
        """Whether texts or calls still go out."""
        return not self.ended or self.progress.waiting > 0

    @property
    def settling(self) -> bool:
        """Whether all are out, but Twilio's word on what became of some is still on its way."""
        ended_at = self.batch.ended_at
        open_ones = any(status in NOT_FINAL for status, *_ in self.counts)
        return open_ones and ended_at is not None and utcnow() < ended_at + SETTLING

    @property
    def look_again(self) -> int:
        """Seconds after which the page looks again by itself; 0 for never.

        Often only while it is short: what goes on for hours is looked at so seldom that an open
        page costs less than a statement a second.
        """
        if self.batch.state is BatchState.AWAITING_APPROVAL:
            return 0  # whoever writes why it must not go out is not disturbed
        if self.moving or self.settling:
            return OFTEN if self._is_short else SELDOM
        return 0

    @property
    def _is_short(self) -> bool:
        """Whether it began, or ends, or has ended within a minute."""
        now, minute = utcnow(), timedelta(minutes=1)
        began, ended, eta = self.batch.started_at, self.batch.ended_at, self.progress.eta
        just_now = max((one for one in (began, ended) if one is not None), default=now)
        return now - just_now < minute or (eta is not None and eta - now < minute)

    @property
    def gone(self) -> int:
        """How many members need nothing more from us."""
        if self.ended:
            return self.whole
        return max(sum(self.progress.counts.values()) - self.progress.waiting, 0)

    @property
    def whole(self) -> int:
        """How many members, or messages where each member gets several, there are."""
        return max(self.progress.total, sum(self.progress.counts.values()), 1)


def shown_batch(session: Session, batch: Batch) -> Shown:
    """Return a batch as its page shows it to the person who looks at it."""
    progress = running.progress(session, batch)
    order = list(words.STATUSES)
    counts = [
        (status, *words.STATUSES.get(status, (status, "")), count)
        for status, count in sorted(
            progress.counts.items(),
            key=lambda one: order.index(one[0]) if one[0] in order else len(order),
        )
    ]
    people, previews = _clicks(session, batch)
    waits = batch.state is BatchState.AWAITING_APPROVAL
    own_batch = waits and approval.is_own(session, batch, current_user.email)
    return Shown(batch, progress, counts, _quiet_until(batch), own_batch, people, previews)


def _quiet_until(batch: Batch) -> datetime | None:
    """Return when the quiet hours that hold this batch are over, None when none do."""
    client = g.client
    if batch.state is BatchState.SCHEDULED:
        at = batch.scheduled_at
    elif batch.state in (BatchState.RUNNING, BatchState.PREPARING):
        at = utcnow()
    else:
        return None
    return quiet.until(at, client.time_zone, client.quiet_from, client.quiet_to)


def _clicks(session: Session, batch: Batch) -> tuple[int, int]:
    """Return how often people, and previews or robots, opened the links of a batch."""
    if not batch.plan.get("link_tracking"):
        return 0, 0
    rows = session.execute(
        select(Click.is_preview, func.count())
        .where(Click.batch_id == batch.id)
        .group_by(Click.is_preview)
    )
    found = {row[0]: row[1] for row in rows}
    return found.get(False, 0), found.get(True, 0)
