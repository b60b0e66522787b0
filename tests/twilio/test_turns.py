"""A request that waits for its turn: made and connected before, written after, and once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from app.twilio import turns
from app.twilio.client import NotSent, TwilioClient

REQUEST = {"from_": "+13195550100", "body": "Hello"}


class Listener:
    """Takes connections and notes what is written to each; answers the first request of each."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.connections: list[socket.socket] = []
        self.connected = threading.Semaphore(0)
        self.received: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections.append(connection)
            self.connected.release()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        body = b'{"sid": "SM%032x", "status": "queued", "body": "Hello"}' % len(self.connections)
        while True:
            try:
                data = connection.recv(65536)
            except OSError:
                return
            if not data:
                return
            self.received.append(data)
            if b"Body=Hello" in b"".join(self.received[-2:]):
                connection.sendall(
                    b"HTTP/1.1 201 X\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
                )
                self.received.append(b"")

    def hang_up(self) -> None:
        """Close what is connected, as a server does with an idle connection."""
        for connection in self.connections:
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.socket.close()


def client(url: str) -> TwilioClient:
    return TwilioClient("AC" + "0" * 32, "AC" + "0" * 32, "t", base_url=url, timeout=(2, 2))


def test_the_connection_is_there_and_nothing_is_written_before_the_turn(listener: Listener) -> None:
    seen: list[tuple[bool, list[bytes]]] = []

    def turn() -> None:
        connected = listener.connected.acquire(timeout=5)
        seen.append((connected, list(listener.received)))

    with turns.written_at(turn):
        client(listener.url).create_message("+13195550150", **REQUEST)
    assert seen == [(True, [])]
    assert any(b"Body=Hello" in data for data in listener.received)


def test_what_the_turn_raises_is_raised_and_nothing_is_written(listener: Listener) -> None:
    def turn() -> None:
        raise NotSent("Too late.")

    with pytest.raises(NotSent, match="Too late"), turns.written_at(turn):
        client(listener.url).create_message("+13195550150", **REQUEST)
    assert listener.received == []


def test_a_connection_closed_while_waiting_is_replaced(listener: Listener) -> None:
    """What was not written yet can be written to another connection, and is surely no repeat."""
    twilio = client(listener.url)
    twilio.create_message("+13195550150", **REQUEST)

    def turn() -> None:
        listener.hang_up()

    with turns.written_at(turn):
        again = twilio.create_message("+13195550150", **REQUEST)
    assert again.sid == f"SM{2:032x}"


def test_a_turn_is_for_one_request() -> None:
    with turns.written_at(lambda: None):
        assert turns.take() is not None
        assert turns.take() is None
    assert turns.take() is None
