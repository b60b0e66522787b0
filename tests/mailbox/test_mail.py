"""A mail is read whatever its bytes are, and machines are told from people."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.mailbox import mail
from tests.support import cost

MACHINES = {  # RFC 3834; RFC 2076; what mail programs and lists do besides
    "out of office": "Auto-Submitted: auto-replied (vacation)",
    "generated": "Auto-Submitted: AUTO-GENERATED",
    "an old one": "Precedence: bulk",
    "junk": "Precedence: junk",
    "a list": "List-Id: <staff.example.edu>",
    "by its own header": "X-Autoreply: yes",
    "another": "X-Autorespond: yes",
    "no return path": "Return-Path: <>",
    "a report": "Content-Type: multipart/report; report-type=delivery-status; boundary=x",
    "a mail server": "From: MAILER-DAEMON@example.edu",
}
PEOPLE = {
    "nothing": "Subject: Re: Text",
    "said to be a person": "Auto-Submitted: no",
    "a return path": "Return-Path: <pat@example.edu>",
    "urgent": "Precedence: first-class",
}


def read(*lines: str, sender: str | None = None) -> mail.Mail:
    head = lines if any(line.startswith("From:") for line in lines) else ("From: p@e.edu", *lines)
    return mail.read("\r\n".join([*head, "", "Yes"]).encode(), sender)


@pytest.mark.parametrize("line", MACHINES.values(), ids=MACHINES)
def test_machines(line: str) -> None:
    assert read(line).is_from_a_machine


@pytest.mark.parametrize("line", PEOPLE.values(), ids=PEOPLE)
def test_people(line: str) -> None:
    assert not read(line).is_from_a_machine


def test_the_envelope_tells_more_than_the_header() -> None:
    assert read("Return-Path: <pat@example.edu>", sender="").is_from_a_machine
    assert not read("Return-Path: <>", sender="pat@example.edu").is_from_a_machine


@pytest.mark.parametrize(
    ("line", "author"),
    [
        ("From: Pat <pat@example.edu>", "pat@example.edu"),
        ("From: =?utf-8?b?UMOkdA==?= <pat@example.edu>", "pat@example.edu"),
        ("From: pat@example.edu, sam@example.edu", None),
        ("From: pat@example.edu, Pat <pat@example.edu>", "pat@example.edu"),
        ("From: nobody", None),
        ("From: ", None),
    ],
)
def test_it_is_from_one_address_or_from_none(line: str, author: str | None) -> None:
    assert read(line).author == author


@given(st.binary(max_size=500))
def test_any_bytes_are_a_mail(content: bytes) -> None:
    for whole in (
        content,
        b"From: " + content,
        b"Content-Type: multipart/x; boundary=a\n" + content,
    ):
        found = mail.read(whole)
        assert isinstance(found.is_from_a_machine, bool)
        mail.recipients(found.message)
        for part in mail.leaves(found.message):
            mail.text_of(part)
            mail.filename_of(part)


def _nested(kind: str, depth: int) -> bytes:
    heads = (f"Content-Type: {kind}; boundary=b{n}\n\n--b{n}\n" for n in range(depth))
    return "".join(heads).encode() + b"Content-Type: text/plain\n\nYes\n"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(lambda: _nested("multipart/mixed", 5_000), id="parts in parts"),
        pytest.param(lambda: _nested("multipart/mixed", 900), id="parts in parts, fewer"),
        pytest.param(lambda: _nested("multipart/digest", 5_000), id="digests in digests"),
        pytest.param(lambda: b"Content-Type: message/rfc822\n\n" * 5_000, id="mails in mails"),
        pytest.param(
            lambda: b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 300_000,
            id="many parts",
        ),
        pytest.param(lambda: b"X: y\n" * 20_000 + b"\nYes", id="many headers"),
    ],
)
def test_no_mail_is_too_deep_or_too_wide(body: Callable[[], bytes]) -> None:
    content = b"From: pat@example.edu\nMessage-ID: <a@example.edu>\n" + body()

    def take() -> None:
        found = mail.read(content)
        assert (found.author, found.id) == ("pat@example.edu", "<a@example.edu>")
        assert len(list(mail.leaves(found.message))) <= mail.MAX_PARTS

    assert cost.seconds(take, 3) < 3
