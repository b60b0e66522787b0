"""Writing an answer never waits for its reader, who gets all of it all the same."""

from __future__ import annotations

import socket
import time

import pytest

from app.serving import outlet
from app.serving.channel import Handed, Peer
from app.serving.outlet import Exchange, LateAnswers
from tests.support.processes import wait_until

LARGE = bytes(range(256)) * 40_000
"""Ten megabytes: more than any socket takes at once."""


def exchange(late: LateAnswers) -> tuple[Exchange, socket.socket]:
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(listener.getsockname())
    accepted, _ = listener.accept()
    listener.close()
    peer = Peer(socket.AF_INET, ("127.0.0.1", 1), ("127.0.0.1", 2))
    return Exchange(Handed(peer, accepted, b"", None), late, lambda: None), client


def test_a_reader_who_takes_his_time_gets_all() -> None:
    late = LateAnswers()
    answer, reader = exchange(late)
    began = time.monotonic()
    for start in range(0, len(LARGE), 100_000):
        answer.sendall(LARGE[start : start + 100_000])
    answer.close()
    answer.close()
    assert time.monotonic() - began < 5
    received = bytearray()
    while piece := reader.recv(65_536):
        received += piece
    assert received == LARGE
    reader.close()
    late.wait(5)


def test_who_never_reads_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "LATE_SECONDS", 0.1)
    monkeypatch.setattr(outlet, "SLOWEST", 10**9)
    late = LateAnswers()
    answer, reader = exchange(late)
    answer.sendall(LARGE)
    answer.close()
    began = time.monotonic()
    late.wait(30)
    assert time.monotonic() - began < 20
    received = 0
    while piece := reader.recv(65_536):
        received += len(piece)
    assert received < len(LARGE)
    reader.close()


def test_too_many_slow_readers_cut_off_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "MOST_LATE", 2)
    late = LateAnswers()
    readers = []
    for _ in range(4):
        answer, reader = exchange(late)
        answer.sendall(LARGE)
        answer.close()
        readers.append(reader)
    wait_until(lambda: len(late._late) == 2 and not late._new, "two are left")
    for reader, whole in zip(readers, (False, False, True, True), strict=True):
        received = 0
        while piece := reader.recv(65_536):
            received += len(piece)
        assert (received == len(LARGE)) is whole
        reader.close()
