"""Calls that came in, as the API tells of them: who took one, and each of its steps."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.inbound.test_ring import KIM, PAT
from tests.inbound.test_steps import DESK, Phone, put
from tests.staff.test_way_of_a_call import MENU, ended, rung
from tests.support.departments import Caller, Department, department
from tests.support.rows import Rows
from tests.support.twilio import Twilio

FORWARD = {"handler": "call_forward", "to": DESK}


@pytest.fixture
def ours(rows: Rows) -> Department:
    return department(rows, "registrar", "11")


@pytest.fixture
def api(client: FlaskClient, ours: Department) -> Caller:
    return Caller.by_header(client, ours)


def told(api: Caller) -> dict[str, Any]:
    """Return the only call, which the list and its own address tell of alike."""
    (one,) = api.get("inbound").json["items"]
    assert api.get(f"inbound/{one['id']}").json == one
    return dict(one)


def steps(call: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = ("handler", "place", "digits", "speech", "dialCallStatus", "person")
    return [tuple(one[name] for name in names) for one in call["steps"]]


def test_who_took_a_call_and_how_it_went(api: Caller, twilio: Twilio, ours: Department) -> None:
    put(api, ours, MENU)
    phone = Phone(twilio, ours).press("7").press("1")
    rung(phone, "no-answer", key="")
    rung(phone, "completed", key="1")
    ended(phone, ours)
    call, at = told(api), ["keys.1"]
    pat, kim = {"to": PAT, "name": "Pat"}, {"to": KIM, "name": None}
    assert call["takenBy"] == kim
    assert (call["status"], call["callDuration"]) == ("completed", 40)
    assert (call["dialCallStatus"], call["path"]) == ("completed", ["1"])
    assert steps(call) == [
        ("menu", [], "7", None, None, None),
        ("menu", at, "1", None, None, None),
        ("ring", at, None, None, None, pat),
        ("ring", at, None, None, None, pat),
        ("ring", at, None, None, "no-answer", pat),
        ("ring", at, None, None, None, kim),
        ("ring", at, "1", None, None, kim),
        ("ring", at, None, None, "completed", kim),
    ]
    assert call["steps"][6]["sentence"] == f"{KIM}: took the call"
    moments = [one["at"] for one in call["steps"]]
    assert moments == sorted(moments)


def test_where_a_caller_left_whom_nobody_took(
    api: Caller, twilio: Twilio, ours: Department
) -> None:
    put(api, ours, MENU)
    phone = Phone(twilio, ours).press("1")
    rung(phone, "busy")
    rung(phone, "no-answer")
    call = told(api)
    assert call["takenBy"] is None
    assert [one["place"] for one in call["steps"]][-1] == ["keys.1", "otherwise"]


def test_what_was_said(api: Caller, twilio: Twilio, ours: Department) -> None:
    put(api, ours, MENU)
    Phone(twilio, ours).say("The address, please")
    spoken = ("menu", ["keys.2"], None, "The address, please", None, None)
    assert steps(told(api)) == [spoken]


BEFORE = {"at once": None, "behind a menu": {**MENU, "keys": {**MENU["keys"], "1": FORWARD}}}


@pytest.mark.parametrize("menu", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize(
    ("status", "taker"),
    [("completed", {"to": DESK, "name": None}), ("no-answer", None)],
    ids=["taken", "not taken"],
)
def test_a_forwarded_call_is_taken_by_the_phone_it_went_on_to(
    status: str, taker: dict[str, Any] | None, menu: dict[str, Any] | None,
    api: Caller, twilio: Twilio, ours: Department,
) -> None:  # fmt: skip
    put(api, ours, menu or FORWARD)
    phone = Phone(twilio, ours)
    if menu:
        phone.press("1")
    phone.ask(phone.root[0].attrib["action"], DialCallStatus=status)
    call = told(api)
    assert (call["dialCallStatus"], call["takenBy"]) == (status, taker)
    assert len(call["steps"]) == (1 if menu else 0)
