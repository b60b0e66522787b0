"""One try: send it, write down what came of it, and take the endpoint's next one along.

Nothing is held open while it is sent: neither a transaction nor a database connection.
"""

from __future__ import annotations

import time
from datetime import datetime

import structlog
from flask import Flask
from sqlalchemy.exc import OperationalError

from app.domain.addresses import Network
from app.extensions import current_settings, db, unit_of_work
from app.models.base import utcnow
from app.models.endpoint import EndpointKind
from app.outbound.relay import mail, settle
from app.outbound.relay.claim import Lease
from app.outbound.relay.outcome import Outcome
from app.outbound.relay.post import call_plain, post_signed
from app.outbound.relay.transport import LIMITS, Limits

log = structlog.get_logger(__name__)

VERSION = "1.0"
SETTLE_PAUSES = (0.2, 1.0, 3.0)


def attempt(
    app: Flask, lease: Lease, limits: Limits = LIMITS, *, go_on: bool = False
) -> Lease | None:
    """Make the try that ``lease`` gives the right to, and settle it.

    :param go_on: after a success, take the endpoint's next delivery in the same transaction.
    :returns: the lease of that one.
    """
    with app.app_context():
        started_at, began = utcnow(), time.monotonic()
        try:
            outcome = _send(lease, started_at, limits)
        except Exception as error:
            # A defect of ours must not take the delivery down with it: it is tried again.
            log.exception("a try failed inside", delivery=lease.delivery_id)
            detail = f"We failed: {type(error).__name__}"
            outcome = Outcome(lease.letter.url, error="lost", detail=detail)
        outcome.duration_ms = outcome.duration_ms or round((time.monotonic() - began) * 1000)
        following = _settle(lease, outcome, started_at, go_on)
        log.info(
            "delivery tried", delivery=lease.delivery_id, number=lease.number,
            kind=lease.kind.value, status=outcome.status, error=outcome.error,
            ms=outcome.duration_ms,
        )  # fmt: skip
        return following


def _settle(lease: Lease, outcome: Outcome, started_at: datetime, go_on: bool) -> Lease | None:
    """Write down what came of it; a database that restarts is waited for a little.

    Otherwise what has arrived would be sent again after its lease.
    """
    for pause in SETTLE_PAUSES:
        try:
            return _settle_once(lease, outcome, started_at, go_on)
        except OperationalError as error:
            log.warning("the database is away; trying again", error=str(error.orig)[:200])
            db.session.remove()
            time.sleep(pause)
    return _settle_once(lease, outcome, started_at, go_on)


def _settle_once(lease: Lease, outcome: Outcome, started_at: datetime, go_on: bool) -> Lease | None:
    with unit_of_work() as session:
        if outcome.succeeded:
            return settle.succeed(session, lease, outcome, started_at, go_on=go_on)
        settle.settle(session, lease, outcome, started_at)
        return None


def _send(lease: Lease, now: datetime, limits: Limits) -> Outcome:
    letter = lease.letter
    if letter.problem:
        return Outcome(letter.url, error="lost", detail=letter.problem)
    networks: tuple[Network, ...] = current_settings().webhook_allowed_networks
    agent = f"Dispatch/{VERSION} (+{current_settings().public_base_url})"
    if lease.kind is EndpointKind.EMAIL:
        return mail.send_mail(letter)
    if lease.kind is EndpointKind.PLAIN:
        return call_plain(letter, now, agent, networks, limits)
    return post_signed(letter, now, agent, networks, limits)
