"""Only people who know their password get in, and only to their own clients."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.models.client import Client
from app.models.user import LoginFailure, StaffSession, User
from tests.staff.conftest import PASSWORD, Staff
from tests.support.rows import Rows

AddPerson = Callable[..., User]
PAT = "pat@example.edu"


def test_pages_lead_to_the_sign_in(client: FlaskClient, registrar: Client) -> None:
    answer = client.get("/staff/clients/registrar/")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/staff/login?next=/staff/clients/registrar/"


def test_a_person_signs_in_and_lands_at_their_only_client(
    staff: Staff, registrar: Client, add_person: AddPerson, rows: Rows
) -> None:
    add_person(PAT, registrar)
    answer = staff.sign_in("Pat@Example.edu")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/staff/")
    assert staff.http.get("/staff/").headers["Location"] == "/staff/clients/registrar/"
    assert "registrar" in staff.http.get("/staff/clients/registrar/").get_data(as_text=True)
    assert rows.count(LoginFailure) == 0


@pytest.mark.parametrize(
    ("email", "password"),
    [(PAT, "wrong"), ("nobody@example.edu", PASSWORD), (PAT, "")],
    ids=["wrong password", "unknown person", "no password"],
)
def test_whoever_cannot_prove_it_stays_outside(
    staff: Staff, registrar: Client, add_person: AddPerson, email: str, password: str
) -> None:
    add_person(PAT, registrar)
    answer = staff.sign_in(email, password)
    assert answer.status_code == 422
    assert staff.http.get("/staff/").status_code == 302


@pytest.mark.parametrize(
    ("wanted", "landed"),
    [
        ("/staff/clients/registrar/", "/staff/clients/registrar/"),
        ("https://evil.example/", "/staff/"),
        ("//evil.example/staff/", "/staff/"),
        ("/staff/\\evil.example", "/staff/"),
    ],
    ids=["own page", "other site", "scheme-relative", "backslash"],
)
def test_sign_in_leads_back_to_own_pages_only(
    staff: Staff, registrar: Client, add_person: AddPerson, wanted: str, landed: str
) -> None:
    add_person(PAT, registrar)
    answer = staff.send(f"/staff/login?next={wanted}", email=PAT, password=PASSWORD)
    assert answer.headers["Location"] == landed


def test_ten_failures_in_fifteen_minutes_are_the_limit(
    staff: Staff, registrar: Client, add_person: AddPerson
) -> None:
    add_person(PAT, registrar)
    start = datetime(2026, 11, 21, 12, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        for _ in range(10):
            assert staff.sign_in(PAT, "wrong").status_code == 422
        assert staff.sign_in(PAT).status_code == 429, "even with the right password"
        clock.move_to(start + timedelta(minutes=16))
        assert staff.sign_in(PAT).status_code == 302


def test_one_address_cannot_try_many_accounts(
    staff: Staff, registrar: Client, add_person: AddPerson
) -> None:
    add_person(PAT, registrar)
    for number in range(10):
        assert staff.sign_in(f"guess{number}@example.edu", "wrong").status_code == 422
    assert staff.sign_in(PAT).status_code == 429


def test_a_form_without_its_token_is_refused(client: FlaskClient) -> None:
    answer = client.post("/staff/login", data={"email": PAT, "password": PASSWORD})
    assert answer.status_code == 400
    assert "out of date" in answer.get_data(as_text=True)


def test_a_new_password_ends_the_other_sessions(
    app, staff: Staff, registrar: Client, add_person: AddPerson
) -> None:
    add_person(PAT, registrar)
    elsewhere = Staff(app.test_client())
    elsewhere.sign_in(PAT)
    staff.sign_in(PAT)
    new = "other plain words here"
    staff.send("/staff/account", current=PASSWORD, new=new, again=new)
    assert staff.http.get("/staff/account").status_code == 200
    assert elsewhere.http.get("/staff/account").status_code == 302
    assert Staff(app.test_client()).sign_in(PAT, new).status_code == 302


def test_another_clients_pages_do_not_exist(
    staff: Staff, registrar: Client, add_person: AddPerson, rows: Rows
) -> None:
    rows.add(Client(name="bursar", owner_email="bursar@example.edu"))
    add_person(PAT, registrar)
    staff.sign_in(PAT)
    assert staff.http.get("/staff/clients/bursar/").status_code == 404
    assert staff.http.get("/staff/clients/nowhere/").status_code == 404


def test_support_sees_every_client(
    staff: Staff, registrar: Client, add_person: AddPerson, rows: Rows
) -> None:
    rows.add(Client(name="bursar", owner_email="bursar@example.edu"))
    add_person("help@example.edu", support=True)
    staff.sign_in("help@example.edu")
    for name in ("registrar", "bursar"):
        assert staff.http.get(f"/staff/clients/{name}/").status_code == 200


def test_pages_carry_the_headers_that_protect_them(client: FlaskClient) -> None:
    headers = client.get("/staff/login").headers
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "Secure" in cookie
    assert "SameSite=Lax" in cookie


def stolen_from(app: Flask, staff: Staff) -> Callable[[], int]:
    """Return what opens a page with the cookies that the browser has now, as a thief would."""
    sent = "; ".join(f"{one.key}={one.value}" for one in staff.http._cookies.values())
    browser = app.test_client(use_cookies=False)
    return lambda: browser.get("/staff/account", headers={"Cookie": sent}).status_code


def test_signing_out_ends_the_session_at_the_server(app: Flask, pat: Staff) -> None:
    thief = stolen_from(app, pat)
    assert thief() == 200
    pat.send("/staff/logout", seen_at="/staff/account")
    assert thief() == 302


def test_a_session_ends_after_a_day_however_much_it_is_used(pat: Staff) -> None:
    start = datetime.now(UTC)
    with time_machine.travel(start, tick=False) as clock:
        for hours in range(6, 24, 6):
            clock.move_to(start + timedelta(hours=hours))
            assert pat.http.get("/staff/account").status_code == 200
        clock.move_to(start + timedelta(hours=24, minutes=1))
        assert pat.http.get("/staff/account").status_code == 302


def test_a_session_that_is_not_used_ends_at_the_server(app: Flask, pat: Staff) -> None:
    thief = stolen_from(app, pat)
    assert thief() == 200
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=12, minutes=1)):
        assert thief() == 302


def test_people_see_their_sessions_and_end_one(
    app: Flask, pat: Staff, registrar: Client, add_person: AddPerson, rows: Rows
) -> None:
    elsewhere = Staff(app.test_client())
    elsewhere.sign_in(PAT)
    kim = Staff(app.test_client())
    add_person("kim@example.edu", registrar)
    kim.sign_in("kim@example.edu")
    page = pat.http.get("/staff/account").get_data(as_text=True)
    assert page.count("End the session of") == 2
    there = rows.all(select(StaffSession).order_by(StaffSession.id))[1].id
    path = f"/staff/account/sessions/{there}/end"
    assert kim.send(path, seen_at="/staff/account").status_code == 404, "not kim's"
    assert pat.send(path, seen_at="/staff/account").status_code == 302
    assert elsewhere.http.get("/staff/account").status_code == 302
    assert pat.http.get("/staff/account").status_code == 200


def test_nobody_is_locked_out_by_the_tries_of_others(app: Flask, pat: Staff) -> None:
    pat.send("/staff/logout", seen_at="/staff/account")
    for _ in range(12):
        Staff(app.test_client()).sign_in(PAT, "wrong")
    assert Staff(app.test_client()).sign_in(PAT).status_code == 429
    assert pat.sign_in(PAT).status_code == 302, "a browser that has signed in before"
    assert Staff(app.test_client()).sign_in(PAT).status_code == 429, "and it forgives only its own"


def test_a_known_browser_has_ten_tries_of_its_own(app: Flask, pat: Staff) -> None:
    pat.send("/staff/logout", seen_at="/staff/account")
    for _ in range(10):
        assert pat.sign_in(PAT, "wrong").status_code == 422
    assert pat.sign_in(PAT).status_code == 429
    assert Staff(app.test_client()).sign_in(PAT).status_code == 302


def test_refused_tries_do_not_make_the_wait_longer(
    staff: Staff, registrar: Client, add_person: AddPerson
) -> None:
    add_person(PAT, registrar)
    start = datetime(2026, 11, 21, 12, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        for _ in range(10):
            staff.sign_in(PAT, "wrong")
        clock.move_to(start + timedelta(minutes=10))
        assert staff.sign_in(PAT).status_code == 429
        clock.move_to(start + timedelta(minutes=15, seconds=1))
        assert staff.sign_in(PAT).status_code == 302


def test_a_password_that_is_guessed_first_cannot_be_chosen(pat: Staff) -> None:
    for new in ("password1", PAT, "aaaaaaaaaa"):
        answer = pat.send("/staff/account", current=PASSWORD, new=new, again=new)
        assert answer.status_code == 422


def test_support_closes_accounts_but_neither_its_own_nor_the_last(
    app: Flask, pat: Staff, add_person: AddPerson, rows: Rows
) -> None:
    me = add_person("help@example.edu", support=True)
    other = add_person("other@example.edu", support=True)
    patty = rows.one(select(User).where(User.email == PAT))
    support, second = Staff(app.test_client()), Staff(app.test_client())
    support.sign_in("help@example.edu")
    second.sign_in("other@example.edu")
    here = "/staff/accounts"

    def close(who: User) -> int:
        return support.send(f"{here}/{who.id}/disable", seen_at=here).status_code

    assert (close(me), close(patty), close(other)) == (409, 302, 302)
    for closed in (pat, second):
        assert closed.http.get("/staff/account").status_code == 302
        assert closed.http.get("/staff/login").status_code == 200
    answer = Staff(app.test_client()).sign_in(PAT)
    assert answer.status_code == 422
    assert "This account is closed" in answer.get_data(as_text=True)
    support.send(f"{here}/{patty.id}/enable", seen_at=here)
    assert pat.sign_in(PAT).status_code == 302
    assert pat.http.get(here).status_code == 403


def test_sign_ins_and_failures_are_in_the_trail_that_support_reads(
    app: Flask, pat: Staff, add_person: AddPerson
) -> None:
    Staff(app.test_client()).sign_in(PAT, "wrong")
    Staff(app.test_client()).sign_in("hunter2-typed-as-address@x.org", "wrong")
    add_person("help@example.edu", support=True)
    support = Staff(app.test_client())
    support.sign_in("help@example.edu")
    page = support.http.get("/staff/history").get_data(as_text=True)
    assert page.count("failed to sign in from 127.0.0.1") == 2
    assert "an unknown person" in page
    assert "hunter2" not in page
    assert pat.http.get("/staff/history").status_code == 403
