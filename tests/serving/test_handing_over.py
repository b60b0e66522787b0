"""A request, in whatever pieces it comes, reaches its process whole; what is none is refused."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import pairwise

import pytest
from gunicorn import http
from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from app.serving import channel, framing
from app.serving.channel import Channel, Peer
from app.serving.framing import RefusedError, Request

HEAD = b"POST /inbound/sms HTTP/1.1\r\nHost: example.edu\r\n"
PEER = Peer(socket.AF_INET, ("192.0.2.1", 5), ("127.0.0.1", 8000))


@pytest.fixture(scope="module")
def way() -> Iterator[Channel]:
    made = Channel()
    yield made
    made.close()


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]


def with_length(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes) -> bytes:
    size = max(len(body) // 3, 1)
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    framed = b"".join(b"%x;x=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\nX-Check: 1\r\n\r\n"


def served(way: Channel, request: Request) -> bytes:
    """Hand a request over, and read its body as gunicorn does on the other side."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert way.hand_over(theirs, PEER, request)
        request.close()
        handed = way.take(channel.new_buffer())
        assert handed is not None
        assert handed.peer == PEER
        handed.connection.send(b"over the same socket")
        assert ours.recv(100) == b"over the same socket"
        handed.connection.close()
        parsed = next(http.get_parser(Config(), handed.pieces(), PEER.client))
        body = parsed.body.read()
        handed.close()
        return bytes(body)


@pytest.mark.parametrize("sent", [with_length, chunked])
@given(
    body=st.binary(max_size=300) | st.binary(min_size=1).map(lambda some: some * 70_000),
    cuts=st.lists(st.integers(0, 10**7), max_size=12),
    before=st.sampled_from([b"", b"\r\n"]),
    behind=st.sampled_from([b"", b"GET / HTTP/1.1\r\n\r\n"]),
)
def test_whatever_the_pieces_the_body_arrives(
    sent: object, body: bytes, cuts: list[int], before: bytes, behind: bytes, way: Channel
) -> None:
    assert callable(sent)
    data = before + sent(body)
    request = Request()
    pieces = in_pieces(data, cuts)
    for piece in pieces[:-1]:
        assert not request.feed(piece)
    assert request.feed(pieces[-1] + behind)
    assert request.target == b"/inbound/sms"
    assert served(way, request) == body


def test_a_large_body_waits_in_a_file() -> None:
    request = Request()
    assert request.feed(with_length(b"x" * (framing.KEPT_IN_MEMORY + 1)))
    assert request.spool is not None
    assert request.body == b""
    request.close()


def test_what_is_too_large_is_heard_out_and_not_kept(way: Channel) -> None:
    size = framing.LARGEST_BODY + 1
    request = Request()
    request.feed(HEAD + b"Content-Length: %d\r\n\r\n" % size)
    while not request.feed(b"x" * min(65_536, size - request.size)):
        assert request.spool is None
    assert served(way, request) == b""


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (HEAD + b"X: " + b"x" * framing.LONGEST_HEAD, "431"),
        (HEAD + b"X: " + b"x" * framing.LONGEST_HEAD + b"\r\n\r\n", "431"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nno size\r\n", "400"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 2000, "400"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n" + b"x" * 18_000_000, "413"),
        (HEAD + b"Content-Length: 99999999\r\n\r\n" + b"x" * 68_000_000, "413"),
    ],
    ids=["endless head", "long head", "no chunk", "endless size", "large chunks", "huge"],
)
def test_what_cannot_be_taken_in_is_refused(data: bytes, status: str) -> None:
    pieces = [data[start : start + 65_536] for start in range(0, len(data), 65_536)]
    with pytest.raises(RefusedError, match=status):
        list(map(Request().feed, pieces))


def test_a_full_channel_says_so_and_loses_nothing() -> None:
    way = Channel()
    ours, theirs = socket.socketpair()
    count = 0
    while True:
        request = Request()
        assert request.feed(with_length(b"%d" % count))
        if not way.hand_over(theirs, PEER, request):
            break
        count += 1
        assert count < 100_000
    buffer = channel.new_buffer()
    for number in range(count):
        handed = way.take(buffer)
        assert handed is not None
        assert handed.received == with_length(b"%d" % number)
        handed.connection.close()
    assert way.take(buffer) is None
    for one in (ours, theirs, way):
        one.close()
