"""A look at media that are served elsewhere, against servers of every kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from app.domain.content.attachments import Look
from app.models.client import Client
from app.outbound.send import media_links
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.hostile import sending, serving, silent
from tests.support.rows import Rows

CLIENT = "0" * 26
pytestmark = [
    pytest.mark.database("sqlite"),
    pytest.mark.settings(WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8"),
]


@pytest.fixture(autouse=True)
def inside(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(media_links._Budget, "free_at", 0.0)
    with app.app_context():
        yield


def answer(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "Connection: close", "", ""]).encode()


def look(url: str) -> Look:
    return media_links.look_now([url], CLIENT)[url]


@pytest.mark.parametrize(
    ("head", "content_type", "size"),
    [
        (answer("200 OK", "Content-Type: image/PNG", "Content-Length: 123"), "image/png", 123),
        (answer("200 OK", "Content-Type: text/html; charset=utf-8"), "text/html", None),
        (answer("200 OK"), None, None),
    ],
    ids=["a picture", "a web page", "a server that says nothing"],
)
def test_the_server_says_what_it_has(
    head: bytes, content_type: str | None, size: int | None
) -> None:
    with serving(sending(head)) as server:
        found = look(server.url("/a.png"))
        assert server.requests[0].startswith(b"HEAD /a.png HTTP/1.1")
    assert (found.content_type, found.size) == (content_type, size)
    assert (found.wrong, found.doubt) == (None, None)


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found", "410 Gone"])
def test_what_is_surely_not_there_is_wrong(status: str) -> None:
    with serving(sending(answer(status))) as server:
        assert look(server.url()).wrong


@pytest.mark.parametrize("status", ["403 Forbidden", "405 Method Not Allowed", "503 Busy"])
def test_what_may_be_different_for_twilio_is_a_doubt(status: str) -> None:
    with serving(sending(answer(status))) as server:
        found = look(server.url())
    assert found.wrong is None
    assert status[:3] in str(found.doubt)


def test_a_redirect_is_followed() -> None:
    with serving(sending(answer("200 OK", "Content-Type: image/gif"))) as there:
        moved = answer("302 Found", f"Location: {there.url('/b.gif')}")
        with serving(sending(moved)) as here:
            assert look(here.url()).content_type == "image/gif"


def test_redirects_end() -> None:
    with serving(sending(answer("302 Found", "Location: /again"))) as server:
        assert "302" in str(look(server.url()).doubt)
        assert len(server.requests) == media_links.MAX_REDIRECTS + 1


def test_a_redirect_to_what_is_no_address_is_a_doubt() -> None:
    with serving(sending(answer("302 Found", "Location: https://["))) as server:
        assert "302" in str(look(server.url()).doubt)


def test_a_silent_server_costs_its_seconds_and_then_others_wait_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media_links, "SECONDS", 0.3)
    with serving(silent(2)) as server:
        assert media_links.look_in_passing([server.url()], CLIENT)[server.url()].doubt
        assert media_links.look_in_passing([server.url()], CLIENT) == {}  # a tenth is used up
        assert server.connections == 1


@pytest.mark.settings(WEBHOOK_ALLOWED_NETWORKS="10.0.0.0/8")
def test_private_addresses_are_not_looked_at() -> None:
    with serving(sending(answer("200 OK"))) as server:
        assert "no public address" in str(look(server.url()).doubt)
        assert server.connections == 0


def test_our_own_files_are_never_asked_for_over_the_network() -> None:
    assert media_links.look_now([f"{PUBLIC_BASE_URL}/media/abc"], CLIENT) == {}


def test_what_support_has_closed_to_a_client_is_not_looked_at(rows: Rows) -> None:
    closed = Client(name="closed", owner_email="a@e.edu", denied_networks=["127.0.0.1/32"])
    rows.add(closed)
    with serving(sending(answer("200 OK"))) as server:
        assert media_links.look_now([server.url()], closed.id)[server.url()].doubt
        assert server.connections == 0
        assert look(server.url()).doubt is None
