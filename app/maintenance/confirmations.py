"""Twilio accounts that could not be confirmed when they were saved are asked about again."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, or_, select

from app.domain import aside
from app.domain.sending import confirmation
from app.domain.sending.confirmation import LOOP, Login, Words
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.credential import Credential

MOST = 100
"""Asked about in one job."""


def tick() -> None:
    """Ask about what is due; a job of the queue ``house``.

    That is what is unconfirmed, every ten seconds; and what counts as confirmed, once, when that
    has never been asked, or since Twilio has refused something of it.
    """
    due = _due()
    logins = dict(aside.one_by_one(LOOP, due, str, _logins))
    db.session.rollback()
    words = confirmation.ask([login for some in logins.values() for login in some])
    done = aside.one_by_one(LOOP, list(logins), str, lambda one: _note(one, logins[one], words))
    if any(done):
        wake("send")


def _due() -> Sequence[str]:
    asked = Credential.asked_at
    since = utcnow() - confirmation.AGAIN * 0.9  # the clock is not that punctual
    open_ = and_(
        Credential.unconfirmed_since.is_not(None),
        Credential.stopped_at.is_(None),
        or_(asked.is_(None), asked <= since),
    )
    never = and_(Credential.unconfirmed_since.is_(None), asked.is_(None))
    return db.session.scalars(
        select(Credential.id)
        .where(
            or_(open_, never),
            aside.free(LOOP, Credential.id),
            aside.free("credential", Credential.id),
        )
        .order_by(asked.asc().nulls_first())
        .limit(MOST)
    ).all()


def _logins(credential_id: str) -> tuple[str, list[Login]]:
    credential = db.session.get_one(Credential, credential_id)
    return credential_id, confirmation.logins_of(credential)


def _note(credential_id: str, logins: list[Login], words: Words) -> bool:
    """Write down what was heard, unless the credential has been saved anew meanwhile."""
    with unit_of_work() as session:
        credential = session.get_one(
            Credential, credential_id, with_for_update=True, populate_existing=True
        )
        if confirmation.logins_of(credential) != logins:
            return False
        return confirmation.heard(session, credential, words, utcnow())
