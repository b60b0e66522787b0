"""Answers to a text: what Twilio is told, and Twilio's limits."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.twiml import messaging

STATUS = "https://d.example.edu/inbound/sms/status/01J?a=1&b=2"


def test_the_empty_answer() -> None:
    assert messaging.empty() == '<?xml version="1.0" encoding="UTF-8"?><Response />'


def test_a_reply_carries_text_media_and_where_to_report() -> None:
    root = ET.fromstring(
        messaging.reply("Fish & chips <5", ["https://x.test/a.png?b=1&c=2"], STATUS)
    )
    assert root.tag == "Response"
    (message,) = root
    assert message.tag == "Message"
    assert message.attrib == {"action": STATUS, "statusCallback": STATUS, "method": "POST"}
    assert [(child.tag, child.text) for child in message] == [
        ("Body", "Fish & chips <5"),
        ("Media", "https://x.test/a.png?b=1&c=2"),
    ]


def test_a_reply_without_reports() -> None:
    (message,) = ET.fromstring(messaging.reply("Hello"))
    assert message.attrib == {}


def test_media_alone() -> None:
    (message,) = ET.fromstring(messaging.reply("", ["https://x.test/a.png"]))
    assert [child.tag for child in message] == ["Media"]


@pytest.mark.parametrize("body", ["", "  \n", "\x07\x00"], ids=["empty", "blank", "only controls"])
def test_nothing_to_say_is_the_empty_document(body: str) -> None:
    assert messaging.reply(body) == messaging.empty()


@pytest.mark.parametrize(
    ("body", "fits"),
    [("a" * 1600, True), ("a" * 1601, False), ("😀" * 800, True), ("😀" * 801, False)],
)
def test_the_limit_is_1600_utf16_units(body: str, fits: bool) -> None:
    assert messaging.fits(body) is fits
    sent = ET.fromstring(messaging.reply(body)).findtext("Message/Body") or ""
    assert len(sent.encode("utf-16-le")) // 2 <= 1600
    assert (sent == body) is fits


def test_ten_media_and_no_more() -> None:
    ten = [f"https://x.test/{n}.png" for n in range(10)]
    assert len(ET.fromstring(messaging.reply("Hi", ten)).findall("Message/Media")) == 10
    with pytest.raises(ValueError, match="10 media files; 11 were given"):
        messaging.reply("Hi", [*ten, "https://x.test/11.png"])


def test_redirect() -> None:
    (verb,) = ET.fromstring(messaging.redirect("https://x.test/sms?a=1&b=2"))
    assert (verb.tag, verb.text, verb.attrib) == (
        "Redirect",
        "https://x.test/sms?a=1&b=2",
        {"method": "POST"},
    )


@given(st.text(st.characters()), st.lists(st.text(st.characters()), max_size=10))
def test_any_text_gives_a_document_that_parses(body: str, media: list[str]) -> None:
    assert ET.fromstring(messaging.reply(body, media)).tag == "Response"
