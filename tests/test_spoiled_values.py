"""Whatever nonsense is written somewhere, every door makes the same of it: a row, or a refusal.

No table says what is right here (`test_every_door.py` has those): the doors are compared with each
other. Each has a client of its own and gets every field of every thing with every kind of value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient, FlaskCliRunner

from tests.support.doors import Doors, Told
from tests.support.rows import Rows
from tests.test_every_door import ACCOUNT, MP3, THINGS, Thing, rota
from tests.test_every_door import environ as environ

EMPTY = {"nothing": "", "blanks": "   "}
TEXTS = {
    "blanks around it": " {} ", "no break around it": "\u00a0{}\u00a0", "a line break": "{}\nx",
    "a NUL": "{}\0x", "a bell": "{}\ax", "what turns writing around": "{}\u202ex",
    "nothing to be seen": "\u200b\u2060", "a picture": "{}😀",
    "two characters for one": "{}e\u0301", "very long": "x" * 5000,
    "a mark of the web": "<b>{}</b>", "a placeholder": "{}{{{{ 7 * 7 }}}}",
    "half a placeholder": "{}{{{{", "quotation marks": "{}'\"", "a sum": "={}",
}  # fmt: skip
NUMBERS = {
    "blanks around it": " {} ", "a word": "abc", "less than nothing": "-1", "zero": "0",
    "a half": "1.5", "a half with a comma": "1,5", "beyond all numbers": "1e400", "no end": "inf",
    "no number": "nan", "thirty digits": "9" * 30, "in full width": "１２", "a truth": "true",
    "two numbers": "{0} {0}", "a sign": "+{}", "in hexadecimal": "0x1F",
}  # fmt: skip
"""By its name a kind of bad value; ``{}`` stands for what was right."""


@dataclass(frozen=True)
class Spoiled:
    """A thing as it is right, another one each time, and its fields."""

    right: Callable[[int], Any]
    texts: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    """A form has no other way to leave these out than to leave them empty."""
    put: Callable[[Any, str, str], Any] = lambda right, name, value: {**right, name: value}
    get: Callable[[Any, str], Any] = lambda right, name: right[name]


def _inside(right: dict[str, Any], name: str, value: str) -> dict[str, Any]:
    """Put a value into a list, or into the limits."""
    is_list = isinstance(right[name], list)
    return {**right, name: [value] if is_list else {"segments_per_day": value}}


SPOILED = {
    "member": Spoiled(
        lambda of: {
            "toName": "Kim", "toPhone": f"+1319555{of:04}", "toAddress": f"kim{of}@example.edu",
            "major": "Art",
        },
        ("toName", "toPhone", "toAddress", "major"),
        optional=("toName", "toPhone", "toAddress", "major"),
    ),
    "entry": Spoiled(
        lambda of: f"+1319555{of:04}", ("",), put=lambda _, __, value: value,
        get=lambda right, _: right,
    ),
    "population": Spoiled(
        lambda of: f"Staff {of}", ("",), put=lambda _, __, value: value, get=lambda right, _: right
    ),
    "list": Spoiled(
        lambda of: f"Never {of}", ("",), put=lambda _, __, value: value, get=lambda right, _: right
    ),
    "API key": Spoiled(lambda of: {"label": f"crm {of}", "scope": "send"}, ("label", "scope")),
    "credential": Spoiled(
        lambda of: {
            "name": f"second {of}", "account_sid": ACCOUNT, "auth_token": "right",
            "calls_per_second": "2",
        },
        ("name", "account_sid", "auth_token"), ("calls_per_second",), ("calls_per_second",),
    ),
    "saved credential": Spoiled(
        lambda of: {"name": f"legacy {of}", "username": "dispatch", "password": "secret"},
        ("name", "username", "password"),
    ),
    "endpoint": Spoiled(
        lambda of: {"name": f"crm {of}", "url": "https://crm.example.edu/x"}, ("name", "url")
    ),
    "client": Spoiled(
        lambda of: {
            "owner_email": f"boss{of}@example.edu", "time_zone": "America/Chicago",
            "retention_days": "30", "remind_after": "60", "approval_above": "200",
        },
        ("owner_email", "time_zone"), ("retention_days", "remind_after", "approval_above"),
        ("remind_after", "approval_above"),
    ),
    "support": Spoiled(
        lambda of: {
            "allow_list": [f"+1319555{of:04}"], "denied_networks": ["10.1.0.0/16"],
            "limits": {"segments_per_day": str(of)},
        },
        ("allow_list", "denied_networks"), ("limits",),
        ("allow_list", "denied_networks", "limits"), _inside,
        lambda right, name: right[name][0 if name != "limits" else "segments_per_day"],
    ),
    "callback": Spoiled(
        lambda of: {"url": f"https://a.example.edu/{of}", "method": "GET"}, ("url", "method"),
        optional=("url",),
    ),
    "user": Spoiled(
        lambda of: {"email": f"kim{of}@example.edu", "role": "staff"}, ("email", "role")
    ),
    "recording": Spoiled(
        lambda of: (f"closed {of}", "closed.mp3", MP3), ("0",),
        put=lambda right, _, value: (value, *right[1:]), get=lambda right, _: right[0],
    ),
    "template": Spoiled(
        lambda of: {"name": f"news {of}", "kind": "sms", "body": "News"}, ("name", "body")
    ),
    "communication": Spoiled(
        lambda of: {
            "name": f"again {of}", "campaign": "spring", "template": "reminder",
            "population": "students", "purpose": "notification",
        },
        ("name", "campaign", "template", "population", "purpose"),
        optional=("campaign", "population", "purpose"),
    ),
    "schedule": Spoiled(
        lambda of: {"relative": {"attribute": f"visit{of}", "days": -2, "at": "09:00"}},
        ("attribute", "at"),
        put=lambda right, name, value: {"relative": {**right["relative"], name: value}},
        get=lambda right, name: right["relative"][name],
    ),
    "route": Spoiled(
        lambda of: {"handler": "play_message", "say": f"Closed {of}.", "loop": "2"},
        ("handler", "say"), ("loop",), ("loop",),
    ),
    "number": Spoiled(
        lambda _: {"suppression_list": "opted-out"}, ("suppression_list",),
        optional=("suppression_list",),
    ),
    "hours": Spoiled(
        lambda of: {"name": f"Office {of}", "mon": ["08:00-12:00"]}, ("name", "mon"),
        optional=("mon",), put=lambda right, name, value: {**right, name: value}
        if name == "name" else {**right, name: [value]},
        get=lambda right, name: right[name] if name == "name" else right[name][0],
    ),
    "rota": Spoiled(lambda of: rota(f"desk {of}", mon=["08:00-12:00 Pat"]), ("name",)),
}  # fmt: skip
KEPT_AS_WRITTEN = {
    ("member", "major"): {"blanks around it", "no break around it"},
}
"""Of what is no form's own, a file and a program have every character kept."""
CASES = [
    pytest.param(thing, name, kinds, id=f"{thing}: {name}" if name else thing)
    for thing, spoiled in SPOILED.items()
    for names, kinds in ((spoiled.texts, TEXTS), (spoiled.numbers, NUMBERS))
    for name in names
]


def test_every_thing_is_spoiled() -> None:
    assert set(SPOILED) == set(THINGS)


@pytest.mark.parametrize(("called", "name", "kinds"), CASES)
def test_every_door_makes_the_same_of_nonsense(
    called: str, name: str, kinds: dict[str, str], flask_command: FlaskCliRunner,
    client: FlaskClient, rows: Rows, tmp_path: Path,
) -> None:  # fmt: skip
    thing, spoiled = THINGS[called], SPOILED[called]
    names = {"registrar": "11", "bursar": "12", "library": "13", "athletics": "14"}
    clients = Doors.open(flask_command, tmp_path / "files", client, rows, **names)
    opened = dict(zip(thing.doors, clients, strict=False))
    kinds = kinds if name in spoiled.optional else EMPTY | kinds
    for of, (kind, written) in enumerate(kinds.items(), 101):
        if kind in KEPT_AS_WRITTEN.get((called, name), ()):
            continue
        right = spoiled.right(of)
        value = written.format(spoiled.get(right, name)) if "{" in written else written
        given = spoiled.put(right, name, value)
        made = {
            door: _made(thing, door, doors, given)
            for door, doors in opened.items()
            if (door, kind) != ("command", "a NUL")  # which no argument can hold
        }
        first = made["file"]
        for door, (told, came) in made.items():
            assert told.is_refused == first[0].is_refused, f"{kind}, {door}: {told.text}"
            assert came == first[1], f"{kind}, {door}"


def _made(thing: Thing, door: str, doors: Doors, given: Any) -> tuple[Told, list[Any]]:
    """Return what a door says, and which rows are there that were not."""
    before = _rows(thing.kept(doors))
    told = thing.doors[door](doors, given)
    return told, [one for one in _rows(thing.kept(doors)) if one not in before]


def _rows(kept: Any) -> list[Any]:
    """Return what is kept as rows, also of what a thing has only one of."""
    return kept if isinstance(kept, list) else [kept]
