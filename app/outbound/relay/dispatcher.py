"""The threads of one worker process that make the tries.

A thread goes on claiming until nothing is due, so a delivery that comes while others hang is not
waited for by anybody. Tries to endpoints that have just failed, and mails, may hold a part of the
threads only.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from datetime import datetime

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from app.domain import aside, wake
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.outbound.relay import sweep
from app.outbound.relay.attempt import attempt
from app.outbound.relay.claim import at_fault, claim, something_due
from app.outbound.relay.lease import Group, Room
from app.outbound.relay.wires import Wires

log = structlog.get_logger(__name__)

THREADS = 24
FOR_SUSPECTS = 12
FOR_MAIL = 6
CLAIM_PAUSES = (0.003, 0.006, 0.012, 0.025, 0.05)
"""Seconds between looks when what is due is locked by somebody."""
STREAK_SECONDS = 1.0
"""How long a thread stays with one endpoint that takes what it is given: each further delivery
saves a transaction."""
GRACE_SECONDS = 4.0
"""How long a worker that stops waits for its tries; then it gives them back."""


class Dispatcher:
    """Claims what is due and works on it, several at a time."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._threads = 0
        self._groups: dict[str, Group] = {}
        self._wires = Wires()
        self._changed = threading.Condition()
        # On SQLite a claim takes the only writer's lock: look before.
        self._spare_the_lock = app.extensions["settings"].is_sqlite

    def start_due(self) -> int:
        """Start a thread for everything that is due and fits in; return how many. Never waits."""
        started = 0
        while self._enter():
            group: Group = ()
            try:
                group = self._claim()
            finally:
                if not group:
                    self._leave()
            if not group:
                break
            started += 1
            threading.Thread(target=self._work, args=(group,), name="relay", daemon=True).start()
        return started

    def wait_idle(self, seconds: float) -> bool:
        """Wait until no thread is at work; return whether that came about."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._threads, seconds)

    def finish(self) -> None:
        """End within seconds: wait a little, then give back what is still under way.

        What was given back may have arrived: it is sent again, with the same id.
        """
        if self.wait_idle(GRACE_SECONDS):
            return
        with self._changed:
            unfinished = tuple(lease for group in self._groups.values() for lease in group)
        with self._app.app_context(), suppress(SQLAlchemyError):
            for lease in unfinished:
                sweep.give_back(lease, "The worker was stopped during this try.")

    def _enter(self) -> bool:
        with self._changed:
            if wake.stopping.is_set() or self._threads >= THREADS:
                return False
            self._threads += 1
            return True

    def _leave(self) -> None:
        with self._changed:
            self._threads -= 1
            self._changed.notify_all()

    def _work(self, group: Group) -> None:
        try:
            while group:
                self._follow(group)
                group = () if wake.stopping.is_set() else self._claim()
        except SQLAlchemyError as error:
            # What was claimed is given back when its lease is over, and the clock wakes us.
            log.warning("the database is away; a try is over", error=type(error).__name__)
        finally:
            self._leave()

    def _follow(self, group: Group) -> None:
        """Make tries, and further ones to the same endpoint for a while, as long as all is well."""
        ends = time.monotonic() + STREAK_SECONDS
        with self._wires.lend(group[0].endpoint_id) as wire:
            while group:
                go_on = time.monotonic() < ends and not wake.stopping.is_set()
                made, group = group, ()
                try:
                    group = attempt(self._app, made, wire, go_on=go_on)
                finally:
                    with self._changed:
                        self._groups.pop(made[0].token, None)
                        if group:
                            self._groups[group[0].token] = group

    def _claim(self) -> Group:
        """Claim something that is due.

        Its endpoint may be locked for a moment, by a try that ends: then look again.
        """
        for pause in CLAIM_PAUSES:
            with self._app.app_context():
                now = utcnow()
                room = self._room()
                if self._spare_the_lock and not something_due(db.session(), now, room):
                    return ()
                group = self._claim_some(now, room)
                if not group and not something_due(db.session(), now, room):
                    return ()
            if group:
                with self._changed:
                    self._groups[group[0].token] = group
                return group
            time.sleep(pause)
        return ()

    def _claim_some(self, now: datetime, room: Room) -> Group:
        """Claim what is next; what cannot be read is set aside, and what comes after it is taken.

        :raises SQLAlchemyError: when the database is away.
        """
        while True:
            try:
                with unit_of_work() as session:
                    return claim(session, now, room)
            except Exception as error:
                if aside.is_away(error):
                    raise
                wrong = at_fault(db.session(), now, room)
                db.session.rollback()
                if not wrong:
                    raise
                log.exception("deliveries cannot be claimed", deliveries=list(wrong))
                for delivery_id in wrong:
                    aside.note("relay", delivery_id, error)

    def _room(self) -> Room:
        with self._changed:
            mails = sum(group[0].is_mail for group in self._groups.values())
            suspects = sum(group[0].is_suspect for group in self._groups.values())
        return Room(mail=mails < FOR_MAIL, suspects=suspects < FOR_SUSPECTS)


def dispatcher_of(app: Flask) -> Dispatcher:
    """Return this process's dispatcher: threads do not survive a fork."""
    kept: tuple[int, Dispatcher] | None = app.extensions.get("relay")
    if kept is None or kept[0] != os.getpid():
        kept = (os.getpid(), Dispatcher(app))
        app.extensions["relay"] = kept
        wake.on_stop(kept[1].finish)
    return kept[1]
