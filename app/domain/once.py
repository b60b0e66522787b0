"""What works once: its use is written down, and a second use is refused."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.models.base import insert_into, utcnow
from app.models.sign_in import UsedOnce


def use(session: Session, kind: str, value: str, until: datetime) -> bool:
    """Use something up, within the caller's transaction; False where it was used before.

    Of two at once one waits for the other's transaction, and is refused if that commits.

    :param kind: what it is: ``state``, or ``logout`` and the issuer.
    :param until: when it is refused for its age anyway; until then its use is kept.
    """
    session.execute(delete(UsedOnce).where(UsedOnce.ends_at < utcnow()))
    digest = hashlib.sha256(f"{kind}\n{value}".encode()).hexdigest()
    taken = session.execute(
        insert_into(session, UsedOnce)
        .values(digest=digest, ends_at=until)
        .on_conflict_do_nothing()
        .returning(UsedOnce.digest)
    )
    return taken.one_or_none() is not None
