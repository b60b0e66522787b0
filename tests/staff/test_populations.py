"""Populations: people added, changed and removed, by hand and from a file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import pytest
from flask import Flask

from app.domain.relaying import receivers
from app.extensions import unit_of_work
from app.models.audience import Member, Population
from app.models.client import Client
from app.models.user import Role, User
from tests.staff.conftest import OF_CLIENTS, Staff
from tests.support.departments import department
from tests.support.rows import Rows
from tests.support.uploads import take_in

HOME = "/staff/clients/registrar"
HOSTILE = '<script>alert(1)</script> & "quotes" {{ 7 * 7 }}'


@pytest.fixture
def pat(staff: Staff, registrar: Client, add_person: Callable[..., User]) -> Staff:
    add_person("pat@example.edu", registrar, role=Role.STAFF)
    staff.sign_in("pat@example.edu")
    return staff


@pytest.fixture
def students(rows: Rows, registrar: Client) -> Population:
    population = Population(client_id=registrar.id, name="students")
    rows.add(population)
    return population


@pytest.fixture
def upload(pat: Staff, students: Population):
    return partial(take_in, pat, f"{HOME}/populations/{students.id}")


def people(rows: Rows) -> list[dict[str, object]]:
    return [m.attributes for m in sorted(rows.all(Member), key=lambda member: member.id)]


def test_a_population_is_made_and_somebody_put_in(pat: Staff, rows: Rows) -> None:
    answer = pat.send(f"{HOME}/populations", name=" Helpdesk ")
    made = rows.one(Population)
    assert made.name == "Helpdesk"
    path = f"{HOME}/populations/{made.id}"
    assert answer.headers["Location"] == path
    data = {
        "csrf_token": pat.token(f"{path}/people/new"), "toName": "Ann", "toPhone": "(319) 555-0150",
        "toAddress": "", "attribute": ["major", "", "year"], "value": ["Art", "x", ""],
    }  # fmt: skip
    assert pat.http.post(f"{path}/people/new", data=data).status_code == 302
    assert people(rows) == [{"toName": "Ann", "toPhone": "+13195550150", "major": "Art"}]
    page = pat.http.get(path).get_data(as_text=True)
    assert "1 person" in page
    assert "(319) 555-0150" in page
    assert [entry.action for entry in rows.all(OF_CLIENTS)] == ["create", "add"]


def test_a_person_is_changed_and_removed(pat: Staff, students: Population, rows: Rows) -> None:
    rows.add(Member(roll=students.id, attributes={"toAddress": "a@b.edu", "major": "Art"}))
    member = rows.one(Member)
    path = f"{HOME}/populations/{students.id}/people/{member.id}"
    pat.send(path, toName="Ann", toAddress="a@b.edu", attribute="major", value="")
    assert people(rows) == [{"toName": "Ann", "toAddress": "a@b.edu"}]
    pat.send(f"{path}/remove", seen_at=path)
    assert people(rows) == []
    assert pat.http.get(path).status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"toName": "Ann"}, "neither a phone nor"),
        ({"toPhone": "12"}, "“12”"),
        ({"toAddress": "nobody"}, "not an e-mail address"),
        ({"toPhone": "+13195550150"}, "already"),
        ({"toPhone": "+13195550151", "attribute": "x" * 101, "value": "x"}, "1 to 100 characters"),
    ],
    ids=["unreachable", "no phone", "no address", "there already", "long name"],
)
def test_who_cannot_be_kept_is_refused_in_words(
    pat: Staff, students: Population, rows: Rows, fields: dict[str, str], said: str
) -> None:
    rows.add(Member(roll=students.id, attributes={"toPhone": "+13195550150"}))
    answer = pat.send(f"{HOME}/populations/{students.id}/people/new", **fields)
    assert answer.status_code == 422
    assert said in answer.get_data(as_text=True)
    assert rows.count(Member) == 1


@pytest.mark.parametrize("name", ["first name", "_x", "Last, First, Middle"])
def test_attributes_are_called_as_the_client_calls_them(
    pat: Staff, students: Population, rows: Rows, name: str
) -> None:
    path = f"{HOME}/populations/{students.id}/people/new"
    pat.send(path, toPhone="+13195550151", attribute=name, value="x")
    assert people(rows) == [{"toPhone": "+13195550151", name: "x"}]


def test_a_file_adds_changes_and_keeps(upload, students: Population, rows: Rows) -> None:
    rows.add(
        Member(roll=students.id, attributes={"toPhone": "+13195550150", "year": "1"}),
        Member(roll=students.id, attributes={"toAddress": "kim@example.edu"}),
    )
    answer = upload(
        "Name,Phone,E-mail,First name\nAnn,319-555-0150,,Ann\nLee,(319) 555 0151,,Lee\n"
        ",,KIM@example.edu,\n"
    )
    assert answer.status_code == 303
    assert people(rows) == [
        {"toName": "Ann", "toPhone": "+13195550150", "year": "1", "First_name": "Ann"},
        {"toAddress": "KIM@example.edu"},
        {"toName": "Lee", "toPhone": "+13195550151", "First_name": "Lee"},
    ]


def test_a_file_can_replace_everybody(upload, students: Population, rows: Rows) -> None:
    rows.add(
        Member(roll=students.id, attributes={"toPhone": "+13195550150", "year": "1"}),
        Member(roll=students.id, attributes={"toPhone": "+13195550159"}),
    )
    upload("toPhone\n+13195550150\n", mode="replace")
    assert people(rows) == [{"toPhone": "+13195550150"}]


def test_mistakes_are_shown_by_row_and_nothing_is_saved(upload, rows: Rows) -> None:
    content = f"toName,toPhone\nAnn,+13195550150\n{HOSTILE.replace(',', '')},12\nLee,\n"
    answer = upload(content + "Bob,+13195550150\n")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "3 rows have mistakes" in page
    for line, said in (("3", "“12”"), ("4", "neither a phone"), ("5", "first time on line 2")):
        assert f'<td data-label="Line">{line}</td>' in page
        assert said in page
    assert "<script>alert" not in page
    assert rows.count(Member) == 0


def test_faulty_rows_can_be_left_out(pat: Staff, upload, rows: Rows) -> None:
    answer = upload("toName,toPhone\nAnn,+13195550150\nLee,12\n", skip="on")
    assert people(rows) == [{"toName": "Ann", "toPhone": "+13195550150"}]
    assert "1 faulty row left out" in pat.http.get(answer.headers["Location"]).text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("major\nArt\n", "No column is called toPhone"),
        ("toPhone\n", "nobody"),
        ("", "empty"),
    ],
    ids=["no phones", "nobody", "nothing"],
)
def test_a_useless_file_is_refused_in_words(upload, rows: Rows, content: str, said: str) -> None:
    answer = upload(content)
    assert answer.status_code == 422
    assert said in answer.get_data(as_text=True)


def test_what_is_downloaded_can_be_uploaded(
    pat: Staff, upload, students: Population, rows: Rows
) -> None:
    kept = {"toName": HOSTILE, "toPhone": "+13195550150", "note": "a\nb"}
    rows.add(Member(roll=students.id, attributes=kept))
    answer = pat.http.get(f"{HOME}/populations/{students.id}/export")
    assert answer.mimetype == "text/csv"
    upload(answer.data, mode="replace")
    assert people(rows) == [kept]


def test_hostile_texts_are_shown_as_text(pat: Staff, students: Population, rows: Rows) -> None:
    rows.add(
        Member(
            roll=students.id,
            attributes={"toName": HOSTILE, "toPhone": "+13195550150", "x": HOSTILE, "n": 7},
        )
    )
    member = rows.one(Member)
    path = f"{HOME}/populations/{students.id}"
    for page in (pat.http.get(path).text, pat.http.get(f"{path}/people/{member.id}").text):
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page
        assert "{{ 7 * 7 }}" in page


def test_many_people_come_page_by_page(pat: Staff, students: Population, rows: Rows) -> None:
    rows.add(
        *[
            Member(
                roll=students.id,
                attributes={"toName": f"P{n:03}", "toPhone": f"+1319555{n:04}"},
            )
            for n in range(60)
        ]
    )
    path = f"{HOME}/populations/{students.id}"
    first = pat.http.get(path).get_data(as_text=True)
    assert "P024" in first
    assert "P025" not in first
    after = max(member.id for member in rows.all(Member)) - 10
    second = pat.http.get(f"{path}?after={after}").get_data(as_text=True)
    assert "P050" in second
    found = pat.http.get(f"{path}?q=555-0042").get_data(as_text=True)
    assert "P042" in found
    assert "P041" not in found
    assert pat.http.get(f"{path}?after={'9' * 40}").status_code == 200
    assert pat.http.get(f"{path}?q=%00").status_code == 400
    assert pat.http.get("/staff/clients/regis%00trar/").status_code == 400


def test_an_address_whose_mail_came_back_is_marked(
    pat: Staff, students: Population, registrar: Client, rows: Rows, app: Flask
) -> None:
    rows.add(Member(roll=students.id, attributes={"toAddress": "Ada@example.edu"}))
    rows.add(Member(roll=students.id, attributes={"toAddress": "bob@example.edu"}))
    with app.app_context(), unit_of_work() as session:
        for client_id in (registrar.id, None):  # another's bounces are not theirs
            known = receivers.email(session, client_id, "ada@example.edu")
            known.bounced_at = datetime(2026, 11, 28, 12, tzinfo=UTC)
            known.bounce_reason = "No <b>such</b> mailbox" if client_id else "Ours"
    page = pat.http.get(f"{HOME}/populations/{students.id}").get_data(as_text=True)
    assert page.count("Mail comes back") == 1
    assert "No &lt;b&gt;such&lt;/b&gt; mailbox" in page
    assert "Ours" not in page
    (ada, bob) = sorted(rows.all(Member), key=lambda one: one.id)
    for person, is_marked in ((ada, True), (bob, False)):
        path = f"{HOME}/populations/{students.id}/people/{person.id}"
        assert ("came back" in pat.http.get(path).get_data(as_text=True)) is is_marked


def test_what_is_in_use_stays(staff: Staff, rows: Rows, add_person: Callable[..., User]) -> None:
    bursar = department(rows, "bursar", "77")
    add_person("kim@example.edu", bursar.client)
    staff.sign_in("kim@example.edu")
    path = f"/staff/clients/bursar/populations/{bursar.population.id}"
    answer = staff.send(f"{path}/delete", seen_at=path)
    page = staff.http.get(answer.headers["Location"]).get_data(as_text=True)
    assert "is used by the communication “reminders”" in page
    assert rows.count(Population) == 1


def test_what_is_unused_goes(pat: Staff, students: Population, rows: Rows) -> None:
    rows.add(Member(roll=students.id, attributes={"toPhone": "+13195550150"}))
    path = f"{HOME}/populations/{students.id}"
    pat.send(f"{path}/delete", seen_at=path)
    assert rows.count(Population) == rows.count(Member) == 0


def test_another_clients_people_do_not_exist(pat: Staff, students: Population, rows: Rows) -> None:
    theirs = department(rows, "bursar", "77").population
    member = rows.one(Member)
    base = f"{HOME}/populations"
    person = f"people/{member.id}"
    for path in (theirs.id, f"{theirs.id}/export", f"{theirs.id}/people/new",
                 f"{theirs.id}/{person}", f"{students.id}/{person}"):  # fmt: skip
        assert pat.http.get(f"{base}/{path}").status_code == 404
    for path in ("import", "delete", f"people/{member.id}/remove", f"people/{member.id}"):
        for population in (theirs.id, students.id):
            if population == students.id and path in ("import", "delete"):
                continue
            answer = pat.send(f"{base}/{population}/{path}", seen_at=base)
            assert answer.status_code == 404
    assert rows.count(Member) == 1
