"""gunicorn's workers: one front, the processes of each pool, and what else runs beside them.

gunicorn starts them, replaces those that die and stops them all; which part a new one plays is
decided by what is missing. They are forked from a master that has loaded the application.
"""

from __future__ import annotations

import math
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from gunicorn import http
from gunicorn.http.errors import NoMoreData
from gunicorn.workers.sync import SyncWorker

from app.domain import metrics
from app.serving import channel, pools
from app.serving.channel import Channel, Handed
from app.serving.front import Front
from app.serving.outlet import Exchange, LateAnswers
from app.serving.pools import Pool

FRONT = "front"
LINGER_TURNS = 3
"""Times that a process which is asked to stop finds nothing to do before it ends: the front has
a second to hand over what was half read."""

QUIET_SECONDS = 2.0
"""After which a request that writes nothing costs its process the heartbeat."""


class BulkheadWorker(SyncWorker):  # type: ignore[misc]
    """A worker that plays one part: the front's, a pool's, or that of a process beside the web."""

    channels: ClassVar[dict[Pool, Channel]] = {}
    """The ways into the pools, made in the master before the first worker."""

    beside: ClassVar[dict[str, Callable[[Any], object]]] = {}
    """Processes that this master keeps as well, by name; each is given the application, runs in the
    main thread, and ends when it gets SIGTERM."""

    part: str = FRONT
    """The front, the value of a pool, or a name out of `beside`."""
    _draining = False

    @classmethod
    def check_config(cls, cfg: Any, _log: Any) -> None:
        """Make the channels; gunicorn calls this in the master, once its sockets are there.

        :raises ValueError: when there are too few processes for a front and all the pools.
        """
        cls._wanted(cfg)
        if not cls.channels:
            cls.channels = {pool: Channel() for pool in Pool}

    def play_a_part(self, others: Iterable[BulkheadWorker]) -> None:
        """Take the part that is missing most; to be called in the master before the fork."""
        wanted = self._wanted(self.cfg)
        there = [worker.part for worker in others]
        self.part = min(wanted, key=lambda part: there.count(part) / wanted[part])

    @classmethod
    def _wanted(cls, cfg: Any) -> dict[str, int]:
        """Return how many there are to be of each part."""
        shares = pools.shares(cfg.workers - 1 - len(cls.beside))
        counts = {pool.value: count for pool, count in shares.items()}
        return {FRONT: 1, **counts, **dict.fromkeys(cls.beside, 1)}

    def init_process(self) -> None:
        """Let go of what belongs to other parts, and begin."""
        self.log.info("%s is process %s", self.part, self.pid)
        if self.part != FRONT:
            for listener in self.sockets:
                listener.close()
            self.sockets: list[Any] = []
        super().init_process()

    def handle_exit(self, _signal: int, _frame: object) -> None:
        """Stop, after what has been handed over."""
        self._draining = True
        self.alive = False

    def run(self) -> None:
        """Play the part until told to stop."""
        if self.part == FRONT:
            listeners = [one.sock for one in self.sockets]
            Front(
                listeners, self.channels, self.PIPE[0], self._front_goes_on,
                lambda pool, waiting: metrics.requests_waiting.labels(pool.value).set(waiting),
            ).run()  # fmt: skip
        elif self.part in self.beside:
            self._run_beside(self.beside[self.part])
        else:
            self._run_the_application(Pool(self.part))

    def _run_beside(self, process: Callable[[Any], object]) -> None:
        """Run a process that has its own loop and its own signals; a thread keeps in touch."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the master sends SIGTERM
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # until the process has its own way to end

        def keep_in_touch() -> None:
            while self.is_parent_alive():
                self.notify()
                time.sleep(1.0)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=keep_in_touch, name="heartbeat", daemon=True).start()
        process(self.wsgi)

    def _front_goes_on(self) -> bool:
        self.notify()
        return bool(self.alive) and bool(self.is_parent_alive())

    def _run_the_application(self, pool: Pool) -> None:
        late, source = LateAnswers(), self.channels[pool]
        count = pools.threads(pool, self.cfg.threads)
        self._since = [math.inf] * count
        threads = [
            threading.Thread(
                target=self._serve, args=(number, source, late), name=f"serve-{number}", daemon=True
            )
            for number in range(count)
        ]
        for thread in threads:
            thread.start()
        while self.alive and self.is_parent_alive():
            # The heartbeat is left out while a request gets nowhere: gunicorn then replaces us.
            if time.monotonic() - min(self._since) < QUIET_SECONDS:
                self.notify()
            self._wait_for_a_signal(1.0)
        self.alive = False
        end = time.monotonic() + self.cfg.graceful_timeout - 1
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        late.wait(max(0.0, end - time.monotonic()))

    def _wait_for_a_signal(self, seconds: float) -> None:
        """Wait on the pipe into which signals write, and threads that end."""
        bell = self.PIPE[0]
        if select.select([bell], [], [], seconds)[0]:
            os.read(bell, 4096)

    def _serve(self, number: int, source: Channel, late: LateAnswers) -> None:
        """Answer requests one after the other, until this process is to end."""
        buffer = channel.new_buffer()
        idle = 0

        def go_on() -> None:
            self._since[number] = time.monotonic()

        try:
            while self.alive or (self._draining and idle < LINGER_TURNS):
                handed = source.take(buffer)
                if handed is None:
                    idle += 1
                    continue
                idle = 0
                go_on()
                self._answer(handed, Exchange(handed, late, go_on))
                self._since[number] = math.inf
        finally:
            self.alive = False  # also after an error that is nobody's to handle: we are replaced
            os.write(self.PIPE[1], b"!")

    def _answer(self, handed: Handed, client: Exchange) -> None:
        """Run the application for one request. What goes wrong ends here, and with its client."""
        request = None
        try:
            request = next(http.get_parser(self.cfg, client, handed.peer.client))
            self.handle_request(client, request, client, handed.peer.client)
        except (NoMoreData, StopIteration, ConnectionError) as error:
            self.log.debug("the client has gone: %s", error)
        except Exception as error:  # noqa: BLE001 - logged and answered by gunicorn
            self.handle_error(request, client, handed.peer.client, error)
        finally:
            client.close()
