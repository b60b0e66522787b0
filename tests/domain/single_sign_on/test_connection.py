"""A provider that misbehaves holds nobody up for long, and leads nowhere else."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

from app.domain.single_sign_on import connection
from app.domain.single_sign_on.connection import Connection, get_object
from app.domain.single_sign_on.failures import ProviderAway
from config import OidcProvider
from tests.support.hostile import Behaviour, serving

CAMPUS = OidcProvider("campus", "https://login.example.edu", "dispatch", "secret", "groups", ())
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def says_nothing(to: socket.socket, _: bytes) -> None:
    with contextlib.suppress(OSError):
        to.recv(1)


def drips(to: socket.socket, _: bytes) -> None:
    to.sendall(OK + b"\r\n")
    with contextlib.suppress(OSError):
        while True:
            to.sendall(b" ")
            time.sleep(0.05)


def never_ends(to: socket.socket, _: bytes) -> None:
    to.sendall(OK + b"\r\n")
    with contextlib.suppress(OSError):
        while True:
            to.sendall(b" " * 65_536)


def sends(head: bytes, body: bytes = b"") -> Behaviour:
    return lambda to, _: to.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


ELSEWHERE = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n"


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (says_nothing, "timed out"),
        (drips, "too slowly"),
        (never_ends, "too large"),
        (sends(ELSEWHERE), "status 302"),
        (sends(b"HTTP/1.1 500 Oh\r\n"), "status 500"),
        (sends(OK, b"<html>"), "Expecting value"),
        (sends(OK, b"[]"), "no object"),
        (lambda to, _: to.sendall(b"nonsense\r\n\r\n"), "BadStatusLine"),
    ],
    ids=["silence", "a byte now and then", "an endless answer", "a redirect", "an error",
         "no JSON", "no object", "no HTTP"],
)  # fmt: skip
def test_what_is_no_answer_is_said_so_soon(
    behaviour: Behaviour, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in {"READ": 0.3, "TOTAL": 0.4}.items():
        monkeypatch.setattr(connection, name, seconds)
    began = time.monotonic()
    with serving(behaviour) as server, Connection(CAMPUS) as asking:
        with pytest.raises(ProviderAway, match=reason):
            get_object(asking, CAMPUS, server.url())
        assert b"User-Agent: Dispatch/" in server.requests[0]
        assert b"Authorization" not in server.requests[0]
    assert time.monotonic() - began < 3


def test_a_sound_answer_is_read() -> None:
    with serving(sends(OK, b'{"issuer": "x"}')) as server, Connection(CAMPUS) as asking:
        assert get_object(asking, CAMPUS, server.url()) == {"issuer": "x"}
