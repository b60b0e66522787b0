"""What mails say, and that nobody can write into their headers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.outbound.relay import letters
from app.outbound.relay.letter import Letter, MediaFile

BASE = "https://dispatch.example.edu"
DATA: dict[str, Any] = {
    "id": "01INCOMING", "client": "registrar", "messageSid": "SM1", "from": "+13195550150",
    "to": "+13195550100", "body": "I can't come.\nSorry!", "media": [], "numSegments": 1,
    "receivedAt": "2026-11-21T23:30:00.000Z", "optOut": None,
    "member": {"toName": "Ada Lovelace", "course": "B12"},
    "lastMessage": {"id": "M1", "sid": "SM0", "communication": None, "batch": None,
                    "sentAt": "2026-11-20T15:00:00.000Z"},
}  # fmt: skip


def letter(data: dict[str, Any] | None = None, type: str = "sms.received", **more: Any) -> Letter:
    body = json.dumps({"type": type, "timestamp": "x", "data": DATA if data is None else data})
    context = {"client": "registrar", "timeZone": "America/Chicago", "lastBody": "Hi Ada,\nclass."}
    return Letter(
        event_id="msg_01EVENT", type=type, body=body, context=context,
        created_at=datetime(2026, 11, 21, 23, 30, 1, tzinfo=UTC), url="help@example.edu", **more,
    )  # fmt: skip


def test_a_help_desk_finds_everything_in_it() -> None:
    photo = MediaFile("CODE1", "https://api.twilio.com/ME1", "image/jpeg")
    film = MediaFile("CODE2", "https://api.twilio.com/ME2", "video/mp4")
    subject, text = letters.write(letter(media=(photo, film)), BASE, {"CODE1"})
    assert subject == "Text from Ada Lovelace (+13195550150) to +13195550100"
    assert text == (
        "From: Ada Lovelace, +13195550150\n"
        "To:   +13195550100 (registrar)\n"
        "At:   2026-11-21 17:30 CST\n"
        "\n"
        "    I can't come.\n"
        "    Sorry!\n"
        "\n"
        "Sent along:\n"
        "  1. image/jpeg: attached\n"
        "  2. video/mp4: https://dispatch.example.edu/media/CODE2\n"
        "\n"
        "Our last text to this phone, 2026-11-20 09:00 CST:\n"
        "\n"
        "    Hi Ada,\n"
        "    class.\n"
        "\n"
        "What we know about the person:\n"
        "  toName: Ada Lovelace\n"
        "  course: B12\n"
        "\n"
        "The conversation: https://dispatch.example.edu/staff/inbox/01INCOMING\n"
        "\n"
        "An answer to this mail does not reach that person.\n"
    )


def test_of_a_stranger_it_says_so() -> None:
    _, text = letters.write(letter({**DATA, "member": None, "lastMessage": None, "body": ""}), BASE)
    assert "Nothing has been sent to this phone before." in text
    assert "(no words)" in text
    assert "What we know" not in text


@pytest.mark.parametrize(
    ("word", "says"),
    [("STOP", "has opted out"), ("START", "wants to be texted again"), ("HELP", "for help")],
)
def test_an_opt_out_is_marked(word: str, says: str) -> None:
    subject, text = letters.write(letter({**DATA, "optOut": word}), BASE)
    assert subject.startswith(f"[{word}] Text from ")
    assert says in text


def test_a_notice_says_what_it_was_told_to() -> None:
    notice = letter({"subject": "80 % used", "text": "Dear owner"}, type="dispatch.notice")
    assert letters.write(notice, BASE) == ("80 % used", "Dear owner")


def headers_of(one: Letter) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    letters.address(mail, one, "dispatch@example.edu", "example.edu")
    return mail


def test_the_headers_are_the_same_at_every_try_and_keep_machines_quiet() -> None:
    first, second = headers_of(letter()), headers_of(letter())
    assert dict(first.items()) == dict(second.items())
    assert first["Message-ID"] == "<msg_01EVENT@example.edu>"
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["Date"] == "Sat, 21 Nov 2026 23:30:01 +0000"
    assert first["Reply-To"] is None


def test_texts_of_one_person_to_one_number_are_one_conversation() -> None:
    mine, more, theirs = (
        headers_of(letter(data))["References"]
        for data in (DATA, {**DATA, "id": "other"}, {**DATA, "from": "+13195550151"})
    )
    assert mine == more != theirs


@given(name=st.text(), body=st.text(), value=st.text())
def test_nobody_writes_into_the_headers(name: str, body: str, value: str) -> None:
    member = {"toName": name + "\r\nBcc: thief@example.com\r\n\r\n", "note": value}
    one = letter({**DATA, "body": body, "member": member})
    mail = headers_of(one)
    subject, text = letters.write(one, BASE)
    mail["Subject"] = letters.one_line(subject)
    mail.set_content(letters.printable(text))
    raw = mail.as_bytes()
    head = raw.partition(b"\r\n\r\n")[0]
    assert b"\nBcc:" not in head
    assert mail.keys().count("Subject") == 1


@pytest.mark.parametrize(
    "address",
    [
        "help@example.edu",
        "a.b+c@sub.example.edu",
        "o'brien@example.edu",
        "grüße@example.edu",
        "a@bücher.example",
    ],
)
def test_addresses(address: str) -> None:
    assert letters.is_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "", "help", "help@", "@example.edu", "a@b@c", "a b@example.edu", "a@example.edu,b@c.edu",
        "Desk <a@example.edu>", "a@example.edu\r\nBcc: x@y", "a@[127.0.0.1]", '"a b"@example.edu',
        "a" * 250 + "@e.edu", "a@ü..example", "a@-ü-.example",
    ],
)  # fmt: skip
def test_what_is_no_single_address(address: str) -> None:
    assert not letters.is_address(address)


@pytest.mark.parametrize(
    ("content_type", "attachment"),
    [
        ("image/jpeg", ("image", "jpeg", "attachment-1.jpg")),
        ("IMAGE/PNG; name=x", ("image", "png", "attachment-1.png")),
        ("text/vcard", ("text", "vcard", "attachment-1.vcf")),
        ("message/rfc822", ("application", "octet-stream", "attachment-1.bin")),
        ("multipart/mixed", ("application", "octet-stream", "attachment-1.bin")),
        ('image/x"\r\nBcc: y', ("application", "octet-stream", "attachment-1.bin")),
        ("nonsense", ("application", "octet-stream", "attachment-1.bin")),
    ],
)
def test_attachments_have_a_safe_type_and_name(
    content_type: str, attachment: tuple[str, str, str]
) -> None:
    assert letters.attachment(content_type, 1) == attachment


@pytest.mark.parametrize(
    ("content_type", "content", "attachment"),
    [
        ("audio/amr", b"", ("audio", "amr", "attachment-2.amr")),
        ("text/x-vCard; charset=utf-8", b"", ("text", "vcard", "attachment-2.vcf")),
        ("application/octet-stream", b"BEGIN:VCARD", ("text", "vcard", "attachment-2.vcf")),
        ("image/jpeg", b"\0\0\0\x14ftypheic", ("image", "heic", "attachment-2.heic")),
        ("audio/mpeg", b"\xff\xfeH\0i\0", ("text", "plain", "attachment-2.txt")),
    ],
)
def test_attachments_are_called_what_they_are(
    content_type: str, content: bytes, attachment: tuple[str, str, str]
) -> None:
    assert letters.attachment(content_type, 2, content) == attachment


def test_a_name_cannot_pretend_to_be_another_line_of_the_mail() -> None:
    member = {"toName": "Ada\nTo:   +13195550199"}
    _, text = letters.write(letter({**DATA, "member": member}), BASE)
    assert text.startswith("From: Ada To: +13195550199, +13195550150\nTo:   +13195550100 ")
