"""A mail as plain data: pure, any bytes in; nothing that anybody can send makes it raise."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import getaddresses
from typing import Any, cast

MAX_HEADER = 2000
MAX_PARTS = 1_000
"""Lines that may begin a part."""
_BULK = ("bulk", "junk", "list")
_MACHINES = ("mailer-daemon", "postmaster", "mail-daemon", "no-reply", "noreply")
_MACHINES_SAY = (
    "x-autoreply", "x-autorespond", "x-auto-reply", "x-loop", "x-failed-recipients", "list-id",
)  # fmt: skip
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,250}>")


@dataclass(frozen=True)
class Mail:
    """What is asked of a mail. Addresses are as written, ids with their angle brackets."""

    message: EmailMessage
    author: str | None
    """The address that it is from, where it is from exactly one."""
    id: str | None
    has_return_path: bool
    """False for what must never be answered: a report, or an automatic answer (RFC 5321, 4.5.5)."""

    @property
    def is_from_a_machine(self) -> bool:
        """Whether no person wrote it just now (RFC 3834, and what older programs do)."""
        submitted = header(self.message, "Auto-Submitted").partition(";")[0].strip().lower()
        return (
            not self.has_return_path
            or submitted not in ("", "no")
            or header(self.message, "Precedence").strip().lower() in _BULK
            or any(name in self.message for name in _MACHINES_SAY)
            or self.message.get_content_type() == "multipart/report"
            or (self.author or "").partition("@")[0].lower() in _MACHINES
        )


def read(content: bytes, sender: str | None = None) -> Mail:
    """Read a mail.

    :param sender: the envelope's; None where there is no envelope any more, so that only the
        header ``Return-Path`` tells.
    """
    message = _parsed(content)
    if sender is None:
        path = header(message, "Return-Path").strip() if "Return-Path" in message else "unknown"
    else:
        path = sender.strip()
    authors = {address for _, address in _addresses(header(message, "From")) if "@" in address}
    found = _MESSAGE_ID.search(header(message, "Message-ID"))
    return Mail(
        message=message,
        author=next(iter(authors)) if len(authors) == 1 else None,
        id=found[0] if found else None,
        has_return_path=path not in ("", "<>"),
    )


def _parsed(content: bytes) -> EmailMessage:
    """Return a mail; without its parts where nobody would put so many, or so deep, into one.

    The parser goes down into each part by calling itself, and takes 50 µs for the smallest.
    """
    # The older policy: the newer one raises over many a header that people do send.
    kind: dict[str, Any] = {"_class": EmailMessage, "policy": compat32}
    head = BytesHeaderParser(**kind).parsebytes(content)
    if head.get_content_maintype() in ("multipart", "message"):
        if content.count(b"\n--") <= MAX_PARTS:
            with contextlib.suppress(RecursionError):
                return cast(EmailMessage, message_from_bytes(content, **kind))
        head.set_payload("")
    return cast(EmailMessage, head)


def header(message: Message, name: str) -> str:
    """Return a header as one line of text, whatever stands in it; empty where there is none."""
    raw = str(message.get(name) or "")[:MAX_HEADER]
    try:
        text = str(make_header(decode_header(raw)))
    except (MessageError, LookupError, ValueError):
        text = raw
    return " ".join(text.split())


def recipients(message: Message) -> list[str]:
    """Return every address that it may have been handed over for, where the envelope is gone."""
    found = []
    for name in ("Delivered-To", "X-Original-To", "Envelope-To", "To", "Cc"):
        for value in message.get_all(name) or ():
            found += [address for _, address in _addresses(str(value)[:MAX_HEADER]) if address]
    return list(dict.fromkeys(found))


def content_of(part: Message) -> bytes:
    """Return the bytes of a part that holds no others."""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def filename_of(part: Message) -> str:
    """Return the name of a part as a file; empty where it has none that can be read."""
    try:
        return str(part.get_filename("") or "")[:200]
    except (LookupError, ValueError):
        return ""


def text_of(part: Message) -> str:
    """Return the text of a part; what its charset does not know is marked as unknown."""
    content = content_of(part)
    try:
        text = content.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):
        text = content.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def leaves(message: Message) -> Iterator[Message]:
    """Return the parts that hold no others, without those of a mail inside this one."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        if part.is_multipart() and part.get_content_maintype() != "message":
            waiting += reversed(cast(list[Message], part.get_payload()))
        elif not part.is_multipart():
            yield part


def _addresses(text: str) -> list[tuple[str, str]]:
    try:
        return getaddresses([text])
    except (ValueError, IndexError):
        return []
