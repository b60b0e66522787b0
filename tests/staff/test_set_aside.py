"""Support sees what was set aside; nobody else does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from app.models.base import utcnow
from app.models.house import AuditEntry, SetAside
from app.models.user import User
from tests.staff.conftest import Staff
from tests.support.rows import Rows


@pytest.fixture
def stumbled(rows: Rows) -> None:
    until = utcnow() + timedelta(minutes=5)
    rows.add(SetAside(loop="send", name="<b>01J", reason="OverflowError in cost_us", until=until))


def test_support_sees_why_and_lets_it_be_tried_again(
    staff: Staff, add_person: Callable[..., User], rows: Rows, stumbled: None
) -> None:
    add_person("sam@example.edu", support=True)
    staff.sign_in("sam@example.edu")
    assert "1 thing is set aside" in staff.http.get("/staff/clients").text
    page = staff.http.get("/staff/set-aside").text
    assert "OverflowError in cost_us" in page
    assert "&lt;b&gt;01J" in page
    staff.send("/staff/set-aside/again", "/staff/set-aside", loop="send", name="<b>01J")
    assert rows.count(SetAside) == 0
    assert rows.all(AuditEntry)[-1].actor == "sam@example.edu"
    assert "Nothing is set aside." in staff.http.get("/staff/set-aside").text


def test_owners_do_not(pat: Staff, rows: Rows, stumbled: None) -> None:
    assert "set aside" not in pat.http.get("/staff/clients").text
    assert pat.http.get("/staff/set-aside").status_code == 403
    token = {"csrf_token": pat.token("/staff/account"), "loop": "send", "name": "<b>01J"}
    assert pat.http.post("/staff/set-aside/again", data=token).status_code == 403
    assert rows.count(SetAside) == 1


@pytest.mark.parametrize("digits", ["9" * 18, "9" * 30, "9" * 5000, "٣"], ids=len)
@pytest.mark.parametrize(
    "path", ["history?before={}", "history?before=-{}"], ids=["before", "negative"]
)
def test_a_place_in_a_list_that_no_column_can_hold_is_the_beginning(
    digits: str, path: str, pat: Staff
) -> None:
    assert pat.http.get(f"/staff/clients/registrar/{path.format(digits)}").status_code == 200
