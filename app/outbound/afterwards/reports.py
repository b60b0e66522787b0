"""Taken reports are applied to their messages: soon, and for many messages at a time."""

from __future__ import annotations

import time
from collections.abc import Collection

from flask import Flask, current_app

from app.domain import aside, wake
from app.domain.sending import journal
from app.extensions import current_settings, db, unit_of_work
from app.outbound.background import background

TOGETHER = 200
TOGETHER_ON_SQLITE = 25
"""Reports applied in one transaction. On SQLite it holds the only writer's lock, for which an
answer to Twilio may wait."""
PAUSE = 0.02
"""Seconds between two of them, so that others have their turn."""
LOCKED_PAUSE = 0.1
"""Seconds until the next look when all that waits is locked by somebody."""


def start() -> None:
    """Have the reports applied that wait; a job of the queue ``relay``."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    background(app, "reports", drain).start()


def drain() -> None:
    """Apply reports until none waits that can be applied."""
    together = TOGETHER_ON_SQLITE if current_settings().is_sqlite else TOGETHER
    while not wake.stopping.is_set():
        ids = journal.oldest(db.session(), together)
        db.session.rollback()
        if not ids:
            return
        applied = sum(aside.together("reports", ids, str, _apply, TOGETHER_ON_SQLITE))
        time.sleep(PAUSE if applied else LOCKED_PAUSE)


def _apply(ids: Collection[str]) -> int:
    with unit_of_work() as session:
        return journal.apply_free(session, ids)
