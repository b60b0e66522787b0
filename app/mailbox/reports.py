"""What mail servers say of mails that did not arrive (RFC 3464, in RFC 6522's envelope)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message
from typing import cast

from app.mailbox import mail
from app.mailbox.mail import Mail

MAX_REASON = 400
_STATUS = re.compile(r"\b5\.\d{1,3}\.\d{1,3}\b")
_REPLY = re.compile(r"\b(?:5\d\d[ -]|#?5\.\d{1,3}\.\d{1,3}\b)")
_DAEMONS = ("mailer-daemon", "postmaster", "mail-daemon")
_MEANINGS = {
    "5.1.1": "There is no such mailbox.",
    "5.1.2": "There is no such mail domain.",
    "5.1.10": "This address takes no mail.",
    "5.2.1": "The mailbox is closed.",
    "5.2.2": "The mailbox is full.",
    "5.4.4": "The mail server of this address cannot be found.",
    "5.4.7": "It could not be delivered in time.",
    "5.7.1": "The mail server does not let us write there.",
}
"""RFC 3463 and IANA's registry of enhanced status codes: those that people meet."""


def failure(report: Mail) -> str | None:
    """Return why a mail came back, in one line; None where this does not say that it failed.

    What is only late, was handed on or arrived is no failure; neither is an automatic answer.
    """
    failed, found = False, False
    for fields in _recipients(report.message):
        found = True
        if mail.header(fields, "Action").lower() == "failed":
            failed = True
            if reason := _reason(fields):
                return reason
    if found:
        return "The mail server gives no reason." if failed else None
    return _by_words(report)


def _recipients(message: Message) -> Iterator[Message]:
    """Return the fields of each recipient; the first group is about the whole report."""
    for part in message.walk():
        if part.get_content_type() in ("message/delivery-status", "message/global-delivery-status"):
            groups = part.get_payload()
            if isinstance(groups, list):
                yield from (one for one in cast(list[Message], groups) if "Action" in one)


def _reason(fields: Message) -> str:
    status = _STATUS.search(mail.header(fields, "Status"))
    meaning = _MEANINGS.get(status[0], "") if status else ""
    kind, _, said = mail.header(fields, "Diagnostic-Code").partition(";")
    said = said.strip() or (kind if not said else "")
    return " ".join(filter(None, (meaning, said or (status[0] if status else ""))))[:MAX_REASON]


def _by_words(report: Mail) -> str | None:
    """Read what older programs write: the line that holds the code (RFC 3463, or SMTP's own)."""
    local = (report.author or "").partition("@")[0].lower()
    if local not in _DAEMONS:
        return None
    for part in mail.leaves(report.message):
        if part.get_content_maintype() == "text":
            for line in mail.text_of(part)[:20_000].split("\n"):
                if _REPLY.search(line):
                    return " ".join(line.split())[:MAX_REASON]
    return None
