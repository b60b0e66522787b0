"""A passkey proves itself at our host, to what we asked, once, and for its own person."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask

from app.domain.mistakes import Refused
from app.domain.second_factor import passkeys, state
from app.domain.second_factor.passkeys import Asked
from app.extensions import unit_of_work
from app.models.second_factor import Passkey
from app.models.user import User
from tests.support.authenticator import ATTESTED, Device
from tests.support.rows import Rows

HOST, ORIGIN = "dispatch.example.edu", "https://dispatch.example.edu"
ON_SQLITE = pytest.mark.database("sqlite")
NOWHERE = "AAAA"


@pytest.fixture
def pat(app: Flask, rows: Rows) -> User:
    user = User(email="pat@example.edu")
    rows.add(user)
    return user


@pytest.fixture
def device(app: Flask, pat: User) -> Device:
    """A device whose passkey is Pat's."""
    made = Device(HOST, ORIGIN)
    add(app, pat, made)
    return made


def add(app: Flask, user: User, device: Device, **lies: Any) -> None:
    with app.app_context(), unit_of_work() as session:
        asked = passkeys.to_add(session, user)
        answer = device.sets_up(asked.options, **lies)
        passkeys.add(session, user, answer, asked.challenge, "my phone")


def ask(app: Flask, user: User) -> Asked:
    with app.app_context(), unit_of_work() as session:
        asked = passkeys.to_use(session, user)
        assert asked is not None
        return asked


def use(app: Flask, user: User, answer: str, challenge: str) -> bool:
    with app.app_context(), unit_of_work() as session:
        return passkeys.use(session, user, answer, challenge)


def test_a_passkey_is_kept_and_used(app: Flask, pat: User, device: Device, rows: Rows) -> None:
    for uses in (1, 2):
        asked = ask(app, pat)
        assert use(app, pat, device.proves(asked.options), asked.challenge)
        assert rows.one(Passkey).uses == uses
    with app.app_context(), unit_of_work() as session:
        assert state.has(session, pat.id)


LIES: dict[str, dict[str, Any]] = {
    "at another site": {"origin": "https://dispatch.example.evil"},
    "for another host": {"host": "example.edu"},
    "to another question": {"challenge": NOWHERE},
    "of another kind": {"type": "payment.get"},
    "with nobody there": {"flags": 0},
}


@ON_SQLITE
@pytest.mark.parametrize("lies", [*LIES.values(), {"uses": 0}, {"uses": 1}], ids=[*LIES, "a copy"
                         " that has not counted", "a copy that counts on its own"])  # fmt: skip
def test_a_proof_that_is_not_for_us_and_now_is_none(
    app: Flask, pat: User, device: Device, lies: dict[str, Any]
) -> None:
    first = ask(app, pat)
    assert use(app, pat, device.proves(first.options), first.challenge)
    asked = ask(app, pat)
    assert not use(app, pat, device.proves(asked.options, **lies), asked.challenge)


@ON_SQLITE
def test_a_proof_by_another_key_of_another_person_or_twice_is_none(
    app: Flask, pat: User, device: Device, rows: Rows
) -> None:
    asked = ask(app, pat)
    forged = device.proves(asked.options, key=ec.generate_private_key(ec.SECP256R1()))
    assert not use(app, pat, forged, asked.challenge)

    kim = User(email="kim@example.edu")
    rows.add(kim)
    add(app, kim, Device(HOST, ORIGIN))
    asked = ask(app, kim)
    assert not use(app, kim, device.proves(asked.options), asked.challenge), "Pat's passkey"

    asked = ask(app, pat)
    proof = device.proves(asked.options)
    assert use(app, pat, proof, asked.challenge)
    assert not use(app, pat, proof, asked.challenge)


@ON_SQLITE
@pytest.mark.parametrize("lies", LIES.values(), ids=LIES)
def test_a_new_passkey_that_does_not_answer_us_is_not_kept(
    app: Flask, pat: User, rows: Rows, lies: dict[str, Any]
) -> None:
    if "flags" in lies:
        lies = {"flags": ATTESTED}
    with pytest.raises(Refused, match="could not be used"):
        add(app, pat, Device(HOST, ORIGIN), **lies)
    assert rows.count(Passkey) == 0


@ON_SQLITE
def test_a_passkey_is_set_up_once(app: Flask, pat: User, device: Device) -> None:
    with pytest.raises(Refused, match="set up already"):
        add(app, pat, device)


NONSENSE = ["", "x", "{}", "[]", "null", '{"id": 1}', '{"id": "", "rawId": ""}', "[" * 20_001]


@ON_SQLITE
@pytest.mark.parametrize("answer", NONSENSE, ids=[f"{one[:20]!r}" for one in NONSENSE])
def test_nonsense_is_refused_and_uses_up_the_question(
    app: Flask, pat: User, device: Device, answer: str
) -> None:
    asked = ask(app, pat)
    assert not use(app, pat, answer, asked.challenge)
    assert not use(app, pat, device.proves(asked.options), asked.challenge)
    assert not use(app, pat, device.proves(asked.options), "")


@ON_SQLITE
@pytest.mark.parametrize(
    ("address", "are_possible"),
    [
        ("https://dispatch.example.edu", True),
        ("http://localhost:8000", True),
        ("http://127.0.0.1:8000", False),
        ("https://192.0.2.7", False),
        ("https://[2001:db8::1]", False),
    ],
)
def test_browsers_know_passkeys_at_names_only(
    app: Flask, monkeypatch: pytest.MonkeyPatch, address: str, are_possible: bool
) -> None:
    changed = dataclasses.replace(app.extensions["settings"], public_base_url=address)
    monkeypatch.setitem(app.extensions, "settings", changed)
    with app.app_context():
        assert passkeys.are_possible() is are_possible
