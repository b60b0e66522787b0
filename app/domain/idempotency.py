"""Idempotency keys: kept for a day, then deleted."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, select

from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.house import IdempotencyKey

KEPT_FOR = timedelta(days=1)
BATCH = 500


def purge() -> int:
    """Delete the keys that are older than a day, some at a time; return how many there were."""
    total = 0
    limit = utcnow() - KEPT_FOR
    while True:
        old = db.session.execute(
            select(IdempotencyKey.client_id, IdempotencyKey.key)
            .where(IdempotencyKey.created_at <= limit)
            .limit(BATCH)
        ).all()
        if not old:
            return total
        with unit_of_work() as session:
            for client_id, key in old:
                session.execute(
                    delete(IdempotencyKey).where(
                        IdempotencyKey.client_id == client_id,
                        IdempotencyKey.key == key,
                        IdempotencyKey.created_at <= limit,
                    )
                )
        total += len(old)
