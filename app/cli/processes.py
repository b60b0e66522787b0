"""The long-running processes beside the web: workers and the clock."""

from __future__ import annotations

import gc
import importlib
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FrameType

import click
import structlog
from flask import Flask, current_app
from flask.cli import with_appcontext
from redis import RedisError
from redis.client import Pipeline
from rq import SimpleWorker
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import configure_mappers

from app import redis_clients
from app.domain import alive, aside, wake
from app.domain.sending import journal
from app.extensions import current_settings, db, redis_client
from app.inbound.afterwards import text_back
from app.mailbox import lmtp
from app.maintenance import ahead, chores, retention
from app.outbound.afterwards import restored, sweep
from app.outbound.relay import sweep as relay
from app.outbound.send import agenda
from app.outbound.voicemails import drain as voicemails
from config import Settings

log = structlog.get_logger(__name__)

SILENCE_SECONDS = 3
"""After which a worker gives up a connection to Redis that says nothing, and makes another."""


@click.command()
@click.argument("queue", type=click.Choice(sorted(wake.DRAINS)))
@with_appcontext
def worker(queue: str) -> None:
    """Run the drains of one QUEUE until stopped.

    One queue a process: a worker that listens on several loses a job when it dies between taking
    it and registering it.
    """
    run_worker(queue, current_app._get_current_object())  # type: ignore[attr-defined]


def run_worker(queue: str, app: Flask) -> None:
    """Run the drains of one queue until SIGTERM. See :func:`worker`."""
    if queue == "send":
        be_punctual()
    while not wake.stopping.is_set():
        settings: Settings = app.extensions["settings"]
        connection = redis_clients.connect(settings.redis_url, SILENCE_SECONDS)
        try:
            name = wake.queue(queue, connection)
            DrainWorker(
                app, [name], connection=connection, serializer=JSONSerializer,
                log_job_description=False,
            ).work(logging_level="WARNING")  # fmt: skip
        except RedisError as error:
            log.warning("Redis is away; trying again", queue=queue, error=str(error))
        # RQ also ends, and only logs why, when Redis fails it between two jobs.
        wake.stopping.wait(1)
    wake.finish()


def be_punctual() -> None:
    """Let the threads that keep the pace of lanes wait less for the others of this process.

    A thread whose moment has come waits until a busy one gives way, 5 ms each unless told
    otherwise; and all of them while garbage is looked for among the 300,000 objects of the modules.
    """
    sys.setswitchinterval(0.0005)
    gc.collect()
    gc.freeze()


class DrainWorker(SimpleWorker):
    """Runs each drain in an application context of its own, and tells it when to stop."""

    max_connection_wait_time = 1.0
    dequeue_timeout = 1
    """Seconds that a worker waits for a job in one command."""
    connection_timeout = SILENCE_SECONDS

    def __init__(self, app: Flask, queues: list[Queue], **options: object) -> None:
        super().__init__(queues, **options)  # type: ignore[arg-type]
        self._app = app

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run ``job`` so that nothing of its database session outlives it."""
        with self._app.app_context():
            super().execute_job(job, queue)

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Say that this worker is there; once more from the beginning where Redis was flushed.

        RQ registers a worker when it begins and never again, and operators would be told that
        there is none.
        """
        if pipeline is None and not self.connection.sismember(self.redis_workers_keys, self.key):
            self.connection.delete(self.key)
            self.register_birth()  # type: ignore[no-untyped-call]
        super().heartbeat(timeout, pipeline)

    def handle_warm_shutdown_request(self) -> None:
        """Let the running drain end at its next look around."""
        wake.stopping.set()


@dataclass(frozen=True)
class Task:
    """Something that the clock does every ``every`` seconds."""

    name: str
    every: float
    run: Callable[[], object]


def tasks() -> tuple[Task, ...]:
    """Return what the clock does, most frequent first."""
    return (
        Task("wake the relay", 1.0, relay.wake_due),
        Task("wake reports", 1.0, wake_reports),
        Task("wake send", 1.0, agenda.wake_due),
        Task("wake house", 1.0, partial(wake_drain, "house")),
        Task("wake voice messages", 2.0, voicemails.wake_due),
        Task("do chores", 1.0, do_chores),
        Task("text callers back", 2.0, text_callers_back),
        Task("say that the clock runs", alive.CLOCK_EVERY, alive.tick),
        Task("notice a restored database", 5.0, restored.watch),
        Task("sweep lost claims", 5.0, sweep.lost_claims),
        Task(
            "settle unknown sends", 5.0, partial(keep_house, "app.outbound.afterwards.settle.run")
        ),
        Task("sweep the relay", 5.0, relay.sweep),
        Task("listen for mail", 10.0, lmtp.listen),
        Task("fetch mail", 30.0, fetch_mail),
        Task("bring back what is ahead", 15.0, ahead.tick),
        Task("confirm accounts", 10.0, partial(keep_house, "app.maintenance.confirmations.tick")),
        Task("count usage", 30.0, partial(keep_house, "app.maintenance.usage.tick")),
        Task(
            "recover what was missed",
            60.0,
            partial(keep_house, "app.inbound.afterwards.recovery.tick"),
        ),
        Task("tell what is new", 60.0, partial(keep_house, "app.maintenance.news.tick")),
        Task("remind of what waits", 60.0, partial(keep_house, "app.maintenance.reminders.tick")),
        Task("look over the numbers", 300.0, partial(keep_house, "app.maintenance.audits.tick")),
        Task(
            "finish and repeat erasures",
            60.0,
            partial(keep_house, "app.domain.persons.repeating.tick"),
        ),
        Task("read calendars", 3600.0, partial(keep_house, "app.maintenance.calendars.tick")),
        Task("retention", 30.0, retention.tick),
        Task("remove dead lanes", 60.0, agenda.forget_dead_lanes),
        Task("forget what was aside", 600.0, aside.forget),
        Task(
            "fetch missing statuses",
            600.0,
            partial(keep_house, "app.outbound.afterwards.refresh.run"),
        ),
        Task(
            "price what came in", 600.0, partial(keep_house, "app.inbound.afterwards.pricing.tick")
        ),
    )


def keep_house(function: str) -> None:
    """Have the worker of the queue ``house`` do what would keep the clock from its next task."""
    wake.enqueue_job("house", function, redis_client())


def fetch_mail() -> None:
    """Have the mailbox looked at, where one is set up."""
    if (current_settings().mail_in_url or "").startswith("imaps:"):
        keep_house("app.mailbox.imap.tick")


def wake_drain(name: str) -> None:
    """Let the queue ``name`` look at the database: wake-ups are lost, work is not."""
    wake.enqueue_drain(name, redis_client())


def wake_reports() -> None:
    """Have reports applied of which nobody was told: a wake-up is lost with its process."""
    if journal.oldest(db.session(), 1):
        wake_drain("reports")


def do_chores() -> None:
    """Have work on many rows gone on with, where there is any."""
    if chores.are_due():
        keep_house("app.maintenance.chores.run")


def text_callers_back() -> None:
    """Have those texted whom nobody has answered, where there are any."""
    if text_back.due(db.session(), 1):
        keep_house("app.inbound.afterwards.text_back.run")


@click.command()
@with_appcontext
def clock() -> None:
    """Wake the workers and keep house, until stopped. Two clocks at once do no harm."""
    run_clock_until_stopped(current_app._get_current_object())  # type: ignore[attr-defined]


def run_clock_until_stopped(app: Flask) -> None:
    """Run the clock until SIGTERM or SIGINT."""
    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    run_clock(app, tasks(), stop)


def beside_the_web() -> dict[str, Callable[[Flask], object]]:
    """Return the processes that one parent may keep together with the web, with all they need.

    What they would import one by one is imported here, once, for all that are forked from it.
    """
    beside = (drain for _, drain in wake.BESIDE.values())
    for function in (*wake.DRAINS.values(), *beside):
        importlib.import_module(function.rpartition(".")[0])
    for module in ("api.v2010.account", "messaging.v1.service"):
        importlib.import_module(f"twilio.rest.{module}")
    configure_mappers()
    workers = {f"worker-{name}": partial(run_worker, name) for name in wake.DRAINS}
    return {**workers, "clock": run_clock_until_stopped}


def run_clock(app: Flask, schedule: tuple[Task, ...], stop: threading.Event) -> None:
    """Run each task when its time has come; one that fails is logged and tried again."""
    due = {task.name: 0.0 for task in schedule}
    while not stop.is_set():
        for task in schedule:
            now = time.monotonic()
            if now >= due[task.name] and not stop.is_set():
                due[task.name] = now + task.every
                run_task(app, task)
        stop.wait(0.25)


def run_task(app: Flask, task: Task) -> None:
    """Run one task in a context of its own; what goes wrong is logged and does not spread."""
    with app.app_context():
        try:
            task.run()
        except (SQLAlchemyError, RedisError) as error:
            log.warning("the clock's task has to wait", task=task.name, error=type(error).__name__)
        except Exception:
            log.exception("the clock's task failed", task=task.name)
        finally:
            db.session.remove()
