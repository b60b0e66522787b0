"""A restored backup is rid of those again who were erased after it was made.

It knows nothing of those erasures, but they are noted outside it (:mod:`noting`) by a digest of the
phone: everybody whom it knows is compared with that. What comes in later and is older than an
erasure, from Twilio's log above all, is erased as well.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.domain import aside
from app.domain.persons import digests, erasing, noting
from app.domain.persons.pieces import Person
from app.domain.restoring.outside import Noted
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.erasure import Erasure

log = structlog.get_logger(__name__)

LOOP = "erasures"
ACTOR = "a restore"
LEFT_ALONE = timedelta(minutes=2)
"""How long whoever asked for an erasure has for carrying it out."""


def tick() -> None:
    """Finish what a process has left, note what is not noted yet, repeat what a restore undid."""
    aside.one_by_one(LOOP, erasing.open_since(utcnow() - LEFT_ALONE), str, _finish)
    noted = noting.known()
    done = set(_kept())
    if unnoted := sorted(done - noted.keys()):
        noting.note(unnoted)
    undone = sorted(noted.keys() - set(_kept(also_open=True)))
    aside.one_by_one(LOOP, undone, str, lambda one: _take_over(noted[one]))
    aside.one_by_one(LOOP, _due(), str, _repeat)


def again(since: datetime) -> None:
    """Have erasures from then on repeated: what they erased may just have come in once more."""
    with unit_of_work() as session:
        session.execute(
            update(Erasure)
            .where(Erasure.at >= since, Erasure.done_at.is_not(None))
            .values(repeat_at=utcnow())
            .execution_options(synchronize_session=False)
        )


def _kept(*, also_open: bool = False) -> list[str]:
    query = select(Erasure.id).where(Erasure.id >= noting.oldest_kept())
    if not also_open:
        query = query.where(Erasure.done_at.is_not(None))
    found = db.session.scalars(query).all()
    db.session.rollback()
    return list(found)


def _due() -> list[str]:
    due = select(Erasure.id).where(Erasure.repeat_at.is_not(None)).order_by(Erasure.repeat_at)
    found = db.session.scalars(due.limit(100)).all()
    db.session.rollback()
    return list(found)


def _finish(erasure_id: str) -> None:
    erasing.finish(erasure_id)


def _take_over(noted: Noted) -> None:
    """Write down an erasure that the database knows nothing of, to be repeated."""
    at = datetime.fromisoformat(noted.at)
    with unit_of_work() as session:
        if (
            session.get(Erasure, noted.id) is not None
            or session.get(Client, noted.client_id) is None
        ):
            return
        session.add(
            Erasure(
                id=noted.id, client_id=noted.client_id, digest=noted.digest, at=at, by=ACTOR,
                receipt={}, done_at=utcnow(), repeat_at=utcnow(),
            )
        )  # fmt: skip
    log.warning("a restored database knows somebody again who was erased", erasure=noted.id)


def _repeat(erasure_id: str) -> None:
    """Erase once more whom an erasure was about, if the client knows them by older things."""
    reading: Session = db.session()
    erasure = reading.get_one(Erasure, erasure_id, populate_existing=True)
    phone = digests.find(reading, erasure.client_id, erasure.digest)
    reading.rollback()
    with unit_of_work() as session:
        fresh = session.get_one(Erasure, erasure_id, with_for_update=True, populate_existing=True)
        fresh.repeat_at = None
        if phone is not None:
            erasing.cancel(session, Person(fresh.client_id, phone, fresh.at))
            fresh.phone, fresh.done_at = phone, None
    if phone is not None:
        erasing.finish(erasure_id)
