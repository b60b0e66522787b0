"""Endpoints that listen, and the relay run in the test's own process until it is idle."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flask import Flask

from app.models.delivery import Delivery
from app.outbound import relay
from app.outbound.relay.dispatcher import dispatcher_of
from tests.support.hostile import Behaviour, Server, answering, serving

AS_RECORDED = (Delivery.commit_order, Delivery.give_up_at)
"""The order in which events were told, also within one transaction."""


@dataclass
class Received:
    """One request that an endpoint got."""

    line: str
    headers: dict[str, str]
    """By lower-case names."""
    body: str

    @property
    def event(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """An endpoint: answers as `behaviour` says, which a test may exchange at any time."""

    server: Server
    box: dict[str, Behaviour] = field(default_factory=dict)

    def behave(self, behaviour: Behaviour) -> None:
        self.box["behaviour"] = behaviour

    def url(self, path: str = "/hooks") -> str:
        return self.server.url(path)

    @property
    def received(self) -> list[Received]:
        # A connection that a process opened and was killed on has brought nothing.
        return [_parsed(request) for request in list(self.server.requests) if request]


@contextlib.contextmanager
def receiving(behaviour: Behaviour | None = None) -> Iterator[Receiver]:
    """Listen as an endpoint does until the end of the block; answers 200 unless told otherwise."""
    box = {"behaviour": behaviour or answering()}

    def behave(connection: Any, request: bytes) -> None:
        box["behaviour"](connection, request)

    with serving(behave) as server:
        yield Receiver(server, box)


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Behave in one way after the other; the last one goes on."""
    left = list(behaviours)
    lock = threading.Lock()

    def behave(connection: Any, request: bytes) -> None:
        with lock:
            chosen = left.pop(0) if len(left) > 1 else left[0]
        chosen(connection, request)

    return behave


def run(app: Flask, seconds: float = 90.0) -> None:
    """Deliver everything that is due, as a worker does, and wait until that is done."""
    with app.app_context():
        started = 1
        while started:
            started = relay.drain()
            assert dispatcher_of(app).wait_idle(seconds), "the relay is still at work"


def _parsed(request: bytes) -> Received:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    said = body.decode("utf-8", "surrogateescape")  # sounds come too
    return Received(first, {name.lower(): value for name, value in headers.items()}, said)
