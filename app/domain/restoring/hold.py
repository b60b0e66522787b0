"""The hold: a database that went back sends nothing until Twilio's log has been looked over.

What was waiting at the time of a backup has mostly been sent since; sent again, everybody would be
texted twice. So each process compares, when it starts and by the clock, what the database counts
with what was noted outside it; and each claim is counted in its own transaction, which a hold, or a
database that was exchanged under a running process, makes fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.aside import ConcernsAllError
from app.domain.relaying import notices
from app.domain.restoring import marks
from app.domain.restoring.installation import ensure
from app.extensions import current_settings, db, unit_of_work
from app.models.base import insert_into, new_id, utcnow
from app.models.commit_order import skip_to_now
from app.models.installation import ClaimCount, Hold, Installation
from app.models.message import Direction, Message

log = structlog.get_logger(__name__)

HELD = "held: the database was restored"
"""What is said to programs; the sentence for people is in :data:`SENTENCES`."""
SENTENCES: dict[Hold, str] = {
    Hold.WENT_BACK: "This database was restored from a backup: it knows less than has been sent.",
    Hold.NO_MARK: "This database has sent before, and there is no trace of that beside it: it may"
    " be a restored backup, or a copy.",
}
WHAT_TO_DO = (
    "No text and no call goes out until Twilio's log has been looked over. Run `flask reconcile`"
    " to take in what was sent since, and to go on."
)


class WentBackError(ConcernsAllError):
    """The database counts less than this process has claimed, or is held: nothing is claimed."""


@dataclass(frozen=True)
class Held:
    """Why nothing is sent, and since when."""

    because: Hold
    since: datetime
    sentence: str


def state() -> Held | None:
    """Return why nothing is sent now; None when all is well."""
    installation = db.session.scalar(
        select(Installation)
        .where(Installation.held_at.is_not(None))
        .execution_options(populate_existing=True)
    )
    if installation is None or installation.held_at is None or installation.held_because is None:
        return None
    because = installation.held_because
    return Held(because, installation.held_at, f"{SENTENCES[because]} {WHAT_TO_DO}")


def begin(holder: str) -> str:
    """Count a process's claims from now on; whoever restores an older backup lacks it.

    :param holder: its lease token, which no other process has.
    :returns: the installation under which it notes how often it has claimed.
    """
    with unit_of_work() as session:
        installation_id = ensure(session).id
        session.add(ClaimCount(holder=holder, number=0))
    marks.write(installation_id, {holder: 0})
    marks.forget_old(installation_id)
    return installation_id


def count(session: Session, holder: str, least: int) -> int:
    """Count one more claim of a process, in the claim's own transaction; return how many it made.

    Each process moves a row of its own, so that none waits for another.

    :param least: how many it has surely made before.
    :raises WentBackError: when the database knows of fewer, or sending is held.
    """
    number: int | None = session.scalar(
        update(ClaimCount)
        .where(
            ClaimCount.holder == holder,
            ClaimCount.number >= least,
            ~exists().where(Installation.held_at.is_not(None)),
        )
        .values(number=ClaimCount.number + 1)
        .returning(ClaimCount.number)
        .execution_options(synchronize_session=False)
    )
    if number is None:
        raise WentBackError("the database was restored, or sending is held")
    return number


def look() -> Hold | None:
    """Compare the database with what is noted outside it, and hold all sending where it went back.

    :returns: why all sending is held, whoever noticed it first; None when all is well.
    """
    installation = db.session.get(Installation, 1, populate_existing=True)
    if installation is None:
        db.session.rollback()
        with unit_of_work() as session:
            installation = ensure(session)
    found = _compare(installation.id)
    held = installation.held_because
    db.session.rollback()
    if found is None or held is Hold.WENT_BACK or held is found:
        return held
    _hold(found)
    return found


def _compare(installation_id: str) -> Hold | None:
    noted = marks.read(installation_id)
    counted = dict(
        db.session.execute(
            select(ClaimCount.holder, ClaimCount.number).where(ClaimCount.holder.in_(noted))
        ).all()
    )
    if any(number > counted.get(holder, -1) for holder, number in noted.items()):
        return Hold.WENT_BACK
    if not noted and _has_sent():
        return Hold.NO_MARK
    return None


def _has_sent() -> bool:
    claimed = select(ClaimCount.holder).where(ClaimCount.number > 0).limit(1)
    sent = select(Message.id).where(Message.sid.is_not(None), Message.direction == Direction.API)
    return db.session.scalar(claimed) is not None or db.session.scalar(sent.limit(1)) is not None


def _hold(because: Hold) -> None:
    with unit_of_work() as session:
        session.execute(update(Installation).values(held_at=utcnow(), held_because=because))
        skip_to_now(session)
        notices.notify(
            session,
            current_settings().support_email,
            "Dispatch sends nothing: its database was restored",
            f"{SENTENCES[because]}\n\n{WHAT_TO_DO}\n\nReplies, forwards and what Twilio reports go"
            " on meanwhile; see “Backups” in docs/operations.md.",
            dedupe_key=f"restored:{utcnow():%Y-%m-%dT%H:%M}",
        )
    log.error("all sending is held", because=because.value)


def went_back() -> None:
    """Hold all sending: a process found less in the database than it has claimed itself."""
    if look() is None:
        _hold(Hold.WENT_BACK)


def release(actor: str, how: str) -> None:
    """Let sending go on: what is noted outside the database counts as known to it now.

    :param how: what was done before, for the audit trail.
    """
    with unit_of_work() as session:
        installation_id = ensure(session).id
    noted = marks.read(installation_id) or {new_id(): 0}
    with unit_of_work() as session:
        held = ensure(session).held_because
        _raise_to(session, noted)
        session.execute(update(Installation).values(held_at=None, held_because=None))
        details = {"how": how, "held": held.value if held else None}
        audit.record(session, actor, "release", "sending", None, details)
    marks.write(installation_id, noted)
    log.info("sending goes on", how=how)


def _raise_to(session: Session, noted: marks.Counts) -> None:
    for holder, number in sorted(noted.items()):
        row = insert_into(session, ClaimCount).values(holder=holder, number=number)
        session.execute(
            row.on_conflict_do_update(
                index_elements=["holder"],
                set_={"number": row.excluded.number},
                where=ClaimCount.number < row.excluded.number,
            )
        )
