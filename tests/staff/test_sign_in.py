"""Only people who know their password get in, and only to their own clients."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask.testing import FlaskClient

from app.models.client import Client
from app.models.user import LoginFailure, User
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
