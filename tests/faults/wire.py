"""The wire between our processes and PostgreSQL, which can be cut in the middle of a COMMIT.

A process of its own: every statement passes through it, and the test has enough to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

_COMMIT = b"COMMIT\x00"
_SPAWN = multiprocessing.get_context("spawn")


class Wire:
    """Passes bytes on, until it is told to cut."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        """Where our processes find PostgreSQL."""
        self._ours, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(target_port, theirs), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        assert self._ours.poll(20)
        self.port = self._ours.recv()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        self._process.kill()
        self._process.join()

    def cut_commits(self, *after: bool, seconds: float) -> None:
        """Cut the connection in the next commits: after the server has got it, or before.

        Returns when all have been cut; fails if there are not enough in time.
        """
        self._ours.send(after)
        for number in range(len(after)):
            assert self._ours.poll(seconds), f"{number} commits were cut within {seconds} s"
            self._ours.recv()


def _serve(target_port: int, orders: Connection) -> None:
    asyncio.run(_Cutter(target_port, orders).serve())


class _Cutter:
    def __init__(self, target_port: int, orders: Connection) -> None:
        self._target = target_port
        self._orders = orders
        self._to_cut: list[bool] = []

    async def serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        asyncio.get_running_loop().add_reader(self._orders.fileno(), self._obey)
        self._orders.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    def _obey(self) -> None:
        self._to_cut += self._orders.recv()

    async def _connection(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            far, forth = await asyncio.open_connection("127.0.0.1", self._target)
            silenced = asyncio.Event()
            ways = (self._there(near, forth, silenced), self._back(far, back, silenced))
            ends = [asyncio.ensure_future(way) for way in ways]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
            forth.transport.abort()
        back.transport.abort()

    async def _there(
        self, near: asyncio.StreamReader, forth: asyncio.StreamWriter, silenced: asyncio.Event
    ) -> None:
        while data := await near.read(65536):
            if self._to_cut and _COMMIT in data:
                after = self._to_cut.pop(0)
                self._orders.send(after)
                if not after:
                    return
                silenced.set()
            forth.write(data)
            await forth.drain()

    async def _back(
        self, far: asyncio.StreamReader, back: asyncio.StreamWriter, silenced: asyncio.Event
    ) -> None:
        while data := await far.read(65536):
            if silenced.is_set():
                return
            back.write(data)
            await back.drain()
