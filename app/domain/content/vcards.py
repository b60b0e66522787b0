"""vCards: a contact that people can save with one touch, as phones read it from a text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.domain.mistakes import Mistake, Refused
from app.domain.phones import InvalidPhone, normalize

MAX_FIELD = 200
_LINE = 75
"""Bytes of a line before it is folded (RFC 2426, 2.6)."""


@dataclass(frozen=True)
class Contact:
    """What a card says; a name, and a phone or an address."""

    name: str
    phone: str = ""
    email: str = ""
    organization: str = ""
    url: str = ""


def write(contact: Contact) -> bytes:
    """Return the contact as a vCard 3.0, which every phone reads.

    :raises Refused: with every mistake.
    """
    wrong = list(_mistakes(contact))
    phone = contact.phone.strip()
    if phone:
        try:
            phone = normalize(phone)
        except InvalidPhone as error:
            wrong.append(Mistake(("phone",), error.reason))
    if wrong:
        raise Refused(wrong)
    lines = ["BEGIN:VCARD", "VERSION:3.0"]
    lines += [f"N:;{_escape(contact.name)};;;", f"FN:{_escape(contact.name)}"]
    if contact.organization.strip():
        lines.append(f"ORG:{_escape(contact.organization)}")
    if phone:
        lines.append(f"TEL;TYPE=WORK,VOICE:{phone}")
    if contact.email.strip():
        lines.append(f"EMAIL;TYPE=INTERNET:{_escape(contact.email)}")
    if contact.url.strip():
        lines.append(f"URL:{contact.url.strip()}")
    return "".join(f"{_fold(line)}\r\n" for line in [*lines, "END:VCARD"]).encode()


def _mistakes(contact: Contact) -> list[Mistake]:
    wrong = []
    if not contact.name.strip():
        wrong.append(Mistake(("name",), "A contact card needs a name."))
    if not contact.phone.strip() and not contact.email.strip():
        wrong.append(Mistake(("phone",), "A contact card needs a phone or an e-mail address."))
    if contact.email.strip() and not re.fullmatch(r"[^@\s]+@[^@\s]+", contact.email.strip()):
        wrong.append(Mistake(("email",), f"“{contact.email[:100]}” is not an e-mail address."))
    if contact.url.strip() and not re.fullmatch(r"https?://\S+", contact.url.strip()):
        wrong.append(Mistake(("url",), f"“{contact.url[:100]}” is not a web address."))
    for field, value in vars(contact).items():
        if len(value) > MAX_FIELD:
            wrong.append(Mistake((field,), f"At most {MAX_FIELD} characters fit here."))
    return wrong


def _escape(text: str) -> str:
    """Quote what has a meaning in a vCard; control characters go."""
    one_line = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", re.sub(r"\r\n?", "\n", text.strip()))
    return re.sub(r"([\\;,])", r"\\\1", one_line).replace("\n", "\\n")


def _fold(line: str) -> str:
    """Break a long line as the standard says, between characters, never within one."""
    parts: list[str] = []
    rest, room = line, _LINE
    while len(rest.encode()) > room:
        end = room
        while len(rest[:end].encode()) > room:
            end -= 1
        parts.append(rest[:end])
        rest, room = rest[end:], _LINE - 1
    return "\r\n ".join([*parts, rest])
