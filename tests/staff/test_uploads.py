"""An uploaded file is looked at first: what was recognised, mapped and mended, then taken in."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from app.domain.audience import arrivals, populations, rolls, staging, uploads
from app.domain.audience.members import subscribe
from app.domain.mistakes import Refused
from app.extensions import db, unit_of_work
from app.maintenance import chores, retention
from app.models.audience import Member, Population
from app.models.base import utcnow
from app.models.client import Client
from app.models.house import AuditEntry
from app.models.upload import Upload, UploadPart
from app.models.user import Role, User
from tests.staff.conftest import Staff
from tests.support.departments import department
from tests.support.rows import Rows
from tests.support.uploads import decide, form_of, send_file, take_in
from tests.support.workbooks import book

HOME = "/staff/clients/registrar"
ADA = {"toName": "Ada", "toPhone": "+13195550100"}


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
def path(students: Population) -> str:
    return f"{HOME}/populations/{students.id}"


def people(rows: Rows) -> list[dict[str, Any]]:
    return [one.attributes for one in sorted(rows.all(Member), key=lambda one: one.id)]


def size_of(app: Flask, population: Population) -> int:
    with app.app_context():
        return populations.size(db.session(), population.id)


def test_nothing_is_saved_before_the_page(pat: Staff, path: str, rows: Rows) -> None:
    page = send_file(pat, path, "Name;Handynummer\nAda;3195550100\n").headers["Location"]
    shown = pat.http.get(page).text
    assert people(rows) == []
    for words in ("Nothing is saved yet", "Semicolon", "Handynummer", "(319) 555-0100", "1 person"):
        assert words in shown
    decide(pat, page, "look")
    assert people(rows) == []
    decide(pat, page, "save")
    assert people(rows) == [ADA]
    (noted,) = [one for one in rows.all(AuditEntry) if one.action == "import"]
    assert noted.details == {"added": 1, "changed": 0, "same": 0, "removed": 0, "left_out": 0}


def test_columns_are_mapped_and_remembered(pat: Staff, path: str, rows: Rows) -> None:
    content = "Wer,Nr,Intern,Kurs\nAda,3195550100,x,Algebra\n"
    page = send_file(pat, path, content).headers["Location"]
    assert "Say which one holds the phones" in pat.http.get(page).text
    chosen = {"as-0": "toName", "as-1": "toPhone", "as-2": "", "name-3": "my course"}
    assert "Algebra" in pat.http.get(decide(pat, page, "look", **chosen).headers["Location"]).text
    assert people(rows) == []
    decide(pat, page, "save")
    assert people(rows) == [{**ADA, "my_course": "Algebra"}]
    again = "Kurs;NR;Wer;Intern\nLogik;3195550101;Bob;y\n"
    take_in(pat, path, again)
    assert people(rows)[1] == {
        "toPhone": "+13195550101", "toName": "Bob", "my_course": "Logik"
    }  # fmt: skip


def test_a_workbook_says_its_sheets_and_hidden_rows(pat: Staff, path: str, rows: Rows) -> None:
    def change(made: Any) -> None:
        made.active.row_dimensions[3].hidden = True
        made.create_sheet("Other").append(["Telefon"])
        made["Other"].append([3195550109])

    content = book([["Name", "Rufnummer"], ["Ada", 3195550100], ["Bob", 3195550101]], change)
    page = send_file(pat, path, content, "Klasse.xlsx").headers["Location"]
    shown = pat.http.get(page).text
    assert "Klasse.xlsx" in shown
    assert "Take the 1 hidden row too" in shown
    decide(pat, page, "save", with_hidden="on")
    assert [one["toName"] for one in people(rows)] == ["Ada", "Bob"]
    page = send_file(pat, path, content, "Klasse.xlsx").headers["Location"]
    decide(pat, page, "look", sheet="Other", header_line="")
    decide(pat, page, "save", sheet="Other")
    assert people(rows)[2] == {"toPhone": "+13195550109"}


def test_where_the_letters_are_uncertain_names_are_shown_and_asked(
    pat: Staff, path: str, rows: Rows
) -> None:
    content = "toName,toPhone\r\nDvořák,3195550100\r\n".encode("cp1250")
    page = send_file(pat, path, content).headers["Location"]
    shown = pat.http.get(page).text
    for words in ("How do these names read?", "Dvořák", "Dvoøák", "Central European"):
        assert words in shown
    decide(pat, page, "save", encoding="cp1250")
    assert people(rows)[0]["toName"] == "Dvořák"


def test_faulty_rows_are_downloaded_mended_and_uploaded(pat: Staff, path: str, rows: Rows) -> None:
    content = "toName,toPhone,note\nAda,3195550100,\nBob,1.32E+10,=1+1\n王,319555018.0,\n"
    page = send_file(pat, path, content).headers["Location"]
    assert "2 rows have mistakes" in pat.http.get(page).text
    refused = decide(pat, page, "save")
    assert refused.status_code == 422
    assert "Nothing was saved" in refused.text
    answer = decide(pat, page, "save", skip="on")
    done = pat.http.get(answer.headers["Location"]).text
    assert "2 faulty rows left out" in done
    file = pat.http.get(f"{page}/faulty.csv")
    assert file.mimetype == "text/csv"
    told = file.data.decode("utf-8-sig")
    read = list(csv.reader(io.StringIO(told)))
    assert read[0] == ["What is wrong", "toName", "toPhone", "note"]
    assert [one[1:] for one in read[1:]] == [
        ["Bob", "1.32E+10", "'=1+1"], ["王", "319555018.0", ""]
    ]  # fmt: skip
    mended = told.replace("1.32E+10", "3195550101").replace(",319555018.0", ",3195550102")
    take_in(pat, path, mended)
    assert people(rows) == [
        ADA,
        {"toName": "Bob", "toPhone": "+13195550101", "note": "=1+1"},
        {"toName": "王", "toPhone": "+13195550102"},
    ]


def test_a_file_is_taken_in_once(pat: Staff, path: str, rows: Rows) -> None:
    page = send_file(pat, path, "toPhone\n3195550100\n").headers["Location"]
    sent = {**form_of(pat, page).fields, "action": "save"}
    for _ in range(2):
        pat.http.post(page, data=sent)
    assert rows.count(Member) == 1
    assert "The file is in: 1 new" in pat.http.get(page).text
    assert [one.action for one in rows.all(AuditEntry)].count("import") == 1


def test_two_who_press_at_once_take_it_in_once(
    app: Flask, pat: Staff, path: str, rows: Rows, students: Population
) -> None:
    page = send_file(pat, path, "toPhone\n3195550100\n").headers["Location"]
    upload_id = page.rpartition("/")[2]
    barrier = threading.Barrier(2)
    ended: list[str] = []

    def press() -> None:
        with app.app_context():
            upload = db.session.get(Upload, upload_id)
            assert upload is not None
            looked = uploads.look(upload, uploads.wanted_of(upload))
            barrier.wait()
            try:
                uploads.save(
                    upload, uploads.wanted_of(upload), looked, lambda *_: None, replace=False
                )
                ended.append("in")
            except ValueError as refused:
                ended.append(str(refused))

    threads = [threading.Thread(target=press) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(ended) == ["This file is in the population already.", "in"]
    assert people(rows) == [{"toPhone": "+13195550100"}]


def test_another_process_goes_on_with_a_file(app: Flask, pat: Staff, path: str, rows: Rows) -> None:
    """Nothing of it is in memory: what is left of the first process is in the database."""
    note = "x" * 50  # so that the file is stored in several parts
    content = "toName,toPhone,note\n"
    content += "".join(f"P{n},319555{n:04},{note}\n" for n in range(2000, 9000))
    page = send_file(pat, path, content).headers["Location"]
    assert rows.count(UploadPart) > 1
    other = Staff(app.test_client())
    other.sign_in("pat@example.edu")
    decide(other, page, "save")
    assert rows.count(Member) == 7000


def test_old_members_stay_until_all_new_ones_are_there(
    app: Flask, rows: Rows, students: Population, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [{"toPhone": f"+1319555{n:04}"} for n in range(2000, 2010)]
    rows.add(*[Member(roll=students.id, attributes=one) for one in old])
    new = [{"toPhone": f"+1319556{n:04}"} for n in range(2000, 5000)]
    seen: list[int] = []
    write = staging._add

    def watched(*arguments: Any) -> None:
        write(*arguments)
        with ThreadPoolExecutor(1) as other:  # another process, in a session of its own
            seen.append(other.submit(size_of, app, students).result())

    monkeypatch.setattr(staging, "_add", watched)
    with app.app_context():
        staging.take_in(students.id, new, lambda *_: None, replace=True)
    assert seen == [10, 10, 10]
    assert size_of(app, students) == 3000
    with app.app_context():
        chores.run()
    assert [one["toPhone"] for one in people(rows)] == [one["toPhone"] for one in new]


def test_who_comes_by_another_door_meanwhile_is_neither_lost_nor_twice(
    app: Flask, rows: Rows, students: Population, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a file is written aside, others subscribe: one of the file, and one of their own."""
    by_api = [{"toPhone": "+13195552001", "from": "API"}, {"toPhone": "+13195559999"}]
    compare = arrivals.compare

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if by_api:
            with unit_of_work() as session:
                population = session.get_one(Population, students.id)
                subscribe(session, population, by_api.pop(), "api")
        return compare(*arguments, **options)

    monkeypatch.setattr(arrivals, "compare", interrupted)
    new = [{"toPhone": f"+1319555{n:04}", "from": "file"} for n in range(2000, 2003)]
    with app.app_context():
        done = staging.take_in(students.id, new, lambda *_: None, replace=False)
    found = {one["toPhone"]: one.get("from") for one in people(rows)}
    assert found == {
        "+13195552000": "file", "+13195552001": "file", "+13195552002": "file",
        "+13195559999": None,
    }  # fmt: skip
    assert len(people(rows)) == 4
    assert (done.added, done.changed) == (2, 1)


def test_a_death_in_the_middle_leaves_the_population_as_it_was(
    app: Flask, rows: Rows, students: Population, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.add(Member(roll=students.id, attributes=ADA))
    monkeypatch.setattr(staging, "CHUNK", 1)  # so that two changes are many
    monkeypatch.setattr(rolls, "exchange", lambda *_: 1 / 0)
    monkeypatch.setattr(staging, "_give_up", lambda *_: None)  # nobody is left to do it
    with app.app_context(), pytest.raises(ZeroDivisionError):
        staging.take_in(students.id, [{"toPhone": "+13195550101"}], lambda *_: None, replace=True)
    assert size_of(app, students) == 1
    assert len(people(rows)) == 2
    with app.app_context(), time_machine.travel(utcnow() + timedelta(hours=25)):
        chores.run()
    assert people(rows) == [ADA]


def test_a_list_that_never_rests_is_reserved_for_the_file_at_last(
    app: Flask, rows: Rows, students: Population, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody subscribes at each try; at the last one they are told to come again."""
    compare, told = arrivals.compare, []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        try:
            with unit_of_work() as session:
                population = session.get_one(Population, students.id)
                subscribe(session, population, {"toPhone": f"+1319555{len(told):04}"}, "api")
            told.append("in")
        except Refused as refused:
            told.append(refused.mistakes[0].code)
        return compare(*arguments, **options)

    monkeypatch.setattr(arrivals, "compare", interrupted)
    with app.app_context():
        staging.take_in(students.id, [{"toPhone": "+13195558000"}], lambda *_: None, replace=False)
    assert told == ["in", "in", "in", "busy"]
    assert len(people(rows)) == 4
    with app.app_context(), unit_of_work() as session:  # and now it is everybody's again
        population = session.get_one(Population, students.id)
        subscribe(session, population, {"toPhone": "+13195558001"}, "api")


def test_files_are_kept_for_a_day_and_ten_at_most(
    app: Flask, pat: Staff, path: str, rows: Rows
) -> None:
    for number in range(12):
        send_file(pat, path, f"toPhone\n31955501{number:02}\n", f"{number}.csv")
    assert {one.filename for one in rows.all(Upload)} == {f"{n}.csv" for n in range(2, 12)}
    with app.app_context(), time_machine.travel(utcnow() + timedelta(hours=23)):
        retention.run()
    assert rows.count(Upload) == 10
    with app.app_context(), time_machine.travel(utcnow() + timedelta(hours=25)):
        retention.run()
    assert rows.count(Upload) == rows.count(UploadPart) == 0


def test_files_go_with_their_population_and_can_be_thrown_away(
    pat: Staff, path: str, rows: Rows
) -> None:
    page = send_file(pat, path, "toPhone\n3195550100\n").headers["Location"]
    pat.send(f"{page}/discard", seen_at=page)
    assert rows.count(Upload) == rows.count(UploadPart) == 0
    send_file(pat, path, "toPhone\n3195550100\n")
    pat.send(f"{path}/delete", seen_at=path)
    assert rows.count(Upload) == rows.count(Population) == 0


def test_nobody_meets_another_clients_file(
    pat: Staff, path: str, students: Population, rows: Rows
) -> None:
    theirs = department(rows, "bursar", "77")
    kept = Upload(
        client_id=theirs.client.id, population_id=theirs.population.id, filename="a", size=1
    )
    mine = Population(client_id=students.client_id, name="other")
    rows.add(kept, mine)
    own = send_file(pat, path, "toPhone\n3195550100\n").headers["Location"]
    for population_id, upload_id in (
        (theirs.population.id, kept.id), (students.id, kept.id), (mine.id, own.rpartition("/")[2])
    ):  # fmt: skip
        where = f"{HOME}/populations/{population_id}/uploads/{upload_id}"
        assert pat.http.get(where).status_code == 404
        assert pat.http.get(f"{where}/faulty.csv").status_code == 404
        for action in ("", "/discard"):
            assert pat.send(f"{where}{action}", seen_at=path).status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"encoding": "rot13"},
        {"encoding": "idna"},
        {"separator": "ab"},
        {"sheet": "nowhere", "header_line": "x"},
        {"header_line": "-1"},
        {"header_line": "9" * 30},
        {"as-0": "toName"},
        {"as-0": "other", "name-0": "a\x00b"},
        {"as-1": "toPhone", "as-0": "toPhone"},
    ],
)
def test_what_no_form_sends_is_refused_in_words(
    pat: Staff, path: str, rows: Rows, fields: dict[str, str]
) -> None:
    page = send_file(pat, path, "toPhone,toName\n3195550100,Ada\n").headers["Location"]
    answer = decide(pat, page, "save", **fields)
    assert answer.status_code in (400, 422)
    assert people(rows) == []
    assert pat.http.get(page).status_code == 200
