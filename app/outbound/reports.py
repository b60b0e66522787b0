"""Taken reports are applied to their messages: by a thread, for many messages at a time."""

from __future__ import annotations

import os
import threading
import time
from datetime import datetime, timedelta

import structlog
from flask import Flask, current_app
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from app.domain import wake
from app.domain.sending import journal
from app.extensions import db, unit_of_work
from app.models.base import utcnow

log = structlog.get_logger(__name__)

TOGETHER = 200
TOGETHER_ON_SQLITE = 25
"""Reports applied in one transaction. On SQLite it holds the only writer's lock, for which an
answer to Twilio may wait."""
PAUSE = 0.02
"""Seconds between two of them, so that others have their turn."""
LOCKED_PAUSE = 0.1
"""Seconds until the next look when all that waits is locked by somebody."""
LEFT_OUT = timedelta(minutes=5)
"""For how long a message is left out whose reports cannot be applied."""


def drain() -> None:
    """Start applying what waits; a job of the queue ``relay``. Does not wait for the end."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    applier_of(app).start()


class Applier:
    """One thread of a process that applies reports, for as long as there are any."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._asked = self._running = False
        self._changed = threading.Condition()
        self._left_out: dict[str, datetime] = {}
        sqlite = app.extensions["settings"].is_sqlite
        self._together = TOGETHER_ON_SQLITE if sqlite else TOGETHER

    def start(self) -> None:
        """Have a look soon, in a thread of its own."""
        with self._changed:
            self._asked = True
            if not self._running and not wake.stopping.is_set():
                self._running = True
                threading.Thread(target=self._run, name="reports", daemon=True).start()

    def wait_idle(self, seconds: float) -> bool:
        """Wait until nothing is being applied; return whether that came about."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, seconds)

    def apply_all(self) -> None:
        """Apply reports until none waits that can be applied."""
        while not wake.stopping.is_set():
            found, applied = self._turn()
            if not found:
                return
            time.sleep(PAUSE if applied else LOCKED_PAUSE)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._asked or wake.stopping.is_set():
                    self._running = False
                    self._changed.notify_all()
                    return
                self._asked = False
            with self._app.app_context():
                try:
                    self.apply_all()
                except SQLAlchemyError as error:
                    # Nothing is lost: the clock wakes us again.
                    log.warning("reports wait for the database", error=type(error).__name__)
                finally:
                    db.session.remove()

    def _turn(self) -> tuple[int, int]:
        """Apply some reports; return of how many messages they were and how many were applied."""
        now = utcnow()
        self._left_out = {id_: until for id_, until in self._left_out.items() if until > now}
        ids = journal.oldest(db.session(), self._together, self._left_out)
        db.session.rollback()
        if not ids:
            return 0, 0
        try:
            with unit_of_work() as session:
                return len(ids), journal.apply_free(session, ids)
        except OperationalError:
            raise
        except Exception:
            log.exception("one of several reports is at fault", messages=len(ids))
        return len(ids), sum(self._apply_alone(message_id) for message_id in ids)

    def _apply_alone(self, message_id: str) -> int:
        """Apply one message's reports; where that cannot be, it must not take others along."""
        try:
            with unit_of_work() as session:
                return journal.apply_free(session, [message_id])
        except OperationalError:
            raise
        except Exception:
            log.exception("reports cannot be applied", message=message_id)
            self._left_out[message_id] = utcnow() + LEFT_OUT
            return 0


def applier_of(app: Flask) -> Applier:
    """Return this process's applier: threads do not survive a fork."""
    kept: tuple[int, Applier] | None = app.extensions.get("reports")
    if kept is None or kept[0] != os.getpid():
        applier = Applier(app)
        kept = (os.getpid(), applier)
        app.extensions["reports"] = kept
        wake.on_stop(lambda: applier.wait_idle(4))
    return kept[1]
