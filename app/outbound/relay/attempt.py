"""Tries: send them, write down what came of them, and take the endpoint's next ones along.

Nothing is held open while it is sent: neither a transaction nor a database connection.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

import structlog
from flask import Flask
from sqlalchemy.exc import OperationalError

from app.domain import aside, wake
from app.extensions import current_settings, db, unit_of_work
from app.models.base import utcnow
from app.models.endpoint import EndpointKind
from app.outbound.relay import mail, results
from app.outbound.relay.claim import MOST_TOGETHER
from app.outbound.relay.lease import Group, Lease
from app.outbound.relay.outcome import Attempted
from app.outbound.relay.post import call_plain, post_signed
from app.outbound.relay.transport import Wire
from app.version import NAMED

log = structlog.get_logger(__name__)

SETTLE_PAUSES = (0.2, 1.0, 3.0)
SLICE_SECONDS = 0.3
"""How long a group is worked on: what has arrived is written down by then, pauses take effect, and
a process that dies makes nobody get more than this again."""


def attempt(
    app: Flask, group: Group, wire: Wire, *, go_on: bool = False, seconds: float = SLICE_SECONDS
) -> Group:
    """Make the tries that ``group`` gives the right to, one after the other, and write down what
    came of them.

    A failure ends it, and so does the time: what was not tried is given back.

    :param go_on: if all went well, take the endpoint's next deliveries in the same transaction.
    :param seconds: after which no further try is begun.
    :returns: the leases of those.
    """
    with app.app_context():
        began = time.monotonic()
        made: list[results.Made] = []
        for lease in group:
            made.append(_try(lease, wire))
            took = time.monotonic() - began
            if took >= seconds or wake.stopping.is_set() or not made[-1].outcome.succeeded:
                break
        in_time = int(seconds * len(made) / max(took, 0.001))
        most = max(1, min(in_time, len(made) * 2, MOST_TOGETHER))
        return _settle(made, group[len(made) :], most if go_on else 0)


def _try(lease: Lease, wire: Wire) -> results.Made:
    started_at, began = utcnow(), time.monotonic()
    try:
        outcome = _send(lease, started_at, wire)
    except Exception as error:
        # A defect of ours must not take the delivery down with it: it is tried again.
        log.exception("a try failed inside", delivery=lease.delivery_id)
        detail = f"We failed: {type(error).__name__}"
        outcome = Attempted(lease.letter.url, error="lost", detail=detail)
    outcome.duration_ms = outcome.duration_ms or round((time.monotonic() - began) * 1000)
    log.info(
        "delivery tried", delivery=lease.delivery_id, number=lease.number,
        kind=lease.kind.value, status=outcome.status, error=outcome.error,
        ms=outcome.duration_ms,
    )  # fmt: skip
    return results.Made(lease, outcome, started_at)


def _settle(made: Sequence[results.Made], unmade: Sequence[Lease], most: int) -> Group:
    """Write down what came of it; a database that restarts is waited for a little.

    Otherwise what has arrived would be sent again after its lease.
    """
    for pause in SETTLE_PAUSES:
        try:
            return _settle_once(made, unmade, most)
        except OperationalError as error:
            log.warning("the database is away; trying again", error=str(error.orig)[:200])
            db.session.remove()
            time.sleep(pause)
    return _settle_once(made, unmade, most)


def _settle_once(made: Sequence[results.Made], unmade: Sequence[Lease], most: int) -> Group:
    """Write down what came of it, and take the next ones, unless these cannot be read."""
    try:
        with unit_of_work() as session:
            return results.write_down_group(session, made, unmade, most)
    except Exception as error:
        if most == 0 or aside.is_away(error):
            raise
        log.exception("the next deliveries cannot be taken", endpoint=made[0].lease.endpoint_id)
    with unit_of_work() as session:
        return results.write_down_group(session, made, unmade, 0)


def _send(lease: Lease, now: datetime, wire: Wire) -> Attempted:
    letter = lease.letter
    if letter.problem:
        return Attempted(letter.url, error="lost", detail=letter.problem)
    agent = f"{NAMED} (+{current_settings().public_base_url})"
    if lease.kind is EndpointKind.EMAIL:
        return mail.send_mail(letter)
    if lease.kind is EndpointKind.PLAIN:
        return call_plain(letter, now, agent, wire)
    return post_signed(letter, now, agent, wire)
