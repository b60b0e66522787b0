"""Two requests that do the same at the same moment: both have looked before either writes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from flask import Flask
from sqlalchemy import event

from app.extensions import db

Done = TypeVar("Done")


def at_once(app: Flask, table: str, works: Sequence[Callable[[], Done]]) -> list[Done]:
    """Do all `works`, each in a thread, and let none write to `table` before all are about to.

    On SQLite only one has a transaction at a time: there they follow one another.
    """
    with _meeting(app, table, len(works)), ThreadPoolExecutor(len(works)) as pool:
        return [future.result() for future in [pool.submit(work) for work in works]]


@contextlib.contextmanager
def _meeting(app: Flask, table: str, number: int) -> Iterator[None]:
    barrier = threading.Barrier(number)
    starts = (f"INSERT INTO {table} ", f'INSERT INTO "{table}" ')

    def wait(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith(starts):
            with contextlib.suppress(threading.BrokenBarrierError):
                barrier.wait(1)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", wait)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", wait)
