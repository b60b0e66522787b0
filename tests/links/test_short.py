"""Short links: they lead where the text said, and count people and previews apart."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app.models.link import Click, Link
from tests.support.house import furnish, text
from tests.support.rows import Rows

CODE = "aB3dE6gH9k"
URL = "https://example.edu/a%2Fb/?q=%C3%A9&x=1;2#part"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like"
    " Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
CHROME = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/125.0.0.0 Mobile Safari/537.36"
)


@pytest.fixture
def link(rows: Rows) -> Link:
    house = furnish(rows)
    message = text(house)
    rows.add(message)
    link = Link(code=CODE, client_id=house.client.id, message_id=message.id, url=URL)
    rows.add(link)
    return link


def test_it_leads_exactly_to_what_was_written(client: FlaskClient, link: Link) -> None:
    answer = client.get(f"/l/{CODE}", headers={"User-Agent": SAFARI})
    assert answer.status_code == 302
    assert answer.headers["Location"] == URL
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "behind",
    ["。次の文", "谢谢", "をご覧", "👈", "—antes", "1\ufe0f\u20e3", "/", ")", "(unclosed", "'s"],
)
def test_what_a_phone_takes_for_a_part_of_the_link_does_not_spoil_it(
    behind: str, client: FlaskClient, link: Link
) -> None:
    assert client.get(f"/l/{CODE}{behind}").headers["Location"] == URL


@pytest.mark.parametrize("suffix", ["?url=https://evil.example", "?next=//evil.example"])
def test_nothing_that_is_added_leads_elsewhere(
    suffix: str, client: FlaskClient, link: Link
) -> None:
    assert client.get(f"/l/{CODE}{suffix}").headers["Location"] == URL


@pytest.mark.parametrize("code", ["aB3dE6gH9K", "x", "aB3dE6gH9k0", "..%2Fetc", "aB3dE6gH9%00"])
def test_an_unknown_code_leads_nowhere(
    code: str, client: FlaskClient, rows: Rows, link: Link
) -> None:
    answer = client.get(f"/l/{code}")
    assert answer.status_code == 404
    assert "Location" not in answer.headers
    assert rows.count(Click) == 0


def test_people_read_a_sentence_where_a_link_leads_nowhere(client: FlaskClient) -> None:
    answer = client.get("/l/0123456789")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "There is no such link, or it has expired." in answer.text


def test_whoever_guesses_is_slowed_down(client: FlaskClient, link: Link) -> None:
    answers = [client.get(f"/l/guess{number:05}").status_code for number in range(61)]
    assert answers == [404] * 60 + [429]
    assert client.get(f"/l/{CODE}").status_code == 302


@pytest.mark.parametrize("agent", [SAFARI, CHROME], ids=["iPhone", "Android"])
def test_people_are_counted(agent: str, client: FlaskClient, rows: Rows, link: Link) -> None:
    client.get(f"/l/{CODE}", headers={"User-Agent": agent})
    assert not rows.one(Click).is_preview


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {"User-Agent": SAFARI}),
        ("GET", {"User-Agent": ""}),
        # The link preview of Apple's Messages.
        ("GET", {"User-Agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4"
                 " (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot"
                 " Twitterbot/1.0"}),
        ("GET", {"User-Agent": "WhatsApp/2.23.20.0"}),
        ("GET", {"User-Agent": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"}),
        ("GET", {"User-Agent": "TelegramBot (like TwitterBot)"}),
        ("GET", {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}),
        ("GET", {"User-Agent": "curl/8.5.0"}),
        ("GET", {"User-Agent": CHROME, "Purpose": "prefetch"}),
        ("GET", {"User-Agent": CHROME, "Sec-Purpose": "prefetch;prerender"}),
        ("GET", {"User-Agent": SAFARI, "X-Purpose": "preview"}),
    ],
    ids=["HEAD", "no agent", "iMessage", "WhatsApp", "Slack", "Telegram", "Googlebot", "curl",
         "prefetch", "prerender", "Safari preview"],
)  # fmt: skip
def test_previews_and_robots_are_counted_apart(
    method: str, headers: dict[str, str], client: FlaskClient, rows: Rows, link: Link
) -> None:
    answer = client.open(f"/l/{CODE}", method=method, headers=headers)
    assert (answer.status_code, answer.headers["Location"]) == (302, URL)
    assert rows.one(Click).is_preview
