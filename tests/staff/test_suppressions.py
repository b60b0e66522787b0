"""Suppression lists: phones put on, lifted, taken from files and handed out."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO

import pytest
from sqlalchemy import delete

from app.models.base import utcnow
from app.models.client import Client
from app.models.suppression import (
    SuppressionEntry,
    SuppressionList,
    SuppressionReason,
    SuppressionSource,
)
from app.models.user import Role, User
from tests.staff.conftest import OF_CLIENTS, Staff
from tests.support.departments import Department, department
from tests.support.rows import Rows

PHONE = "+13195550142"


@pytest.fixture
def bursar(rows: Rows) -> Department:
    return department(rows, "bursar", "77")


@pytest.fixture
def pat(staff: Staff, bursar: Department, add_person: Callable[..., User]) -> Staff:
    add_person("pat@example.edu", bursar.client, role=Role.STAFF)
    staff.sign_in("pat@example.edu")
    return staff


@pytest.fixture
def path(bursar: Department) -> str:
    return f"/staff/clients/bursar/suppression-lists/{bursar.suppression.id}"


def entry(listed: SuppressionList, phone: str = PHONE, **columns: object) -> SuppressionEntry:
    values = {"scope": "all", "source": SuppressionSource.KEYWORD, "since": utcnow()} | columns
    return SuppressionEntry(list_id=listed.id, phone=phone, **values)


def upload(staff: Staff, path: str, content: str, **fields: str):
    file = (BytesIO(content.encode()), "phones.csv")
    data = {"csrf_token": staff.token(path), "file": file, **fields}
    return staff.http.post(f"{path}/import", data=data)


def test_a_phone_is_added_by_hand(pat: Staff, path: str, bursar: Department, rows: Rows) -> None:
    pat.send(f"{path}/add", seen_at=path, phone="(319) 555-0142", scope="all")
    pat.send(f"{path}/add", seen_at=path, phone=PHONE, scope=bursar.number.id)
    again = pat.send(f"{path}/add", seen_at=path, phone=PHONE, scope="all")
    page = pat.http.get(again.headers["Location"]).get_data(as_text=True)
    assert "on the list already" in page
    assert "any number" in page
    assert "(319) 555-0177" in page
    entries = rows.all(SuppressionEntry)
    assert {(one.phone, one.scope, one.source) for one in entries} == {
        (PHONE, "all", "manual"), (PHONE, bursar.number.id, "manual"),
    }  # fmt: skip
    assert [one.action for one in rows.all(OF_CLIENTS)] == ["suppress", "suppress"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"phone": "12", "scope": "all"}, "“12”"),
        ({"phone": "", "scope": "all"}, "missing"),
        ({"phone": PHONE, "scope": "nothing"}, "Choose one of your numbers"),
    ],
    ids=["no phone", "empty", "no sender"],
)
def test_what_is_no_phone_is_refused_in_words(
    pat: Staff, path: str, rows: Rows, fields: dict[str, str], said: str
) -> None:
    answer = pat.send(f"{path}/add", seen_at=path, **fields)
    assert answer.status_code == 422
    assert said in answer.get_data(as_text=True)
    assert rows.count(SuppressionEntry) == 0


@pytest.mark.parametrize(
    ("source", "said"),
    [(SuppressionSource.KEYWORD, "until its owner texts START"),
     (SuppressionSource.MANUAL, "may be texted again")],
)  # fmt: skip
def test_an_entry_is_lifted_and_shown_as_such(
    pat: Staff, path: str, bursar: Department, rows: Rows, source: SuppressionSource, said: str
) -> None:
    rows.add(entry(bursar.suppression, source=source))
    kept = rows.one(SuppressionEntry)
    answer = pat.send(f"{path}/entries/{kept.id}/lift", seen_at=path)
    page = pat.http.get(answer.headers["Location"]).get_data(as_text=True)
    assert said in page
    assert "Nobody is on this list" in page
    assert rows.one(SuppressionEntry).lifted_at is not None
    assert "Lifted today" in pat.http.get(f"{path}?kind=lifted").get_data(as_text=True)


def test_one_is_told_which_number_a_stop_is_about_and_whose_it_was(
    pat: Staff, path: str, bursar: Department, rows: Rows
) -> None:
    rows.add(entry(bursar.suppression, "+13195550150", scope=bursar.number.id))
    kept = rows.one(SuppressionEntry)
    assert ">Ann</a>" in pat.http.get(path).text, "a name stands wherever a list knows one"
    answer = pat.send(f"{path}/entries/{kept.id}/lift", seen_at=path)
    told = pat.http.get(answer.headers["Location"]).text
    assert "(319) 555-0150 is lifted here." in told
    assert re.search(r"until its owner texts START to \(319\) 555-01\d\d\.", told)


def test_a_file_puts_phones_on(pat: Staff, path: str, bursar: Department, rows: Rows) -> None:
    rows.add(entry(bursar.suppression, source=SuppressionSource.IMPORT))
    answer = upload(pat, path, f"name,phone\nAnn,{PHONE}\nLee,319-555-0143\nLee,3195550143\n")
    page = pat.http.get(answer.headers["Location"]).get_data(as_text=True)
    assert "1 phone was added, 1 was on it already" in page
    assert {one.phone for one in rows.all(SuppressionEntry)} == {PHONE, "+13195550143"}


def test_a_bare_list_of_phones_needs_no_header(pat: Staff, path: str, rows: Rows) -> None:
    upload(pat, path, f"{PHONE}\n+13195550143\n")
    assert rows.count(SuppressionEntry) == 2


def test_mistakes_of_a_file_are_shown_by_row(pat: Staff, path: str, rows: Rows) -> None:
    content = f"phone\n{PHONE}\n911\nabc\n"
    answer = upload(pat, path, content)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "2 rows have mistakes" in page
    assert "emergency" in page
    assert rows.count(SuppressionEntry) == 0
    upload(pat, path, content, skip="on")
    assert rows.one(SuppressionEntry).phone == PHONE


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "empty"), ("a,b\n1,2\n", "No column is called phone")],
    ids=["nothing", "no phones"],
)
def test_a_useless_file_is_refused(pat: Staff, path: str, content: str, said: str) -> None:
    answer = upload(pat, path, content)
    assert answer.status_code == 422
    assert said in answer.get_data(as_text=True)


def test_a_list_is_handed_out(pat: Staff, path: str, bursar: Department, rows: Rows) -> None:
    rows.add(
        entry(bursar.suppression, scope=bursar.number.id),
        entry(bursar.suppression, "+13195550143", lifted_at=utcnow()),
    )
    answer = pat.http.get(f"{path}/export")
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    lines = sorted(answer.get_data(as_text=True).splitlines())
    assert lines[0].startswith(f"{PHONE},+13195550177,keyword,20")
    assert lines[1].startswith("+13195550143,all,keyword,")
    assert lines[2] == "phone,scope,source,since,lifted,reason,code,until"


def test_a_list_is_made_and_goes_when_unused(pat: Staff, rows: Rows) -> None:
    base = "/staff/clients/bursar/suppression-lists"
    answer = pat.send(base, name="Parents")
    made = answer.headers["Location"]
    assert pat.send(base, name="Parents").status_code == 422
    assert pat.send(base, name=" ").status_code == 422
    assert "Parents" in pat.http.get(base).get_data(as_text=True)
    pat.send(f"{made}/delete", seen_at=made)
    assert pat.http.get(made).status_code == 404


def test_many_entries_come_page_by_page_with_few_queries(
    pat: Staff, path: str, bursar: Department, rows: Rows
) -> None:
    rows.add(*[entry(bursar.suppression, f"+1319555{n:04}") for n in range(60)])
    newest = sorted(rows.all(SuppressionEntry), key=lambda one: one.id, reverse=True)
    first = pat.http.get(path).get_data(as_text=True)
    assert first.count('data-label="Phone"') == 25
    assert f"before={newest[24].id}" in first
    older = pat.http.get(f"{path}?before={newest[24].id}").get_data(as_text=True)
    assert older.count('data-label="Phone"') == 25
    found = pat.http.get(f"{path}?q=555-0042").get_data(as_text=True)
    assert found.count('data-label="Phone"') == 1


def test_another_clients_list_does_not_exist(
    pat: Staff, path: str, rows: Rows, registrar: Client, bursar: Department
) -> None:
    theirs = SuppressionList(client_id=registrar.id, name="theirs")
    rows.add(theirs)
    rows.add(entry(theirs))
    kept = rows.one(SuppressionEntry)
    base = "/staff/clients/bursar/suppression-lists"
    for url in (f"{base}/{theirs.id}", f"{base}/{theirs.id}/export",
                f"/staff/clients/registrar/suppression-lists/{theirs.id}"):  # fmt: skip
        assert pat.http.get(url).status_code == 404
    for url in (f"{base}/{theirs.id}/add", f"{base}/{theirs.id}/import",
                f"{base}/{theirs.id}/delete", f"{base}/{theirs.id}/entries/{kept.id}/lift",
                f"{path}/entries/{kept.id}/lift"):  # fmt: skip
        assert pat.send(url, seen_at=base, phone=PHONE).status_code == 404
    assert rows.one(SuppressionEntry).lifted_at is None
    data = {"phone": PHONE, "scope": bursar.number.id}
    assert pat.send(f"{path}/add", seen_at=path, **data).status_code == 302


def test_who_cannot_be_reached_is_told_from_who_does_not_want_to_be(
    pat: Staff, path: str, bursar: Department, rows: Rows
) -> None:
    """With the code, and from when the phone is tried again; it comes back as it went."""
    dead = {
        "source": SuppressionSource.TWILIO, "reason": SuppressionReason.UNREACHABLE,
        "error_code": 30006,
    }  # fmt: skip
    now = utcnow()
    rows.add(
        entry(bursar.suppression),
        entry(bursar.suppression, "+13195550143", until=now + timedelta(days=180), **dead),
        entry(bursar.suppression, "+13195550144", until=now - timedelta(days=1), **dead),
    )
    page = pat.http.get(path).text
    assert "Cannot be reached: The phone is a landline" in page
    assert "(30006)" in page
    assert "Tried again from" in page
    assert "(319) 555-0144" not in page
    assert "(319) 555-0144" in pat.http.get(f"{path}?kind=lifted").text
    only = pat.http.get(f"{path}?kind=unreachable").text
    assert "(319) 555-0143" in only
    assert "They texted STOP" not in only
    exported = pat.http.get(f"{path}/export").text
    assert "unreachable,30006," in exported
    rows.change(delete(SuppressionEntry))
    upload(pat, path, exported)
    assert [one.phone for one in rows.all(SuppressionEntry)] == [PHONE]
    found = entry(bursar.suppression, "+13195550143", until=now + timedelta(days=180), **dead)
    rows.add(found)
    answer = pat.send(f"{path}/entries/{found.id}/lift", seen_at=path)
    assert "may be texted again" in pat.http.get(answer.headers["Location"]).text
