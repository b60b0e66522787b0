"""Rotas written on their page, shown as weeks, and chosen for a number."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from app.models.rota import Rota
from app.models.route import Handler, Route
from app.models.sender import Sender
from tests.staff.conftest import Staff
from tests.staff.test_office_hours import HOME, choose, text_of
from tests.support.rows import Rows

PEOPLE = "Pat (319) 555-0171\nAnn Lee: +1 319 555 0172\n"
NIGHTS: dict[str, Any] = {"mon": ["08:00-12:00 Pat; 12:00-17:00 Ann Lee", "22:00-06:00 Pat", ""]}


def write(pat: Staff, path: str = "rotas/new", **fields: Any) -> Any:
    data = {"csrf_token": pat.token(f"{HOME}/{path}"), "name": "desk", "people": PEOPLE, **NIGHTS}
    return pat.http.post(f"{HOME}/{path}", data={**data, **fields})


def test_weeks_are_kept_and_shown_again(pat: Staff, rows: Rows) -> None:
    assert write(pat, begins="2026-11-30").status_code == 302
    row = rows.one(Rota)
    assert row.people == [
        {"name": "Pat", "phone": "+13195550171"}, {"name": "Ann Lee", "phone": "+13195550172"},
    ]  # fmt: skip
    assert row.weeks == [
        {"mon": ["08:00-12:00 Pat", "12:00-17:00 Ann Lee"]}, {"mon": ["22:00-06:00 Pat"]},
    ]  # fmt: skip
    page = text_of(pat, "rotas")
    assert "Week 1" in page
    assert "Week 2" in page
    assert "12:00-17:00 Ann Lee" in page
    page = text_of(pat, f"rotas/{row.id}")
    assert 'value="08:00-12:00 Pat, 12:00-17:00 Ann Lee"' in page
    assert "One more week" in page
    fields = {"mon": ["", ""], "fri": ["08:00-09:00 Pat", ""]}
    assert write(pat, f"rotas/{row.id}", **fields).status_code == 302
    assert rows.one(Rota).weeks == [{"fri": ["08:00-09:00 Pat"]}]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nobody": ({"people": ""}, "Write down who takes turns."),
    "no phone": ({"people": "Pat"}, "is a name and a phone"),
    "a phone that is none": ({"people": "Pat 911\nAnn Lee 319 555 0172"}, "911"),
    "no turn": ({"mon": ["all day", ""]}, "Week 1, Monday: “all day” is no turn"),
    "no week": ({"mon": ["", ""]}, "Say at least once who is on duty when."),
    "somebody else": ({"mon": ["08:00-12:00 Kim", ""]}, "“Kim”"),
}


@pytest.mark.parametrize(("fields", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_and_what_was_typed_stays(
    fields: dict[str, Any], sentence: str, pat: Staff, rows: Rows
) -> None:
    answer = write(pat, **fields)
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    assert "Not saved yet." in page
    assert sentence in page
    assert 'value="desk"' in page
    assert not rows.all(Rota)


def test_a_number_rings_whoever_is_on_duty(pat: Staff, number: Sender, rows: Rows) -> None:
    write(pat)
    fields = {"handler": "ring", "rota": "desk", "otherwise_handler": "none"}
    assert choose(pat, number, "voice", **fields).status_code == 302
    assert rows.one(select(Route).filter_by(handler=Handler.RING)).rota_id == rows.one(Rota).id
    assert "Rings whoever is on duty by the rota “desk”" in text_of(pat, f"numbers/{number.id}")
    path = f"rotas/{rows.one(Rota).id}"
    assert "Used by the number" in text_of(pat, path)
    token = pat.token(f"{HOME}/{path}")
    pat.http.post(f"{HOME}/{path}/delete", data={"csrf_token": token})
    assert rows.count(Rota) == 1


def test_a_rota_that_nobody_uses_can_go(pat: Staff, rows: Rows) -> None:
    write(pat)
    path = f"rotas/{rows.one(Rota).id}"
    token = pat.token(f"{HOME}/{path}")
    assert pat.http.post(f"{HOME}/{path}/delete", data={"csrf_token": token}).status_code == 302
    assert rows.count(Rota) == 0
