"""Who was told of which date goes when no communication can come back to that date any more."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, select, tuple_
from sqlalchemy.orm import Session

from app.domain.sending.recurrence import FARTHEST_DAYS
from app.models.run import DatedSend

_KEY = (DatedSend.communication_id, DatedSend.phone, DatedSend.date)


def too_old(now: datetime) -> Select[str, str, date]:
    """Find the dates after which even the latest reminder has gone out, in every zone."""
    return select(*_KEY).where(DatedSend.date < now.date() - timedelta(days=FARTHEST_DAYS + 2))


def forget(session: Session, found: list[Any]) -> Counter[str]:
    """Forget who was told of them."""
    session.execute(
        delete(DatedSend)
        .where(tuple_(*_KEY).in_([tuple(one) for one in found]))
        .execution_options(synchronize_session=False)
    )
    return +Counter(dated_sends=len(found))
