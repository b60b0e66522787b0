"""Work that goes on in a thread of its own, so that the job that starts it ends at once.

The worker of its queue is then free for the next wake-up, and for whatever else the queue brings.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from app.domain import wake
from app.extensions import db

log = structlog.get_logger(__name__)

GRACE_SECONDS = 4.0
"""How long a process that stops waits for it; it ends when ``wake.stopping`` is set."""


class Background:
    """One thread of a process that does some work whenever it is asked to, never twice at once."""

    def __init__(self, app: Flask, name: str, work: Callable[[], object]) -> None:
        self._app = app
        self._name = name
        self._work = work
        self._asked = self._running = False
        self._changed = threading.Condition()

    def start(self) -> None:
        """Have the work done: now, or once more after what is being done."""
        with self._changed:
            self._asked = True
            if not self._running and not wake.stopping.is_set():
                self._running = True
                threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def finish(self) -> bool:
        """Wait a little until nothing is done any more; return whether that came about."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, GRACE_SECONDS)

    def _run(self) -> None:
        while self._take_turn():
            with self._app.app_context():
                try:
                    self._work()
                except SQLAlchemyError as error:  # nothing is lost: the clock wakes us again
                    log.warning("the database is away", work=self._name, error=type(error).__name__)
                except Exception:
                    log.exception("work failed; it is taken up again", work=self._name)
                finally:
                    db.session.remove()

    def _take_turn(self) -> bool:
        with self._changed:
            self._running = self._asked and not wake.stopping.is_set()
            self._asked = False
            self._changed.notify_all()
            return self._running


def background(app: Flask, name: str, work: Callable[[], object]) -> Background:
    """Return this process's thread for the work ``name``: threads do not survive a fork."""
    kept: tuple[int, Background] | None = app.extensions.get(f"background {name}")
    if kept is None or kept[0] != os.getpid():
        kept = (os.getpid(), Background(app, name, work))
        app.extensions[f"background {name}"] = kept
        wake.on_stop(kept[1].finish)
    return kept[1]
