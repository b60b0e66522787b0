"""Files that texts may show, handed over by a client system."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from app.models.media import Media
from app.models.message import Message
from tests.support.departments import Caller
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.rows import Rows

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def file(content: bytes = PNG, name: str = "map.png") -> dict[str, Any]:
    return {"filename": name, "content": base64.b64encode(content).decode()}


def test_a_file_is_kept_and_served(api: Caller, rows: Rows) -> None:
    made = api.post("media", file())
    assert made.status_code == 201
    shown = made.json
    assert (shown["contentType"], shown["size"], shown["warnings"]) == ("image/png", 108, [])
    assert shown["expiresAt"]
    path = shown["url"].removeprefix(PUBLIC_BASE_URL)
    served = api.http.get(path)
    assert (served.data, served.content_type) == (PNG, "image/png")
    assert served.headers["Content-Disposition"] == 'inline; filename="map.png"'
    assert api.http.head(path).headers["Content-Length"] == "108"


def test_a_contact_card_is_made(api: Caller) -> None:
    made = api.post("media", {"vcard": {"name": "Registrar", "phone": "319-335-0000"}}).json
    assert made["contentType"] == "text/vcard"
    served = api.http.get(made["url"].removeprefix(PUBLIC_BASE_URL))
    assert served.content_type.startswith("text/vcard")
    assert b"TEL;TYPE=WORK,VOICE:+13193350000\r\n" in served.data


def test_a_large_file_is_kept_with_advice(api: Caller) -> None:
    assert "KB" in api.post("media", file(PNG + bytes(600 * 1024))).json["warnings"][0]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "content"),
        ({**file(), "vcard": {"name": "A", "phone": "319-335-0000"}}, "content"),
        ({"filename": "a.png", "content": "no base 64!"}, "content"),
        (file(b"MZ\x90\0", "a.exe"), "file"),
        (file(PNG + bytes(5 * 1024 * 1024)), "file"),
        ({"vcard": {"name": "A", "phone": "12"}}, "phone"),
    ],
    ids=["nothing", "both", "not base 64", "a program", "too large", "a bad phone"],
)
def test_what_cannot_be_kept_is_422(
    api: Caller, rows: Rows, body: dict[str, Any], field: str
) -> None:
    answer = api.post("media", body)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == field
    assert rows.count(Media) == 0


def test_a_text_shows_a_kept_file(api: Caller, rows: Rows) -> None:
    url = api.post("media", file()).json["url"]
    sent = api.post(
        "messages", {"to": "+13195550150", "from": "+13195550111", "body": "Hi", "media": [url]}
    )
    assert sent.status_code == 201, sent.json
    assert rows.one(Message).media == [url]


def test_every_faulty_file_of_a_text_is_named(api: Caller, rows: Rows) -> None:
    gone = [f"{PUBLIC_BASE_URL}/media/{code}" for code in ("gone", "lost")]
    answer = api.post("messages", {"to": "12", "from": "+13195550111", "body": "Hi", "media": gone})
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json["errors"]] == ["to", "media[0]", "media[1]"]
    assert rows.count(Message) == 0


def test_another_clients_file_is_not_shown(api: Caller, other: Caller) -> None:
    url = other.post("media", file()).json["url"]
    answer = api.post("messages", {"to": "+13195550150", "from": "+13195550111", "media": [url]})
    assert answer.status_code == 422


def test_a_preview_knows_kept_files(api: Caller) -> None:
    url = api.post("media", file(PNG + bytes(600 * 1024))).json["url"]
    shown = api.post("preview", {"media": [url, f"{PUBLIC_BASE_URL}/media/gone"]}).json
    assert any("600 KB" in warning for warning in shown["warnings"])
    assert any("Upload it again" in warning for warning in shown["warnings"])
