"""What is left of large things that are gone: it goes some rows at a time, after them.

Members of a list, entries of a suppression list, the parts of a file: nobody finds them any more,
since what they belonged to is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain import chores
from app.models.audience import Member, Population
from app.models.base import utcnow
from app.models.batch import BatchTaking
from app.models.chore import Chore, ChoreKind
from app.models.suppression import SuppressionEntry
from app.models.upload import Upload, UploadPart

LATE = timedelta(days=1)
PARTS_TOGETHER = 4
"""Parts of files that one transaction deletes: 1 MB."""
_AGAIN = timedelta(seconds=5)


def let_go_of_roll(session: Session, roll: str) -> None:
    """Have the members of a roll deleted that is no population's any more."""
    chores.drop(session, ChoreKind.MEMBERS, roll)
    chores.begin(session, ChoreKind.MEMBERS, roll, forget_members)


def forget_members(session: Session, chore: Chore) -> bool:
    """Delete some members of a roll, unless a batch takes its members over; return if more may be.

    What is a population's people is never deleted, whatever a chore says.
    """
    roll = chore.subject
    if session.scalar(select(exists().where(BatchTaking.roll == roll))):
        chore.due_at = utcnow() + _AGAIN
        return True
    if session.scalar(select(exists().where(Population.roll == roll))):
        return False
    return _delete_some(session, Member.id, Member.roll == roll, chores.PIECE)


def forget_entries(session: Session, chore: Chore) -> bool:
    """Delete some entries of a suppression list that is gone; return whether there may be more.

    For a day one may still come: of a STOP to whom the list was the number's a moment ago.
    """
    mine = SuppressionEntry.list_id == chore.subject
    are_more = _delete_some(session, SuppressionEntry.id, mine, chores.PIECE)
    last = chore.created_at + LATE
    if not are_more:
        chore.due_at = last
    return are_more or utcnow() < last


def remove_uploads(session: Session, upload_ids: Sequence[str]) -> None:
    """Delete files that were uploaded; what they hold goes some at a time."""
    session.execute(
        delete(Upload).where(Upload.id.in_(upload_ids)).execution_options(synchronize_session=False)
    )
    for upload_id in upload_ids:
        chores.begin(session, ChoreKind.UPLOAD, upload_id, forget_parts)


def forget_parts(session: Session, chore: Chore) -> bool:
    """Delete some of what a file held that is deleted; return whether there may be more."""
    mine = UploadPart.upload_id == chore.subject
    return _delete_some(session, UploadPart.number, mine, PARTS_TOGETHER)


def _delete_some(
    session: Session, key: InstrumentedAttribute[Any], mine: ColumnElement[bool], most: int
) -> bool:
    """Delete some of the rows that fit, in the order of ``key``; return whether there may be more.

    :param key: tells the rows that fit apart.
    """
    some = select(key).where(mine).order_by(key).limit(most).scalar_subquery()
    gone = session.scalars(
        delete(key.class_)
        .where(mine, key.in_(some))
        .returning(key)
        .execution_options(synchronize_session=False)
    ).all()
    return len(gone) == most
