"""What is served under /media/<code>, to Twilio, to browsers and to nobody."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient, FlaskCliRunner
from requests import Session

from app.links import media as media_links
from app.models.base import utcnow
from app.models.media import Media, MediaSource, Recording
from app.twilio.media import Fetched, MediaUnavailable, is_twilio_url
from tests.support.inbound import Department
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, AUTH_TOKEN

MP3 = b"ID3\x04" + bytes(range(256)) * 4


def stored(rows: Rows, **columns: object) -> Media:
    values: dict[str, object] = {
        "client_id": Department(rows).client.id,
        "source": MediaSource.STORED,
        "content_type": "audio/mpeg",
        "filename": "closed.mp3",
        "content": MP3,
        "size": len(MP3),
        **columns,
    }
    made = Media(**values)
    rows.add(made)
    return made


def test_a_file_is_served_as_twilio_wants_it(rows: Rows, client: FlaskClient) -> None:
    answer = client.get(f"/media/{stored(rows).code}")
    assert (answer.status_code, answer.data) == (200, MP3)
    assert answer.content_type == "audio/mpeg"
    assert answer.headers["Content-Disposition"] == 'inline; filename="closed.mp3"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["ETag"]


def test_head_tells_the_same_without_the_bytes(rows: Rows, client: FlaskClient) -> None:
    path = f"/media/{stored(rows).code}"
    get, head = client.get(path), client.head(path)
    assert (head.status_code, head.data) == (200, b"")
    for name in ("Content-Type", "Content-Length", "ETag", "Content-Disposition"):
        assert head.headers[name] == get.headers[name]


def test_who_has_it_already_is_told_so(rows: Rows, client: FlaskClient) -> None:
    path = f"/media/{stored(rows).code}"
    etag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304


def test_a_part_can_be_asked_for(rows: Rows, client: FlaskClient) -> None:
    answer = client.get(f"/media/{stored(rows).code}", headers={"Range": "bytes=4-7"})
    assert (answer.status_code, answer.data) == (206, MP3[4:8])
    assert answer.headers["Content-Range"] == f"bytes 4-7/{len(MP3)}"


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("", "image/jpeg", "file.jpg"),
        ("a very long name with spaces.jpeg", "image/jpeg", "a-very-long-nam.jpeg"),
        ('x"; evil="1.png', "image/png", "x-evil-1.png"),
        ("höflich.vcf", "text/vcard", "h-flich.vcf"),
        ("../../etc/passwd", "application/pdf", "etc-passwd.pdf"),
        ("noending", "text/x-vcard", "noending.vcf"),
    ],
)
def test_names_are_short_and_plain(
    name: str, kind: str, shown: str, rows: Rows, client: FlaskClient
) -> None:
    answer = client.get(f"/media/{stored(rows, filename=name, content_type=kind).code}")
    assert answer.headers["Content-Disposition"] == f'inline; filename="{shown}"'
    assert len(shown) <= 20


@pytest.mark.parametrize("kind", ["text/html", "application/javascript", "application/xhtml+xml"])
def test_a_browser_runs_nothing(kind: str, rows: Rows, client: FlaskClient) -> None:
    answer = client.get(f"/media/{stored(rows, content_type=kind, filename='x').code}")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_an_odd_type_does_no_harm(rows: Rows, client: FlaskClient) -> None:
    odd = stored(rows, content_type='a/b; c="d')
    answer = client.get(f"/media/{odd.code}")
    assert answer.content_type == "application/octet-stream"


@pytest.mark.parametrize("code", ["nothing", "a" * 40, "%00", "..%2f", "é"])
def test_an_unknown_code_is_not_found(code: str, rows: Rows, client: FlaskClient) -> None:
    assert client.get(f"/media/{code}").status_code == 404


def test_what_has_expired_is_not_found(rows: Rows, client: FlaskClient) -> None:
    gone = stored(rows, expires_at=utcnow() - timedelta(seconds=1))
    assert client.get(f"/media/{gone.code}").status_code == 404


class TestAtTwilio:
    URL = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/MM1/Media/ME1"

    def held(self, rows: Rows, url: str = URL, content_type: str = "image/jpeg") -> Media:
        department = Department(rows)
        made = Media(
            client_id=department.client.id,
            source=MediaSource.TWILIO,
            content_type=content_type,
            twilio_url=url,
            credential_id=department.credential.id,
        )
        rows.add(made)
        return made

    def test_it_is_passed_on(
        self, rows: Rows, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []

        def fetch(url: str, user: str, password: str, **_: object) -> Fetched:
            asked.append((url, user, password))
            return Fetched(b"picture", "image/jpeg")

        monkeypatch.setattr(media_links, "fetch_media", fetch)
        answer = client.get(f"/media/{self.held(rows).code}")
        assert (answer.data, answer.content_type) == (b"picture", "image/jpeg")
        assert asked == [(self.URL, ACCOUNT_SID, AUTH_TOKEN)]

    @pytest.mark.parametrize(
        ("content", "declared", "kind", "name"),
        [
            (b"#!AMR\n\x3c\x08", "audio/amr", "audio/amr", "file.amr"),
            (b"\0\0\0\x14ftyp3gp5\0\0", "video/3gpp", "video/3gpp", "file.3gp"),
            (b"\0\0\0\x14ftypheic\0\0", "image/jpeg", "image/heic", "file.heic"),
            (b"BEGIN:VCARD", "application/octet-stream", "text/vcard", "file.vcf"),
            (b"BEGIN:VCALENDAR", "text/plain", "text/calendar", "file.ics"),
            (b"\xff\xfeH\0i\0", "application/octet-stream", "text/plain", "file.txt"),
        ],
    )
    def test_its_bytes_say_what_it_is(
        self, content: bytes, declared: str, kind: str, name: str, rows: Rows,
        client: FlaskClient, monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(media_links, "fetch_media", lambda *_, **__: Fetched(content, declared))
        held = self.held(rows, content_type=declared)
        answer = client.get(f"/media/{held.code}")
        assert (answer.data, answer.mimetype) == (content, kind)
        assert f'filename="{name}"' in answer.headers["Content-Disposition"]
        if declared == "application/octet-stream":  # a HEAD that says no more would say nothing
            assert client.head(f"/media/{held.code}").mimetype == kind

    def test_a_head_does_not_call_it_empty(self, rows: Rows, client: FlaskClient) -> None:
        head = client.head(f"/media/{self.held(rows).code}")
        assert (head.status_code, head.content_type) == (200, "image/jpeg")
        assert "Content-Length" not in head.headers

    @pytest.mark.parametrize(("gone", "status"), [(True, 404), (False, 502)])
    def test_what_cannot_be_had(
        self,
        gone: bool,
        status: int,
        rows: Rows,
        client: FlaskClient,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fetch(*_: object, **__: object) -> Fetched:
            raise MediaUnavailable("The file could not be fetched.", gone)

        monkeypatch.setattr(media_links, "fetch_media", fetch)
        assert client.get(f"/media/{self.held(rows).code}").status_code == status

    @pytest.mark.parametrize(
        "url",
        [
            "http://169.254.169.254/latest",
            "https://twilio.com.evil.example/x",
            "file:///etc/passwd",
            "http://api.twilio.com/x",
            "https://evil.example/?https://api.twilio.com/",
        ],
    )
    def test_nobody_but_twilio_is_asked(
        self, url: str, rows: Rows, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Session, "request", lambda *_, **__: pytest.fail("asked"))
        assert client.get(f"/media/{self.held(rows, url).code}").status_code == 404

    def test_a_stand_in_for_twilio_counts_as_twilio(self) -> None:
        base = "http://127.0.0.1:9000"
        assert is_twilio_url(f"{base}/2010-04-01/x", base)
        assert is_twilio_url("https://api.twilio.com/x", base)
        assert not is_twilio_url("http://127.0.0.1:9001/x", base)


class TestRecordingsAdd:
    def test_a_recording_is_kept_and_served(
        self, rows: Rows, client: FlaskClient, flask_command: FlaskCliRunner, tmp_path
    ) -> None:
        Department(rows)
        file = tmp_path / "closed.mp3"
        file.write_bytes(MP3)
        done = flask_command.invoke(args=["recordings", "add", "registrar", "closed", str(file)])
        assert done.exit_code == 0, done.output
        code = rows.one(Recording).media_code
        assert f"/media/{code}" in done.output
        answer = client.get(f"/media/{code}")
        assert (answer.data, answer.content_type) == (MP3, "audio/mpeg")

    @pytest.mark.parametrize(
        ("owner", "content", "said"),
        [
            ("library", MP3, "There is no client “library”. There are: registrar."),
            ("registrar", b"<html>", "not audio"),
            ("registrar", b"", "empty"),
            ("registrar", MP3 + bytes(11 * 1024 * 1024), "MB"),
        ],
        ids=["unknown client", "no audio", "empty", "too large"],
    )
    def test_a_mistake_is_named(
        self,
        owner: str,
        content: bytes,
        said: str,
        rows: Rows,
        flask_command: FlaskCliRunner,
        tmp_path,
    ) -> None:
        Department(rows)
        file = tmp_path / "closed.mp3"
        file.write_bytes(content)
        done = flask_command.invoke(args=["recordings", "add", owner, "closed", str(file)])
        assert done.exit_code == 1
        assert said in done.output
        assert rows.count(Media) == 0
