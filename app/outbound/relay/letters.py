"""What our mails say: pure, an event in, headers and text out.

The envelope's sender is MAIL_FROM, so that SPF and DMARC hold; bounces therefore go to that
mailbox, which no part of Dispatch reads, and cannot loop. ``Auto-Submitted`` (RFC 3834) keeps
out-of-office machines quiet.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import re
from collections.abc import Collection
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.domain import attributes
from app.models.delivery import EventType
from app.outbound.relay.letter import Letter

_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\\x00-\x1f\x7f]+@[^\s@<>,;:\"()\[\]\\\x00-\x1f\x7f]+")
_TYPE = re.compile(r"(image|audio|video|text|application)/([a-z0-9.+-]{1,60})")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
MAX_SUBJECT = 200


def is_address(text: str) -> bool:
    """Whether ``text`` is one plain e-mail address."""
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


def one_line(text: str) -> str:
    """Return ``text`` fit for a header: no line breaks or other control characters."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())[:MAX_SUBJECT]


def printable(text: str) -> str:
    """Return ``text`` fit for a body: lines as they are, without other control characters."""
    return _UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def address(mail: EmailMessage, letter: Letter, mail_from: str, domain: str) -> None:
    """Set the headers that do not depend on what is said; the same at every try."""
    mail["From"] = f"Dispatch <{mail_from}>"
    mail["To"] = letter.url
    mail["Date"] = format_datetime(letter.created_at)
    mail["Message-ID"] = f"<{letter.event_id}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    if letter.type == EventType.SMS_RECEIVED:
        data = json.loads(letter.body)["data"]
        conversation = f"{data['from']} {data['to']}".encode()
        # The same for all texts of one person to one number: mail programs show them together.
        mail["References"] = f"<{hashlib.sha256(conversation).hexdigest()[:32]}@{domain}>"


def attachment(content_type: str, number: int) -> tuple[str, str, str]:
    """Return main type, subtype and file name of the ``number``-th thing sent along."""
    known = _TYPE.fullmatch(content_type.partition(";")[0].strip().lower())
    maintype, subtype = known.groups() if known else ("application", "octet-stream")
    ending = mimetypes.guess_extension(f"{maintype}/{subtype}") or ".bin"
    return maintype, subtype, f"attachment-{number}{ending}"


def write(letter: Letter, base_url: str, attached: Collection[str] = ()) -> tuple[str, str]:
    """Return subject and text of the mail.

    :param base_url: where our pages are.
    :param attached: codes of the media that are attached; the others are linked.
    """
    data = json.loads(letter.body)["data"]
    if letter.type == EventType.NOTICE:
        return str(data["subject"]), str(data["text"])
    if letter.type == EventType.ENDPOINT_PING:
        return "Test mail from Dispatch", "This is a test: mails from Dispatch reach you."
    return _subject(data), _text(data, letter, base_url, attached)


def _subject(data: dict[str, Any]) -> str:
    name = (data.get("member") or {}).get("toName")
    who = f"{name} ({data['from']})" if name else data["from"]
    mark = f"[{data['optOut']}] " if data.get("optOut") else ""
    return f"{mark}Text from {who} to {data['to']}"


def _text(data: dict[str, Any], letter: Letter, base_url: str, attached: Collection[str]) -> str:
    name = (data.get("member") or {}).get("toName")
    client = letter.context.get("client", "")
    parts = [
        f"From: {one_line(str(name)) + ', ' if name else ''}{data['from']}\n"
        f"To:   {data['to']}{f' ({client})' if client else ''}\n"
        f"At:   {_local(data['receivedAt'], letter.context.get('timeZone'))}",
        _indented(data["body"]) if data["body"] else "(no words)",
        _opt_out(data.get("optOut")),
        _media(letter, base_url, attached),
        _last(letter, data),
        _member(data.get("member")),
        f"The conversation: {base_url}/staff/inbox/{data['id']}",
        "An answer to this mail does not reach that person.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _opt_out(word: str | None) -> str:
    return {
        "STOP": "This person has opted out with this text. No more texts may be sent to this"
        " phone until START comes from there.",
        "START": "With this text the person wants to be texted again.",
        "HELP": "This is a request for help; an automatic answer has been given.",
    }.get(word or "", "")


def _media(letter: Letter, base_url: str, attached: Collection[str]) -> str:
    lines = [
        f"  {number}. {media.content_type}: "
        + ("attached" if media.code in attached else f"{base_url}/media/{media.code}")
        for number, media in enumerate(letter.media, 1)
    ]
    return "\n".join(["Sent along:", *lines]) if lines else ""


def _last(letter: Letter, data: dict[str, Any]) -> str:
    last, body = data.get("lastMessage"), letter.context.get("lastBody")
    if not last:
        return "Nothing has been sent to this phone before."
    when = _local(last["sentAt"], letter.context.get("timeZone"))
    return f"Our last text to this phone, {when}:" + (f"\n\n{_indented(body)}" if body else "")


def _member(member: dict[str, Any] | None) -> str:
    if not member:
        return ""
    lines = [
        f"  {name}: {' '.join(_UNPRINTABLE.sub(' ', attributes.text(value)).split())}"
        for name, value in member.items()
    ]
    return "\n".join(["What we know about the person:", *lines])


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in printable(text).split("\n"))


def _local(instant: str, zone: str | None) -> str:
    at = datetime.fromisoformat(instant)
    return f"{at.astimezone(ZoneInfo(zone or 'UTC')):%Y-%m-%d %H:%M %Z}"
