"""What our mails say: pure, an event in, headers and text out.

They are from MAIL_FROM, which is not read, so nothing can loop. ``Auto-Submitted`` (RFC 3834) keeps
out-of-office machines quiet. Where mails to us are read (``MAIL_IN_URL``), a forwarded text can be
answered: by the address in ``Reply-To``, above the line with which the mail begins.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.domain import attributes, mail_tags
from app.domain.content import file_types
from app.domain.mail_addresses import is_address as is_address
from app.domain.mail_addresses import on_the_wire
from app.domain.mail_tags import ANSWER_ABOVE
from app.models.delivery import EventType
from app.outbound.relay.letter import Letter

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_ANSWER_THERE = "An answer to this mail does not reach that person."
_ANSWER_HERE = (
    "Your answer to this mail goes to that person as a text: what you write above all this, without"
    " your signature, and pictures that you attach. It costs what a text costs. This works for"
    f" {mail_tags.REPLY_LASTS.days} days, for you and for those who work for this client."
)
MAX_SUBJECT = 200
_VOICEMAIL = (EventType.VOICEMAIL_RECEIVED, EventType.VOICEMAIL_TRANSCRIBED)


def one_line(text: str) -> str:
    """Return ``text`` fit for a header: no line breaks or other control characters."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())[:MAX_SUBJECT]


def printable(text: str) -> str:
    """Return ``text`` fit for a body: lines as they are, without other control characters."""
    return _UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def address(
    mail: EmailMessage, letter: Letter, mail_from: str, domain: str, reply_to: str | None = None
) -> None:
    """Set the headers that do not depend on what is said; the same at every try.

    :param reply_to: where answers reach the person whose text this is; None where nobody reads.
    """
    mail["From"] = f"Dispatch <{mail_from}>"
    mail["To"] = on_the_wire(letter.url)
    mail["Date"] = format_datetime(letter.created_at)
    mail["Message-ID"] = f"<{letter.event_id}@{domain}>"
    answers = letter.context.get("answers")
    mail["Auto-Submitted"] = "auto-replied" if answers else "auto-generated"
    if answers:
        mail["In-Reply-To"] = mail["References"] = answers
    if reply_to:
        mail["Reply-To"] = reply_to
    mail["X-Auto-Response-Suppress"] = "All"
    if letter.type in (EventType.SMS_RECEIVED, *_VOICEMAIL):
        data = json.loads(letter.body)["data"]
        conversation = f"{data['from']} {data['to']}".encode()
        # The same for all that one person says to one number: mail programs show them together.
        mail["References"] = f"<{hashlib.sha256(conversation).hexdigest()[:32]}@{domain}>"


def attachment(content_type: str, number: int, content: bytes = b"") -> tuple[str, str, str]:
    """Return main type, subtype and file name of the ``number``-th thing sent along.

    :param content_type: what it was declared to be; ``content`` decides.
    """
    found = file_types.identify(content, content_type)
    maintype, _, subtype = found.partition("/")
    return maintype, subtype, f"attachment-{number}.{file_types.extension(found)}"


def write(
    letter: Letter, base_url: str, attached: Collection[str] = (), *, answerable: bool = False
) -> tuple[str, str]:
    """Return subject and text of the mail.

    :param base_url: where our pages are.
    :param attached: codes of the media that are attached; the others are linked.
    :param answerable: whether an answer to the mail reaches the person.
    """
    data = json.loads(letter.body)["data"]
    if letter.type == EventType.NOTICE:
        return str(data["subject"]), str(data["text"])
    if letter.type == EventType.ENDPOINT_PING:
        return "Test mail from Dispatch", "This is a test: mails from Dispatch reach you."
    if letter.type in _VOICEMAIL:
        text = _voice_text(data, letter, base_url, attached)
        return _voice_subject(data, letter), f"{text}\n\n{_ANSWER_THERE}\n"
    text = _text(data, letter, base_url, attached)
    if not answerable:
        return _subject(data), f"{text}\n\n{_ANSWER_THERE}\n"
    return _subject(data), f"{ANSWER_ABOVE}\n\n{text}\n\n{_ANSWER_HERE}\n"


def _who(data: dict[str, Any]) -> str:
    name = (data.get("member") or {}).get("toName")
    return f"{name} ({data['from']})" if name else str(data["from"] or "an unknown caller")


def _subject(data: dict[str, Any]) -> str:
    mark = f"[{data['optOut']}] " if data.get("optOut") else ""
    return f"{mark}Text from {_who(data)} to {data['to']}"


def _voice_subject(data: dict[str, Any], letter: Letter) -> str:
    words = letter.type == EventType.VOICEMAIL_TRANSCRIBED
    what = "What was said: voice message" if words else "Voice message"
    return f"{what} from {_who(data)} to {data['to']}"


def _voice_text(
    data: dict[str, Any], letter: Letter, base_url: str, attached: Collection[str]
) -> str:
    """Say who spoke and what was said; the sound is attached, or there is a link to it."""
    said, seconds = letter.context.get("text"), data["durationSeconds"]
    keys = ", ".join(map(str, data["path"]))
    parts = [
        _head(data, letter)
        + (f"\nLong: {seconds} s" if seconds is not None else "")
        + (f"\nKeys: {keys}" if keys else ""),
        f"What was said, as a machine understood it:\n\n{_indented(said)}" if said else "",
        letter.context.get("error")
        and f"The sound could not be had from Twilio: {letter.context['error']}",
        _media(letter, base_url, attached),
        _member(data.get("member")),
        f"The call: {base_url}/staff/inbox/{letter.context['incoming']}",
    ]
    return "\n\n".join(part for part in parts if part)


def _head(data: dict[str, Any], letter: Letter) -> str:
    name = (data.get("member") or {}).get("toName")
    client = letter.context.get("client", "")
    return (
        f"From: {one_line(str(name)) + ', ' if name else ''}{data['from'] or 'an unknown caller'}\n"
        f"To:   {data['to']}{f' ({client})' if client else ''}\n"
        f"At:   {_local(data['receivedAt'], letter.context.get('timeZone'))}"
    )


def _text(data: dict[str, Any], letter: Letter, base_url: str, attached: Collection[str]) -> str:
    parts = [
        _head(data, letter),
        _indented(data["body"]) if data["body"] else "(no words)",
        _opt_out(data.get("optOut")),
        _media(letter, base_url, attached),
        _last(letter, data),
        _member(data.get("member")),
        f"The conversation: {base_url}/staff/inbox/{data['id']}",
    ]
    return "\n\n".join(part for part in parts if part)


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
