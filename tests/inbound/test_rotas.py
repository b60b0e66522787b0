"""Rotas: written by every door, and who is rung by them."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from time_machine import TimeMachineFixture

from app.models.client import Client
from app.models.incoming import Incoming
from app.models.rota import Rota
from tests.inbound.test_ring import KIM, NOT_TAKEN, PAT, Switchboard, over, rung
from tests.support.departments import Department, department
from tests.support.rows import Rows
from tests.support.twilio import Twilio

ROTA: dict[str, Any] = {
    "people": [{"name": "Pat", "phone": PAT}, {"name": "Kim", "phone": KIM}],
    "weeks": [{"mon": ["08:00-12:00 Pat", "11:00-17:00 Kim"]}],
}
RING: dict[str, Any] = {"people": None, "rota": "desk"}
MONDAY = "2026-11-30T{}-06:00"


@pytest.fixture
def ours(rows: Rows) -> Department:
    ours = department(rows, "registrar", "11")
    rows.change(update(Client).values(time_zone="America/Chicago"))
    return ours


@pytest.fixture
def board(client: FlaskClient, twilio: Twilio, ours: Department) -> Switchboard:
    board = Switchboard(client, twilio, ours)
    assert board.api.put("rotas/desk", ROTA).status_code == 200
    return board


WHO = {
    "before all": ("07:00", []),
    "one": ("08:00", [PAT]),
    "two": ("11:30", [PAT, KIM]),
    "the other": ("12:00", [KIM]),
}


@pytest.mark.parametrize(("clock", "phones"), WHO.values(), ids=WHO)
def test_whoever_is_on_duty_is_rung(
    clock: str, phones: list[str], board: Switchboard, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(MONDAY.format(clock))
    phone = board.rings(**RING, strategy="all")
    assert rung(phone) == phones
    assert ("Leave a message." in phone.document) == (not phones)


def test_a_call_rings_those_who_were_on_duty_when_it_came(
    board: Switchboard, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(MONDAY.format("11:59:50"), tick=False)
    phone = board.rings(**RING)
    assert rung(phone) == [PAT]
    time_machine.move_to(MONDAY.format("12:00:10"), tick=False)
    assert rung(over(phone, **NOT_TAKEN)) == [KIM]
    assert "Leave a message." in over(phone, **NOT_TAKEN).document


def test_they_are_rung_behind_a_menu_and_by_hours_too(
    board: Switchboard, time_machine: TimeMachineFixture, rows: Rows
) -> None:
    time_machine.move_to(MONDAY.format("09:00"))
    board.api.put("hours/office", {"mon": ["08:00-17:00"]})
    ring = {"handler": "ring", "rota": "desk"}
    by_hours = {"hours": "office", "open": ring, "closed": {"handler": "voicemail"}}
    path = f"numbers/{board.ours.number.address}/routes"
    menu = {"handler": "menu", "say": "Press 1.", "keys": {"1": by_hours}}
    assert board.api.put(path, {"voice": menu}).status_code == 200
    assert rung(board.called().press("1")) == [PAT]
    assert board.api.put(path, {"voice": by_hours}).status_code == 200
    assert rung(board.called(CallSid="CA" + "d" * 32)) == [PAT]
    assert rows.count(Incoming) == 2


def test_the_api_says_who_is_on_duty(board: Switchboard, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(MONDAY.format("09:00"))
    found = board.api.get("rotas/desk").get_json()
    assert (found["onDuty"], found["changesAt"]) == (["Pat"], "2026-11-30T17:00:00Z")
    assert {name: found[name] for name in ROTA} == {
        **ROTA, "weeks": [found["weeks"][0]],
    }  # fmt: skip
    assert found["weeks"][0]["mon"] == ROTA["weeks"][0]["mon"]
    (address,) = board.api.get("rotas").get_json()
    assert address.endswith("/rotas/desk")


def test_a_rota_in_use_is_kept(board: Switchboard, rows: Rows) -> None:
    board.rings(**RING)
    answer = board.api.delete("rotas/desk")
    assert answer.status_code in (409, 422)
    assert "is used by" in answer.text
    assert rows.one(Rota).name == "desk"


def test_a_rota_that_nobody_uses_can_go(board: Switchboard, rows: Rows) -> None:
    assert board.api.delete("rotas/desk").status_code == 204
    assert rows.count(Rota) == 0


PERSON = ROTA["people"][0]
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "nobody": ({"people": []}, "people", "at least 1"),
    "no week": ({"weeks": []}, "weeks", "at least 1"),
    "somebody else": ({"weeks": [{"tue": ["08:00-09:00 Lee"]}]}, "", "“Lee” (tue) is none of"),
    "twice": ({"people": [PERSON, PERSON]}, "", "Pat is there twice"),
    "no turn": ({"weeks": [{"tue": ["8 Pat"]}]}, "weeks[0].tue[0]", "no turn"),
    "at once": (
        {"weeks": [{"tue": ["08:00-09:00 Pat", "08:30-10:00 Pat"]}]}, "weeks[0].tue", "overlap"),
    "abroad": (
        {"people": [{**PERSON, "phone": "+442079460018"}, ROTA["people"][1]]},
        "people[0].phone", "outside",
    ),
    "a comma": ({"people": [{"name": "Lee, Ann", "phone": PAT}]}, "people[0].name", "comma"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_refused_at_its_place(
    changes: dict[str, Any], field: str, words: str, board: Switchboard
) -> None:
    answer = board.api.put("rotas/desk", {**ROTA, **changes})
    assert answer.status_code == 422
    found = {one["field"]: one["message"] for one in answer.get_json()["errors"]}
    assert field in found, found
    assert words in found[field]


def test_people_and_a_rota_at_once_are_refused(board: Switchboard, ours: Department) -> None:
    both = {"handler": "ring", "rota": "desk", "people": [{"to": PAT}]}
    answer = board.api.put(f"numbers/{ours.number.address}/routes", {"voice": both})
    assert answer.status_code == 422
    assert "exactly one of people and rota" in answer.text


def test_who_may_not_be_called_any_more_keeps_the_rota_from_a_number(
    board: Switchboard, rows: Rows, ours: Department
) -> None:
    rows.change(update(Client).values(trial=True))
    route = {"handler": "ring", "rota": "desk"}
    answer = board.api.put(f"numbers/{ours.number.address}/routes", {"voice": route})
    assert answer.status_code == 422
    (mistake, *_) = answer.get_json()["errors"]
    assert mistake["field"] == "voice.rota"
    assert "Pat: " in mistake["message"]
