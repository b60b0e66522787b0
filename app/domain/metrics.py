"""Figures for operators' graphs, in Prometheus's format.

What counts up is shared by the processes of one gunicorn through files in the folder
``PROMETHEUS_MULTIPROC_DIR``, which gunicorn's configuration makes. What waits is read from the
database when it is asked for, so it is true for all processes on all machines.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from redis import RedisError
from sqlalchemy import Select, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from app.domain import alive, clocks
from app.extensions import db, redis_client
from app.models.base import utcnow
from app.models.delivery import Delivery, DeliveryState
from app.models.house import SetAside
from app.models.message import HELD, JournaledReport, Message, MessageReport

unknown_ids = Counter(
    "dispatch_unknown_ids",
    "Requests of Twilio about something that we do not have (any more).",
    ["route"],
)
arrivals = Counter(
    "dispatch_arrivals", "Texts and calls that came in, by outcome.", ["channel", "outcome"]
)

answers = Histogram(
    "dispatch_answer_seconds",
    "How long Twilio's requests took from the moment a process took them, by route and status.",
    ["route", "status"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
)
requests_waiting = Gauge(
    "dispatch_requests_waiting",
    "Requests that wait for a process of their pool.",
    ["pool"],
    multiprocess_mode="livesum",
)

HEARD_LATELY = 20_000
"""The newest reports among which those of the last minute are counted."""
_REPORTS = select(func.count(), func.min(JournaledReport.at)).select_from(JournaledReport)
_MESSAGES = {
    # In words, because PostgreSQL uses a partial index only for a condition that it can read.
    "waiting": select(func.count())
    .select_from(Message)
    .where(text("state = 'waiting'"), text(f"NOT ({HELD})")),
    "claimed": select(func.count())
    .select_from(Message)
    .where(text("state IN ('waiting', 'claimed')"), text("state = 'claimed'")),
    "unknown": select(func.count())
    .select_from(Message)
    .where(text("check_at IS NOT NULL"), text("state = 'unknown'")),
}
_DELIVERIES = {
    state.value: select(func.count()).where(Delivery.state == state)
    for state in (DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.HELD)
}


def exposition() -> tuple[bytes, str]:
    """Return the page of all figures and its content type."""
    registry = CollectorRegistry()
    registry.register(_Waiting())
    registry.register(_Processes())
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST
    return generate_latest(REGISTRY) + generate_latest(registry), CONTENT_TYPE_LATEST


class _Waiting(Collector):
    """What waits in the database, each counted by an index."""

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("dispatch_database_up", "1 when the database answers.")
        started = time.monotonic()
        try:
            families = [
                _by_state(
                    "dispatch_messages",
                    "Messages that have not ended, by state.",
                    _MESSAGES,
                ),
                _by_state(
                    "dispatch_deliveries",
                    "Deliveries that have not ended, by state.",
                    _DELIVERIES,
                ),
                _oldest_delivery(),
                *_clocks(),
                _set_aside(),
                *_reports(),
                _heard(),
            ]
        except SQLAlchemyError:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        duration = GaugeMetricFamily(
            "dispatch_database_seconds", "How long the database took for these figures."
        )
        duration.add_metric([], time.monotonic() - started)
        return [up, duration, *families]


class _Processes(Collector):
    """Which processes beside the web are there, as Redis knows."""

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("dispatch_redis_up", "1 when Redis answers.")
        there = GaugeMetricFamily(
            "dispatch_process_up", "1 when there is such a process.", labels=["process"]
        )
        try:
            for name, is_there in alive.processes(redis_client()).items():
                there.add_metric([name], is_there)
        except RedisError:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, there]


def _heard() -> GaugeMetricFamily:
    """What was heard of messages within a minute, among the newest reports."""
    family = GaugeMetricFamily(
        "dispatch_reported_last_minute",
        "What was heard of messages within a minute, by status and Twilio's error code.",
        labels=["status", "code"],
    )
    newest = (
        select(MessageReport.at, MessageReport.status, MessageReport.error_code)
        .order_by(MessageReport.id.desc())
        .limit(HEARD_LATELY)
        .subquery()
    )
    counts = (
        select(newest.c.status, newest.c.error_code, func.count())
        .where(newest.c.at > utcnow() - timedelta(minutes=1))
        .group_by(newest.c.status, newest.c.error_code)
    )
    for status, code, count in db.session.execute(counts):
        family.add_metric([status, str(code or "")], count)
    return family


def _by_state(
    name: str, documentation: str, counts: Mapping[str, Select[int]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation, labels=["state"])
    for state, statement in counts.items():
        family.add_metric([state], db.session.scalar(statement) or 0)
    return family


def _set_aside() -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "dispatch_set_aside", "What made a loop raise and is left out by it.", labels=["loop"]
    )
    counts = select(SetAside.loop, func.count()).where(SetAside.until > utcnow())
    for loop, count in db.session.execute(counts.group_by(SetAside.loop)):
        family.add_metric([loop], count)
    return family


def _clocks() -> Iterable[Metric]:
    """By how much other clocks differ from this machine's, and how certain that is."""
    session = db.session()
    found = {"database": clocks.database(session), "twilio": clocks.kept(session, "twilio")}
    ahead = GaugeMetricFamily(
        "dispatch_clock_ahead_seconds",
        "By how much another clock is ahead of this machine's.",
        labels=["clock"],
    )
    within = GaugeMetricFamily(
        "dispatch_clock_uncertainty_seconds",
        "By how much dispatch_clock_ahead_seconds may be wrong.",
        labels=["clock"],
    )
    for name, difference in found.items():
        if difference is not None:
            ahead.add_metric([name], difference.middle)
            within.add_metric([name], difference.uncertainty)
    return ahead, within


def _oldest_delivery() -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "dispatch_delivery_late_seconds", "By how much the delivery that is due longest is late."
    )
    due: datetime | None = db.session.scalar(
        select(func.min(Delivery.next_attempt_at)).where(Delivery.state == DeliveryState.PENDING)
    )
    family.add_metric([], max((utcnow() - due).total_seconds(), 0) if due else 0)
    return family


def _reports() -> Iterable[Metric]:
    waiting, since = db.session.execute(_REPORTS).one()
    late = (utcnow() - since).total_seconds() if waiting else 0
    count = GaugeMetricFamily(
        "dispatch_reports", "Reports of Twilio's that are taken and not yet applied."
    )
    count.add_metric([], waiting)
    age = GaugeMetricFamily("dispatch_report_age_seconds", "The age of the oldest of these.")
    age.add_metric([], max(late, 0))
    return count, age
