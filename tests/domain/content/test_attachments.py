"""Media of outgoing texts: kept, checked by Twilio's rules, and let go again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask

from app.domain import deletion, urls
from app.domain.content import attachments, catalog
from app.domain.content.attachments import Findings, Look
from app.domain.mistakes import Refused
from app.domain.reach import Refusal
from app.domain.sending.texts import queue_text
from app.extensions import db, unit_of_work
from app.maintenance import retention
from app.models.base import utcnow
from app.models.client import Client
from app.models.media import Media
from app.models.message import Message
from app.models.sender import Sender
from app.models.template import Template, TemplateKind
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.house import House, furnish
from tests.support.rows import Rows

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
KB = 1024


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows)


@pytest.fixture
def inside(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def keep(house: House, content: bytes = PNG, name: str = "map.png") -> str:
    """Keep a file and return its address."""
    with unit_of_work() as session:
        client = session.get_one(Client, house.client.id)
        return urls.of_media(attachments.keep(session, client, name, content).code)


def inspect(house: House, *media: str, looks: dict[str, Look] | None = None) -> Findings:
    return attachments.inspect(db.session(), house.client.id, media, looks)


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "empty"), (PNG + bytes(5 * KB * KB), "too_large"), (b"MZ\x90\0", "bad_type")],
)
def test_what_twilio_would_not_take_is_not_kept(
    inside: None, rows: Rows, house: House, content: bytes, code: str
) -> None:
    with pytest.raises(Refused) as caught:
        keep(house, content)
    assert [mistake.code for mistake in caught.value.mistakes] == [code]
    assert rows.count(Media) == 0


@pytest.mark.parametrize("content_type", ["image/jpeg", "text/vcard", "video/H264", "audio/amr-nb"])
def test_twilios_list_of_types_is_taken(content_type: str) -> None:
    assert attachments.accepted(content_type)


@pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml", "application/zip", ""])
def test_other_types_are_not(content_type: str) -> None:
    assert not attachments.accepted(content_type)


def test_a_file_of_ours_is_known(inside: None, house: House) -> None:
    url = keep(house)
    assert url.startswith(f"{PUBLIC_BASE_URL}/media/")
    assert inspect(house, url) == Findings()


def test_a_large_file_is_advised_against(inside: None, house: House) -> None:
    found = inspect(house, keep(house, PNG + bytes(501 * KB)))
    assert found.mistakes == []
    assert "501 KB" in found.advice[0]


def test_all_together_have_five_megabytes(inside: None, house: House) -> None:
    media = [keep(house, PNG + bytes(2 * KB * KB)) for _ in range(3)]
    assert inspect(house, *media[:2]).mistakes == []
    assert [one.code for one in inspect(house, *media).mistakes] == ["media_too_large"]


def test_another_clients_file_does_not_exist(inside: None, rows: Rows, house: House) -> None:
    url = keep(furnish(rows, address="+13195550101"))
    assert inspect(house, url).mistakes[0].field == "media[0]"


def test_what_was_seen_elsewhere_counts(inside: None, house: House) -> None:
    page, gone = "https://example.edu/map", "https://example.edu/gone.png"
    slow, large = "https://example.edu/slow.png", "https://example.edu/large.mp4"
    found = inspect(
        house, page, gone, slow, large,
        looks={
            page: Look("text/html", 100),
            gone: Look(wrong="there is nothing at this address (404)."),
            slow: Look(doubt="its server does not answer within 3 s."),
            large: Look("video/mp4", 600 * KB),
        },
    )  # fmt: skip
    assert [one.field for one in found.mistakes] == ["media[0]", "media[1]"]
    assert "text/html" in found.mistakes[0].message
    assert "could not be checked" in found.advice[0]
    assert "carriers will refuse it" in found.advice[1]


def test_a_template_keeps_the_files_that_it_shows(inside: None, rows: Rows, house: House) -> None:
    shown, other = keep(house), keep(house)
    made = save(house, "away", shown)
    pass_retention(rows)
    assert [urls.of_media(one.code) for one in rows.all(Media)] == [shown]
    assert other != shown
    with unit_of_work() as session:
        deletion.remove(session, session.get_one(Template, made), "pat")
    pass_retention(rows)
    assert rows.count(Media) == 0


def test_a_file_stays_while_another_template_shows_it(
    inside: None, rows: Rows, house: House
) -> None:
    url = keep(house)
    first = save(house, "away", url)
    save(house, "closed", url)
    with unit_of_work() as session:
        deletion.remove(session, session.get_one(Template, first), "pat")
    assert rows.one(Media).expires_at is None


def test_a_template_with_a_file_that_is_gone_is_not_saved(inside: None, house: House) -> None:
    with pytest.raises(Refused, match="Upload it again"):
        save(house, "away", f"{PUBLIC_BASE_URL}/media/gone")


@pytest.mark.parametrize(
    ("look", "code"),
    [
        (Look("text/html"), "bad_media"),
        (Look(wrong="there is nothing."), "bad_media"),
        (Look("video/mp4", 6 * KB * KB), "media_too_large"),
    ],
)
def test_a_single_text_is_refused_for_its_media(
    inside: None, rows: Rows, house: House, look: Look, code: str
) -> None:
    with pytest.raises(Refusal) as caught:
        send(house, "https://example.edu/a", {"https://example.edu/a": look})
    assert caught.value.code == code
    assert caught.value.field.startswith("media")
    assert rows.count(Message) == 0


def test_a_link_that_nobody_could_look_at_is_left_to_twilio(
    inside: None, rows: Rows, house: House
) -> None:
    send(house, "https://example.edu/a", {"https://example.edu/a": Look(doubt="It is slow.")})
    assert rows.one(Message).media == ["https://example.edu/a"]


def save(house: House, name: str, url: str) -> str:
    with unit_of_work() as session:
        client = session.get_one(Client, house.client.id)
        return catalog.save_template(
            session, client, name, TemplateKind.SMS, "Hi", [url], "pat@example.edu"
        )[0].id


def send(house: House, url: str, looks: dict[str, Look]) -> None:
    with unit_of_work() as session:
        queue_text(
            session, session.get_one(Client, house.client.id),
            session.get_one(Sender, house.sender.id), "+13195550150",
            body="Hi", media=[url], looks=looks,
        )  # fmt: skip


def pass_retention(rows: Rows) -> None:
    """Let the days of retention go by for what has an end."""
    past = utcnow() - timedelta(days=1)
    ends = Media.__table__.c.expires_at
    rows.change(Media.__table__.update().where(ends.is_not(None)).values(expires_at=past))
    retention.run()
