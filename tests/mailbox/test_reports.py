"""What mail servers say of mails that did not arrive: reports as the servers named write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.mailbox import mail, reports


def dsn(fields: str, about: str = "Reporting-MTA: dns; mx.example.edu", sender: str = "") -> bytes:
    """Return a report in RFC 6522's envelope, with these fields for its only recipient."""
    return f"""Return-Path: <{sender}>
From: Mail Delivery System <MAILER-DAEMON@mx.example.edu>
To: dispatch+b@example.edu
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="XX"

--XX
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--XX
Content-Type: message/delivery-status

{about}

{fields}

--XX
Content-Type: text/rfc822-headers

From: Dispatch <dispatch@example.edu>
Subject: Text from Ada

--XX--
""".replace("\n", "\r\n").encode()


def words(author: str, text: str, *more: str) -> bytes:
    head = [f"From: {author}", "To: dispatch+b@example.edu", *more, "Content-Type: text/plain"]
    return ("\r\n".join([*head, "", text])).encode()


RECIPIENT = "Final-Recipient: rfc822; help@example.edu"
FAILURES = {
    "Postfix": (
        dsn(f"{RECIPIENT}\nOriginal-Recipient: rfc822;help@example.edu\nAction: failed\nStatus:"
            " 5.1.1\nRemote-MTA: dns; mx.example.edu\nDiagnostic-Code: smtp; 550 5.1.1"
            " <help@example.edu>: Recipient address rejected: User unknown"),
        "There is no such mailbox. 550 5.1.1 <help@example.edu>: Recipient address rejected: User"
        " unknown",
    ),
    "Exchange": (
        dsn(f"{RECIPIENT}\nAction: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp;554 5.2.2 mailbox"
            " full;\n STOREDRV.Deliver.Exception:QuotaExceededException"),
        "The mailbox is full. 554 5.2.2 mailbox full;"
        " STOREDRV.Deliver.Exception:QuotaExceededException",
    ),
    "RFC 3464, appendix E.1": (
        dsn("Original-Recipient: rfc822;louisl@larry.slip.umd.edu\nFinal-Recipient:"
            " rfc822;louisl@larry.slip.umd.edu\nAction: failed\nStatus: 4.0.0\nDiagnostic-Code:"
            " smtp; 426 connection timed out\nLast-Attempt-Date: Thu, 7 Jul 1994 17:15:49 -0400",
            "Reporting-MTA: dns; cs.utk.edu"),
        "426 connection timed out",
    ),
    "without a diagnosis": (dsn(f"{RECIPIENT}\nAction: failed\nStatus: 5.1.10"),
                            "This address takes no mail. 5.1.10"),
    "without any reason": (dsn(f"{RECIPIENT}\nAction: failed"), "The mail server gives no reason."),
    "in capitals": (dsn(f"{RECIPIENT}\nAction: FAILED\nStatus: 5.4.4 (no route)"),
                    "The mail server of this address cannot be found. 5.4.4"),
    "the second of two": (
        dsn(f"{RECIPIENT}\nAction: delayed\nStatus: 4.4.1\n\n{RECIPIENT}\nAction: failed\nStatus:"
            " 5.7.1"),
        "The mail server does not let us write there. 5.7.1",
    ),
    "qmail": (
        words("MAILER-DAEMON@mx.example.edu", "Hi. This is the qmail-send program.\r\n\r\n"
              "<help@example.edu>:\r\nSorry, no mailbox here by that name. (#5.1.1)\r\n"),
        "Sorry, no mailbox here by that name. (#5.1.1)",
    ),
    "an old server in words": (
        words("Mail Delivery Subsystem <postmaster@mx.example.edu>", "550 No such user\r\n",
              "Return-Path: <>"),
        "550 No such user",
    ),
}  # fmt: skip
OTHERS = {
    "late": dsn(f"{RECIPIENT}\nAction: delayed\nStatus: 4.4.1\nWill-Retry-Until: tomorrow"),
    "arrived": dsn(f"{RECIPIENT}\nAction: delivered\nStatus: 2.0.0"),
    "handed on": dsn(f"{RECIPIENT}\nAction: relayed\nStatus: 2.0.0"),
    "a list": dsn(f"{RECIPIENT}\nAction: expanded\nStatus: 2.0.0"),
    "out of office": words("Pat <pat@example.edu>", "I am back on 5.1.2027, room 550 A",
                           "Auto-Submitted: auto-replied (vacation)", "Return-Path: <>"),
    "a person": words("Pat <pat@example.edu>", "550 is my room", "Return-Path: <pat@example.edu>"),
    "a server that says nothing of it": words("postmaster@example.edu", "Thank you for your mail."),
    "a receipt": dsn("", "Reporting-UA: phone").replace(b"delivery-status", b"disposition-notif"),
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize(("content", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_failure_gives_its_reason(content: bytes, reason: str) -> None:
    assert reports.failure(mail.read(content)) == reason


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_what_is_none_is_none(content: bytes) -> None:
    assert reports.failure(mail.read(content)) is None


@given(st.binary(max_size=400))
def test_no_bytes_make_it_raise(content: bytes) -> None:
    for whole in (content, dsn("X").replace(b"X\r\n", content + b"\r\n")):
        found = reports.failure(mail.read(whole))
        assert found is None or found
