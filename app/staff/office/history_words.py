"""What the audit log has, as people say it: what was done, phones as they are written, no ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import g, url_for
from markupsafe import Markup, escape

from app.models.house import AuditEntry
from app.staff import words

DONE = {
    "add": "added", "answer": "answered", "approve": "approved",
    "ask approval": "asked approval of", "assign": "took", "cancel": "canceled",
    "canceled": "canceled", "change": "changed", "clear route": "switched off", "close": "closed",
    "create": "created", "delete": "deleted", "disable": "disabled", "discard": "threw away",
    "enable": "enabled", "erase": "erased", "export": "downloaded",
    "fail to sign in": "failed to sign in", "finish rotation": "ended the old token of",
    "halt": "stopped", "import": "took in", "invite": "invited", "lift": "lifted", "make": "made",
    "open": "opened", "open again": "opened again", "paused": "paused",
    "preparing": "went on with", "read": "read", "reject": "rejected", "release": "gave back",
    "remove": "removed", "repair": "put right", "replay": "sent again to", "request": "asked for",
    "resend": "sent again", "resume": "let go on", "revoke": "revoked", "running": "went on with",
    "save": "saved", "say what became": "said what became of", "send again": "sent again",
    "sign in": "signed in", "sign out": "signed out", "start": "started", "stop": "stopped",
    "suppress": "suppressed", "test": "tested", "try again": "tried again",
    "try with one": "tried with one", "update": "changed", "upload": "uploaded",
    "verified": "verified", "verify": "had verified",
}  # fmt: skip
"""The actions of the log; one that is not here stands as it is."""
_PHONE = re.compile(r"\+\d{8,15}\b")
_ID = r"[0-9A-HJKMNP-TV-Z]{26}"
_THING = re.compile(rf"\b(batch|message|delivery) ({_ID})\b")
_BARE_ID = re.compile(_ID)
_ROUTE = (re.compile(r"^route (.+) (sms|voice)$"), re.compile(r"^(sms|voice) of (.+)$"))
_PAGES = {
    "batch": ("a run", "client.communication_batch", "batch_id"),
    "message": ("a text or call", "client.communication_message", "message_id"),
    "delivery": ("a delivery", "client.delivery", "delivery_id"),
}
_LEADS = {"batch": ("batch", "the run"), "sentAgainAs": ("message", "what was sent in its place")}
"""Details that are ids: of what, and how the link there is called."""


@dataclass(frozen=True)
class Said:
    """An entry in words, and what else is known of it."""

    what: Markup
    more: list[Markup]


def said(entry: AuditEntry) -> Said:
    """Put an entry into words."""
    done = DONE.get(entry.action, entry.action)
    return Said(Markup("{} {}").format(done, _target(entry.target)), list(_more(entry.details)))


def who(actor: str) -> str:
    """Return who it was: a command of support is not called by its letters."""
    if actor == "flask apply":
        return "support (configuration file)"
    return "support (command)" if actor.startswith("flask ") else actor


def _target(target: str) -> Markup:
    for pattern, (number, kind) in zip(_ROUTE, ((1, 2), (2, 1)), strict=True):
        if found := pattern.match(target):
            noun = "calls" if found[kind] == "voice" else "texts"
            return Markup("what {} does with {}").format(words.phone(found[number]), noun)
    told = Markup("")
    at = 0
    for found in _THING.finditer(target):
        told += _plain(target[at : found.start()]) + _link(found[1], found[2])
        at = found.end()
    return told + _plain(target[at:])


def _plain(text: str) -> Markup:
    return escape(_PHONE.sub(lambda found: words.phone(found[0]), text))


def _link(kind: str, id_: str, label: str = "") -> Markup:
    name, endpoint, key = _PAGES[kind]
    if "client" not in g:
        return escape(name)
    named: dict[str, Any] = {key: id_}
    return Markup('<a href="{}">{}</a>').format(url_for(endpoint, **named), label or name)


def _more(details: Mapping[str, object]) -> list[Markup]:
    found = []
    for name, value in details.items():
        if name in _LEADS and isinstance(value, str) and _BARE_ID.fullmatch(value):
            found.append(_link(_LEADS[name][0], value, _LEADS[name][1]))
        elif not isinstance(value, Mapping) and not _BARE_ID.fullmatch(str(value)):
            found.append(_detail(name, value))
    return found


def _detail(name: str, value: object) -> Markup:
    label = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").lower()
    if isinstance(value, (list, tuple)):
        value = " → ".join(str(one) for one in value)
    text = _plain("yes" if value is True else "no" if value is False else str(value))
    if name == "said" or name == "route" or str(value).startswith((name, label)):
        return text
    return Markup('<span class="quiet">{}</span> {}').format(label, text)
