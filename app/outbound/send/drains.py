"""The drain of the queue ``send``: many lanes at once, each at its own pace.

A process leases lanes, claims what is due in them a quarter of a second ahead, and posts each
message at its slot. Slots are given by the database (`app.outbound.send.claims`), so that several
processes, and a crash of any, keep the pace; this module is about time and threads.
"""

from __future__ import annotations

import os
import time

import structlog
from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from app.domain import wake
from app.domain.restoring import hold
from app.domain.restoring.hold import WentBackError
from app.domain.wake import DRAIN_SECONDS
from app.outbound.send.held_lanes import Drain
from app.outbound.send.posting import Posting

log = structlog.get_logger(__name__)


TICK_SECONDS = 0.1


def drain() -> None:
    """Send what is due until nothing is, or the time is up, or the process is asked to stop.

    When the time is up the lanes are kept for the next drain, which begins at once: a lane that
    changes its process loses its place for a moment. If none begins, the leases run out.
    """
    work = _work(current_app._get_current_object())  # type: ignore[attr-defined]
    work.begin()
    end, more = time.monotonic() + DRAIN_SECONDS, True
    try:
        more = work.may_send()
        while more and not wake.stopping.is_set() and time.monotonic() < end:
            more = work.turn()
            wake.stopping.wait(TICK_SECONDS if more else 0)
    except SQLAlchemyError as error:
        log.warning("the database is away; sending waits", error=type(error).__name__)
        more = False
    except WentBackError:
        hold.went_back()
        more = False
    except BaseException:
        work.release()
        raise
    if wake.stopping.is_set():
        work.end()
    elif more:
        work.let_go()
        wake.wake("send")
    else:
        work.release()


def _work(app: Flask) -> Drain:
    """Return the lanes of this process, which it keeps from drain to drain."""
    posting = _posting(app)
    kept: Drain | None = app.extensions.get("drain")
    if kept is None or kept.posting is not posting:
        kept = app.extensions["drain"] = Drain(posting)
        wake.on_stop(kept.end)
    return kept


def _posting(app: Flask) -> Posting:
    """Return this process's threads: they outlive a drain, whose end must not wait for Twilio."""
    kept: tuple[int, Posting] | None = app.extensions.get("posting")
    if kept is None or kept[0] != os.getpid():
        kept = (os.getpid(), Posting(app))
        app.extensions["posting"] = kept
    return kept[1]
