"""The faults: each happens to a house in traffic, and is over when its function returns."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.faults import house as houses
from tests.faults.house import House
from tests.support import fake_twilio
from tests.support.databases import back_up, restore
from tests.support.processes import Running

Happening = Callable[[House], None]


@dataclass(frozen=True)
class Fault:
    """One way in which things break."""

    name: str
    happen: Happening
    quick: bool = False
    """Every run of the tests has it: they are over in seconds, and one of each kind."""
    stops_answers: bool = False
    """The database, or who answers Twilio, is itself stopped: an answer may take that long."""
    databases: tuple[str, ...] = ("sqlite", "postgresql")

    def __str__(self) -> str:
        return self.name.replace(" ", "_")


def killed(*names: str) -> Happening:
    """Kill -9 of processes, which come back after a moment."""

    def happen(house: House) -> None:
        for name in names:
            house.running[name].kill()
        time.sleep(house.chance.uniform(0.2, 1.0))
        if "worker-send" in names or "worker-relay" in names:
            house.abandon()
        for name in names:
            house.restart(name)

    return happen


def paused(seconds: float, *, given_up: bool = False) -> Happening:
    """SIGSTOP of those who send, in the middle of it, and SIGCONT afterwards.

    :param given_up: have their claims given up at once, as 30 s later.
    """

    def happen(house: House) -> None:
        stopped = [house.running[name] for name in ("worker-send", "worker-relay")]
        _signal(stopped, signal.SIGSTOP)
        while house.is_locked():  # of SQLite they would keep everybody out: it is for one machine
            _signal(stopped, signal.SIGCONT)
            time.sleep(0.05)
            _signal(stopped, signal.SIGSTOP)
        try:
            if given_up:
                house.abandon()
            time.sleep(seconds)
        finally:
            _signal(stopped, signal.SIGCONT)
        time.sleep(1.0)  # what they know they write down before anybody else decides

    return happen


def _signal(processes: Sequence[Running], number: signal.Signals) -> None:
    for one in processes:
        os.killpg(one.pid, number)


def redis_flushed(house: House) -> None:
    """Redis forgets everything, again and again."""
    for _ in range(3):
        house.redis.flush()
        time.sleep(0.3)


def redis_stopped(house: House) -> None:
    """Redis is away for a while."""
    house.redis.stop()
    try:
        time.sleep(2)
    finally:
        house.redis.start()


def redis_silent(house: House) -> None:
    """Redis keeps its connections and says nothing."""
    os.kill(house.redis.pid, signal.SIGSTOP)
    try:
        time.sleep(4)
    finally:
        os.kill(house.redis.pid, signal.SIGCONT)


def postgresql_restarted(house: House) -> None:
    """PostgreSQL crashes and recovers: so it does when one of its processes is killed."""
    with psycopg.connect(house.database_url) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)
    house.eventually(lambda: _accepts(house.database_url), "PostgreSQL has recovered")


def _accepts(url: str) -> bool:
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url):
        return True
    return False


def cut_in_commit(house: House) -> None:
    """Connections are cut in COMMIT, some before the server has got it and some after."""
    assert house.wire is not None
    house.wire.cut_commits(*(house.chance.random() < 0.7 for _ in range(12)), seconds=20)


def twilio(*faults: fake_twilio.Fault, share: float = 0.5, seconds: float = 2.5) -> Happening:
    """Twilio fails many of the creates, in these ways."""

    def happen(house: House) -> None:
        chance = house.chance

        def plan(_form: fake_twilio.Form, _number: int) -> fake_twilio.Fault | None:
            return chance.choice(faults) if chance.random() < share else None

        house.outside.fake.plan = plan
        try:
            time.sleep(seconds)
        finally:
            house.outside.fake.plan = None

    return happen


def twilio_slow(house: House) -> None:
    """Twilio takes its time for every create."""
    house.outside.fake.latency = 3.0
    try:
        time.sleep(4)
    finally:
        house.outside.fake.latency = 0.05


def endpoint_dead(house: House) -> None:
    """The department's system takes requests and ends the connection."""
    house.outside.is_dead = True
    try:
        time.sleep(2)
    finally:
        house.outside.is_dead = False


def clock_wrong(hours: float) -> Happening:
    """The clock of the machine is wrong, and is set again."""

    def happen(house: House) -> None:
        with _clock_at(house, hours * 3600):
            time.sleep(4)

    return happen


@contextmanager
def _clock_at(house: House, seconds: float) -> Iterator[None]:
    house.clock_file.write_text(str(seconds))
    try:
        yield
    finally:
        house.clock_file.write_text("0")


def poisoned(house: House) -> None:
    """Something waits that nobody can send: the secrets of its account cannot be read."""
    houses.others(house.rows)
    time.sleep(2)


def restored(put_back: Callable[[House], Callable[[], None]], *, dies: bool) -> Happening:
    """The database goes back to how it was some seconds ago, and the operator follows the manual.

    The department asks for nothing in these seconds: it would be gone with the database.

    :param put_back: notes how the database is, and returns what makes it so again.
    :param dies: the processes are killed, not stopped.
    """

    def happen(house: House) -> None:
        with house.outside.asking:
            back = put_back(house)
            time.sleep(3)  # what waited then goes out, is told, and is answered for
            for one in house.running.values():
                one.kill() if dies else one.stop()
            house.let_go()
            back()
            _by_the_manual(house)

    return happen


def _by_the_manual(house: House) -> None:
    for command in (["db", "upgrade"], ["reconcile"]):
        done = house.processes.flask(*command, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        if command == ["db", "upgrade"]:
            house.start_processes()
            house.eventually(house.outside.says_that_it_is_held, "the restore is noticed")
    assert not house.outside.says_that_it_is_held()


def from_a_dump(house: House) -> Callable[[], None]:
    """Back the database up as the manual says; return what restores that."""
    file = back_up(house.database_url, house.folder)
    return lambda: restore(file, house.database_url)


def without_its_wal(house: House) -> Callable[[], None]:
    """Copy the file alone, when it holds everything; return what puts it back as it was copied.

    What is written later stands in the log beside it, until SQLite moves it into the file by
    itself: a file that was left in its place would know of the sends of these seconds.
    """
    path = house.database_url.removeprefix("sqlite:///")
    copy = house.folder / "copied.db"
    with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("BEGIN IMMEDIATE")  # so that nobody writes, and nothing is moved
        shutil.copyfile(path, copy)
        connection.execute("ROLLBACK")

    def put_back() -> None:
        for beside in ("-wal", "-shm"):
            Path(path + beside).unlink(missing_ok=True)
        shutil.copyfile(copy, path)

    return put_back


POSTGRESQL, SQLITE = ("postgresql",), ("sqlite",)
FAULTS = (
    Fault("web killed", killed("web"), stops_answers=True, quick=True),
    Fault("worker-send killed", killed("worker-send"), quick=True),
    Fault("worker-relay killed", killed("worker-relay"), quick=True),
    Fault("worker-house killed", killed("worker-house")),
    Fault("clock killed", killed("clock")),
    Fault("workers given up", paused(3, given_up=True), quick=True),
    Fault("workers paused for 60 s", paused(60)),
    Fault("Redis flushed", redis_flushed, quick=True),
    Fault("Redis stopped", redis_stopped),
    Fault("Redis silent", redis_silent),
    Fault(
        "PostgreSQL restarted", postgresql_restarted,
        stops_answers=True, databases=POSTGRESQL, quick=True,
    ),
    Fault("cut in COMMIT", cut_in_commit, stops_answers=True, databases=POSTGRESQL, quick=True),
    Fault("restored from a dump", restored(from_a_dump, dies=False), stops_answers=True),
    Fault(
        "SQLite without its WAL", restored(without_its_wal, dies=True),
        stops_answers=True, databases=SQLITE,
    ),
    Fault("Twilio 429", twilio(fake_twilio.TOO_MANY), quick=True),
    Fault("Twilio 500 before", twilio(fake_twilio.FAILS_BEFORE)),
    Fault("Twilio 500 after", twilio(fake_twilio.FAILS_AFTER), quick=True),
    Fault("Twilio hangs after", twilio(fake_twilio.HANGS_AFTER, share=0.2)),
    Fault("Twilio resets", twilio(fake_twilio.RESETS_BEFORE, fake_twilio.RESETS_AFTER), quick=True),
    Fault("Twilio slow", twilio_slow),
    Fault("endpoint dead", endpoint_dead),
    Fault("clock an hour ahead", clock_wrong(1)),
    Fault("clock an hour back", clock_wrong(-1), quick=True),
    Fault("a poisoned row", poisoned, quick=True),
)  # fmt: skip
