"""One request against servers that misbehave in every way we know of."""

from __future__ import annotations

import gzip
import resource
import socket
import threading
import time
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from app.domain.addresses import PUBLIC, Networks
from app.outbound.relay.transport import LIMITS, Call, EndpointAnswer, Limits, send
from tests.support.certificates import Authority
from tests.support.hostile import (
    Server,
    answering,
    dripping,
    resetting,
    sending,
    serving,
    silent,
)

LITTLE = 0.5
"""Seconds that are given where they are to run out; elsewhere there is as much as ever."""
SLACK = 4.0
"""What a busy machine may take on top."""
SHORT = {
    "timeout": Limits(read=LITTLE), "deadline": Limits(total=LITTLE), "dns": Limits(dns=LITTLE),
}  # fmt: skip
HERE = Networks((ip_network("127.0.0.0/8"), ip_network("::1/128")))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def post(url: str, **options: Any) -> EndpointAnswer:
    options.setdefault("networks", HERE)
    return send(Call("POST", url, {"Content-Type": "application/json"}, b'{"a":1}'), **options)


def resolving(*texts: str) -> Any:
    """Return a resolver that gives these addresses, whatever the name."""

    def resolve(_host: str, port: int) -> list[tuple[Any, ...]]:
        return [
            (socket.AF_INET6 if ":" in text else socket.AF_INET, socket.SOCK_STREAM, 6, "",
             (text, port))
            for text in texts
        ]  # fmt: skip

    return resolve


def never(_host: str, _port: int) -> list[tuple[Any, ...]]:
    raise AssertionError("must not be resolved")


# --- what a good server sees and says ------------------------------------------------------------


def test_the_request_arrives_as_it_was_given() -> None:
    with serving(answering(body=b"thanks", headers={"X-Seen": "yes"})) as server:
        answer = post(server.url("/hooks?a=%2F"))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hooks?a=%2F HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}".encode() in head
    assert body == b'{"a":1}'
    assert (answer.status, answer.error, answer.body) == (200, None, "thanks")
    assert answer.headers["X-Seen"] == "yes"
    assert answer.address == "127.0.0.1"
    assert not answer.truncated


@pytest.mark.parametrize(
    ("status", "number"),
    [("204 No Content", 204), ("404 Not Found", 404), ("410 Gone", 410), ("500 Oops", 500)],
)
def test_any_status_is_an_answer(status: str, number: int) -> None:
    with serving(answering(status)) as server:
        answer = post(server.url())
    assert (answer.status, answer.error) == (number, None)


def test_a_chunked_answer_is_read() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    with serving(sending(chunked)) as server:
        answer = post(server.url())
    assert (answer.status, answer.body, answer.truncated) == (200, "hello", False)


# --- answers that do not come, or come too slowly ------------------------------------------------

HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        pytest.param(silent(), "timeout", id="hangs"),
        pytest.param(dripping(HEADERS), "deadline", id="slow status line"),
        pytest.param(
            dripping(HEADERS[17:] * 9, before=HEADERS[:17]), "deadline", id="slow headers"
        ),
        pytest.param(
            dripping(b"HTTP/1.1 100 Continue\r\n\r\n" * 99, 0.01), "deadline",
            id="endless 100 Continue",
        ),
        pytest.param(resetting(), "connection", id="reset"),
        pytest.param(resetting(HEADERS[:40]), "connection", id="reset within the headers"),
        pytest.param(sending(b""), "connection", id="empty"),
        pytest.param(sending(HEADERS[:17]), "connection", id="closed after the status line"),
        pytest.param(sending(HEADERS[:30]), "connection", id="closed within a header"),
        pytest.param(sending(HEADERS[:-2]), "connection", id="closed before the blank line"),
        pytest.param(sending(b"SSH-2.0-OpenSSH_9.2\r\n"), "connection", id="garbage"),
        pytest.param(sending(bytes(range(256)) * 50), "connection", id="binary garbage"),
        pytest.param(
            sending(HEADERS[:17] + b"X-A: " + b"a" * 99_000 + b"\r\n\r\n"), "connection",
            id="a header of 99 kB",
        ),
        pytest.param(
            sending(HEADERS[:17] + b"X-A: a\r\n" * 500 + b"\r\n"), "connection", id="500 headers"
        ),
    ],
)  # fmt: skip
def test_no_false_success(behaviour: Any, error: str) -> None:
    with serving(behaviour) as server:
        started = time.monotonic()
        answer = post(server.url(), limits=SHORT.get(error, LIMITS))
        took = time.monotonic() - started
    assert answer.error == error
    assert answer.status is None
    assert answer.detail
    assert took < LITTLE + SLACK
    assert server.connections == 1, "one try is one request"


def test_a_slow_body_does_not_undo_a_complete_answer() -> None:
    slow = dripping(b"b" * 100, before=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    with serving(slow) as server:
        started = time.monotonic()
        answer = post(server.url(), limits=SHORT["deadline"])
    assert (answer.status, answer.error, answer.truncated) == (200, None, True)
    assert time.monotonic() - started < LITTLE + SLACK


def test_a_body_shorter_than_announced_is_marked() -> None:
    with serving(sending(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")) as server:
        answer = post(server.url())
    assert (answer.status, answer.body, answer.truncated) == (200, "short", True)


def endless(connection: socket.socket, _request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    for _ in range(2000):
        connection.sendall(b"x" * 65536)


def test_only_the_beginning_of_a_huge_body_is_read() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with serving(endless) as server:
        answer = post(server.url())
    assert (answer.status, len(answer.body), answer.truncated) == (200, 16 * 1024, True)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000, "kB"


@pytest.mark.parametrize("status", ["200 OK", "302 Found"])
def test_a_gzip_bomb_is_kept_closed(status: str) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    headers = {"Content-Encoding": "gzip", "Location": "/elsewhere"}
    with serving(answering(status, bomb, headers)) as server:
        answer = post(server.url())
    assert answer.status in (200, 302)
    assert answer.truncated
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000, "kB"


def test_a_nul_in_an_answer_can_be_stored() -> None:
    with serving(answering(body=b"a\0b\xff")) as server:
        assert post(server.url()).body == "a\ufffdb\ufffd"


# --- where it may go -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/latest/meta-data", "https://sis.example.edu/other"]
)
def test_redirects_are_not_followed(location: str) -> None:
    with serving(answering("302 Found", headers={"Location": location})) as server:
        answer = post(server.url())
        assert (answer.status, server.connections) == (302, 1)


LOCAL = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "0.0.0.0", "localhost",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "169.254.169.254", "[fd00:ec2::254]", "100.64.0.1",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "168.63.129.16",
]  # fmt: skip


@pytest.mark.parametrize("host", LOCAL)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_local_addresses_are_refused_before_any_dial(
    host: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", never)
    answer = post(f"{scheme}://{host}/hooks", networks=PUBLIC)
    assert answer.error == "blocked"
    assert answer.address is None
    assert "127." not in (answer.detail or "")


def test_a_name_that_leads_home_is_refused() -> None:
    with serving(answering()) as server:
        answer = post(
            f"https://rebind.example.com:{server.port}/", networks=PUBLIC,
            resolver=resolving("127.0.0.1"),
        )  # fmt: skip
        assert (answer.error, server.connections) == ("blocked", 0)


def test_a_name_is_resolved_once_so_that_rebinding_gains_nothing() -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[tuple[Any, ...]]:
        asked.append(host)
        return resolving("127.0.0.2" if len(asked) == 1 else "127.0.0.1")(host, port)

    with serving(answering()) as server:
        answer = post(
            f"http://rebind.example.com:{server.port}/", resolver=rebinding,
            networks=Networks((ip_network("127.0.0.2/32"),)),
        )  # fmt: skip
        assert asked == ["rebind.example.com"]
        assert server.connections == 0, "nobody listens at what was checked"
    assert answer.error == "connect"


def test_of_mixed_answers_only_the_allowed_are_dialled() -> None:
    with serving(answering(), host="127.0.0.2") as server:
        answer = post(
            f"http://mixed.example.com:{server.port}/",
            resolver=resolving("10.0.0.1", "169.254.169.254", "127.0.0.2"),
            networks=Networks((ip_network("127.0.0.2/32"),)),
        )
        assert (answer.status, answer.address) == (200, "127.0.0.2")


def test_what_is_denied_is_not_dialled_though_it_is_allowed() -> None:
    with serving(answering()) as server:
        denied = Networks(HERE.allowed, (ip_network("127.0.0.0/30"),))
        answer = post(
            f"http://campus.example.com:{server.port}/", networks=denied,
            resolver=resolving("127.0.0.1", "::ffff:127.0.0.2"),
        )  # fmt: skip
        assert (answer.error, server.connections) == ("blocked", 0)
    assert "WEBHOOK_DENIED_NETWORKS" in (answer.detail or "")


@pytest.mark.parametrize("dead", ["127.0.0.3", "::1"])
def test_all_addresses_of_a_name_are_tried(dead: str) -> None:
    with serving(answering()) as server:
        answer = post(
            f"http://two.example.com:{server.port}/", resolver=resolving(dead, "127.0.0.1")
        )
    assert (answer.status, answer.address) == (200, "127.0.0.1")


def test_ipv6_is_spoken() -> None:
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)

    def answer_once() -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(OK)
        connection.close()

    threading.Thread(target=answer_once, daemon=True).start()
    with listener:
        answer = post(f"http://[::1]:{listener.getsockname()[1]}/")
    assert (answer.status, answer.address) == (200, "::1")


def test_a_name_that_does_not_resolve() -> None:
    def fail(_host: str, _port: int) -> list[tuple[Any, ...]]:
        raise socket.gaierror(-2, "Name or service not known")

    answer = post("https://nowhere.example.com/", resolver=fail)
    assert (answer.error, answer.address) == ("dns", None)
    assert "nowhere.example.com" in (answer.detail or "")


def test_a_resolver_that_hangs_is_not_waited_for() -> None:
    def hang(_host: str, _port: int) -> list[tuple[Any, ...]]:
        threading.Event().wait(5)
        return []

    started = time.monotonic()
    answer = post("https://slow.example.com/", resolver=hang, limits=SHORT["dns"])
    assert answer.error == "dns"
    assert time.monotonic() - started < LITTLE + SLACK


def test_a_refused_connection() -> None:
    with serving(answering()) as server:
        pass
    answer = post(server.url())
    assert answer.error == "connect"
    assert "refused" in (answer.detail or "")


@pytest.mark.parametrize(
    "url",
    [
        "https://", "https:///path", "file:///etc/passwd", "gopher://example.com/", "nonsense",
        "https://example.com:99999/", "https://" + "a" * 64 + ".example.com/", "https://exa mple/",
    ],
)  # fmt: skip
def test_what_is_no_url_is_an_error_and_no_crash(url: str) -> None:
    answer = post(url, resolver=resolving())
    assert answer.error in ("connection", "dns")


def test_nothing_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login thief password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(answering()) as proxy, serving(answering()) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        assert post(server.url()).status == 200
    assert proxy.connections == 0
    assert b"authorization" not in server.requests[0].lower()


# --- TLS -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def https(server: Server, host: str, authority: Authority) -> EndpointAnswer:
    return post(
        f"https://{host}:{server.port}/", resolver=resolving("127.0.0.1"),
        trust=authority.trusting(), limits=Limits(connect=2, read=2, total=3, dns=1),
    )  # fmt: skip


def test_the_name_is_asked_for_and_checked_although_the_address_is_dialled(
    authority: Authority,
) -> None:
    asked: list[str | None] = []
    context = authority.server("sis.example.edu")
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with serving(answering(), tls=context) as server:
        assert https(server, "sis.example.edu", authority).status == 200
    assert asked == ["sis.example.edu"]
    assert f"Host: sis.example.edu:{server.port}".encode() in server.requests[0]


@pytest.mark.parametrize(
    ("names", "expired", "host", "says"),
    [
        (["sis.example.edu"], True, "sis.example.edu", "expired"),
        (["other.example.edu"], False, "sis.example.edu", "another host"),
        (["127.0.0.1"], False, "sis.example.edu", "another host"),
    ],
    ids=["expired", "wrong name", "address only"],
)
def test_bad_certificates_are_refused(
    authority: Authority, names: list[str], expired: bool, host: str, says: str
) -> None:
    with serving(answering(), tls=authority.server(*names, expired=expired)) as server:
        answer = https(server, host, authority)
    assert answer.error == "tls"
    assert says in (answer.detail or "")
    assert server.requests == [], "nothing was sent"


def test_an_unknown_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path)
    with serving(answering(), tls=stranger.server("sis.example.edu")) as server:
        answer = https(server, "sis.example.edu", authority)
    assert answer.error == "tls"


def test_the_ordinary_authorities_are_trusted_when_none_is_given(authority: Authority) -> None:
    with serving(answering(), tls=authority.server("127.0.0.1")) as server:
        answer = post(server.url(scheme="https"))
    assert answer.error == "tls"
    assert "authority" in (answer.detail or "") or "self-signed" in (answer.detail or "")


def test_a_tls_handshake_that_hangs(authority: Authority) -> None:
    with serving(silent(), read_request=False) as server:
        started = time.monotonic()
        answer = post(server.url(scheme="https"), limits=SHORT["deadline"])
    assert answer.error in ("timeout", "tls", "deadline")
    assert time.monotonic() - started < LITTLE + SLACK


def test_slow_headers_within_tls_are_cut_too(authority: Authority) -> None:
    slow = dripping(HEADERS[17:] * 9, before=HEADERS[:17])
    with serving(slow, tls=authority.server("127.0.0.1")) as server:
        url, trust = server.url(scheme="https"), authority.trusting()
        answer = post(url, trust=trust, limits=SHORT["deadline"])
    assert (answer.status, answer.error) == (None, "deadline")
