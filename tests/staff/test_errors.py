"""Whatever goes wrong, a person gets a calm page with a sentence and a way on; a program, JSON."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from io import BytesIO

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import delete
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from app.extensions import MAX_REQUEST_BYTES
from app.models.client import Client
from app.models.template import Template
from app.models.user import Role, StaffSession, User
from app.staff import access
from app.staff.inbox import home
from tests.staff.conftest import PASSWORD, Staff
from tests.support.processes import Processes
from tests.support.rows import Rows

HOME = "/staff/clients/registrar"
AddPerson = Callable[..., User]


def read(answer: TestResponse, status: int, *said: str) -> None:
    """Check that an answer is a whole page: its words, a way on, and nothing that runs."""
    page = answer.get_data(as_text=True)
    assert (answer.status_code, answer.mimetype) == (status, "text/html"), page
    for words in said:
        assert words in page
    assert re.search(r'<a class="button( plain)?" href="/staff/', page), "a way on"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/staff", "/staff/nowhere", f"{HOME}/nowhere", "/staff/a/b/c"])
def test_an_unknown_address_is_not_found(pat: Staff, path: str) -> None:
    answer = pat.http.get(path, follow_redirects=True)
    if path != "/staff":  # leads to the first page
        read(answer, 404, "Not found", "There is no such page, or it is not yours to see.")
        assert "pat@example.edu" in answer.text, "still signed in"


def test_strangers_see_the_same_page(staff: Staff, registrar: Client) -> None:
    read(staff.http.get("/staff/nowhere"), 404, "Not found")


def test_what_is_gone_is_said(pat: Staff) -> None:
    read(pat.http.get(f"{HOME}/endpoints/gone"), 404, "There is no such endpoint", "To registrar")


def test_an_address_of_forms_is_no_page(pat: Staff) -> None:
    answer = pat.http.get("/staff/logout")
    read(answer, 405, "takes forms only")
    assert "POST" in answer.headers["Allow"]


def test_staff_are_told_what_owners_may_do(
    app: Flask, registrar: Client, add_person: AddPerson
) -> None:
    add_person("kim@example.edu", registrar, role=Role.STAFF)
    kim = Staff(app.test_client())
    kim.sign_in("kim@example.edu")
    answer = kim.send(f"{HOME}/settings", seen_at="/staff/account")
    read(answer, 403, "Not for you", "Only an owner of this client may do that.")


def test_a_form_that_is_out_of_date(pat: Staff) -> None:
    read(pat.http.post(f"{HOME}/recordings"), 400, "This form is out of date", "Nothing was saved")
    stale = pat.http.post("/staff/account", data={"csrf_token": "of another session"})
    read(stale, 400, "This form is out of date")


def test_what_was_written_survives_an_ended_session(
    app: Flask, pat: Staff, registrar: Client, rows: Rows
) -> None:
    path = f"{HOME}/templates/new/reply"
    typed = {"name": "closed", "body": "We are closed\nuntil <Monday>."}
    stranger = Staff(app.test_client())
    answer = stranger.http.post(path, data={**typed, "csrf_token": "of an ended session"})
    read(answer, 400, "You were signed out", "We are closed\nuntil &lt;Monday&gt;.")
    assert rows.count(Template) == 0
    again = pat.http.post(path, data={**typed, "csrf_token": "of an ended session"})
    read(again, 400, "Not saved yet", "Send it now")
    assert rows.count(Template) == 0, "nothing is saved before somebody has pressed the button"
    kept = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', again.text))
    sent = {name: html.unescape(value) for name, value in kept.items()}
    assert {name: sent[name] for name in typed} == typed
    pat.http.post(path, data=sent)
    assert rows.one(Template).name == "closed"


def test_a_form_with_a_valid_token_survives_a_session_that_has_ended(
    pat: Staff, rows: Rows
) -> None:
    path = f"{HOME}/templates/new/reply"
    token = pat.token(path)
    rows.change(delete(StaffSession))
    typed = {"name": "closed", "body": "We are closed.", "csrf_token": token}
    read(pat.http.post(path, data=typed), 400, "You were signed out", "We are closed.")


FOREIGN = {
    "another site": {"Origin": "https://evil.example"},
    "another site, says the browser": {"Sec-Fetch-Site": "cross-site"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_what_another_site_sends_is_not_offered(headers: dict[str, str], pat: Staff) -> None:
    typed = {"name": "closed", "body": "Not ours at all."}
    answer = pat.http.post(f"{HOME}/templates/new/reply", data=typed, headers=headers)
    read(answer, 400, "This form is out of date")
    assert "Not ours at all." not in answer.text


def test_a_secret_is_not_handed_back(pat: Staff) -> None:
    typed = {"name": "main", "auth_token": "5ecret words", "account_sid": "AC1"}
    answer = pat.http.post(f"{HOME}/credentials/new", data=typed)
    assert "5ecret" not in answer.text


def test_the_bare_address_leads_to_the_pages(app: Flask) -> None:
    answer = app.test_client().get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/staff/")


def test_a_file_that_is_too_large(pat: Staff) -> None:
    file = (BytesIO(b"\0" * (MAX_REQUEST_BYTES + 1)), "long.mp3")
    token = pat.token(f"{HOME}/recordings")
    answer = pat.http.post(f"{HOME}/recordings", data={"csrf_token": token, "file": file})
    read(answer, 413, "Too large", "10 MB")


def test_a_failure_of_ours_shows_nothing_of_it(pat: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_session: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(home, "_today", fail)
    answer = pat.http.get(f"{HOME}/")
    read(answer, 500, "Something failed", "To registrar")
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", [f"{HOME}/", "/staff/nowhere"])
def test_a_database_that_is_away(pat: Staff, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    def away(_person: str) -> None:
        raise OperationalError("SELECT", {}, Exception("connection refused"))

    monkeypatch.setattr(access.login, "_user_callback", away)
    answer = pat.http.get(path)
    read(answer, 503, "Just a moment", "Texts and calls are not lost")
    assert answer.headers["Retry-After"] == "5"


@pytest.mark.parametrize("path", ["/api/v1/nowhere", "/inbound/nowhere", "/staffroom", "/nowhere"])
def test_programs_get_problem_details(staff: Staff, path: str) -> None:
    answer = staff.http.get(path)
    assert answer.mimetype == "application/problem+json"


@pytest.mark.browser
@pytest.mark.processes
@pytest.mark.database("sqlite")
def test_a_browser_gets_to_see_what_is_too_large(
    page: Page, processes: Processes, registrar: Client, add_person: AddPerson
) -> None:
    """An answer before the end of a request is lost: the connection would just break."""
    add_person("pat@example.edu", registrar)
    processes.web()
    page.goto(f"{processes.base_url}/staff/login?next={HOME}/recordings")
    page.get_by_label("E-mail address").fill("pat@example.edu")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Name").fill("closed")
    content = b"\0" * (MAX_REQUEST_BYTES + 4_000_000)
    file = {"name": "closed.mp3", "mimeType": "audio/mpeg", "buffer": content}
    page.get_by_label("Audio file").set_input_files(files=[file])
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Too large")
    page.get_by_role("link", name="To the first page").or_(
        page.get_by_role("link", name="To registrar")
    ).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("registrar")
