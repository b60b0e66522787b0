"""Owners invite people by e-mail; a link lets its person choose a password, once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from app.domain import sign_in_links
from app.extensions import Base, reading
from app.models.base import utcnow
from app.models.client import Client
from app.models.delivery import Delivery
from app.models.house import AuditEntry
from app.models.user import Membership, Role, User
from tests.staff.conftest import PASSWORD, Staff
from tests.support.rows import Rows

AddPerson = Callable[..., User]
PEOPLE = "/staff/clients/registrar/people"
NEW = "lee@example.edu"


@pytest.fixture
def owner(staff: Staff, registrar: Client, add_person: AddPerson) -> Staff:
    add_person("pat@example.edu", registrar)
    staff.sign_in("pat@example.edu")
    return staff


def mailed_link(app: Flask, rows: Rows) -> str:
    """Return the path of the link in the only mail, as it is written when that is sent."""
    delivery = rows.one(Delivery)
    data = json.loads(delivery.body)["data"]
    with app.app_context():
        text = sign_in_links.fill(data["text"], delivery.context)
    found = re.search(r"https?://[^/]+(/staff/invitation/\S+)", text)
    assert found, data
    return found[1]


def test_an_invited_person_chooses_a_password_and_is_in(
    app: Flask, owner: Staff, rows: Rows
) -> None:
    owner.send(PEOPLE, email="Lee@Example.edu", role="staff")
    assert "invited" in owner.http.get(PEOPLE).get_data(as_text=True)
    lee = Staff(app.test_client())
    link = mailed_link(app, rows)
    answer = lee.send(link, new=PASSWORD, again=PASSWORD)
    assert answer.status_code == 302
    assert lee.http.get("/staff/clients/registrar/inbox").status_code == 200
    assert Staff(app.test_client()).sign_in(NEW).status_code == 302
    assert [one.action for one in rows.all(AuditEntry)] == [
        "sign in", "invite", "choose password", "sign in",
    ]  # fmt: skip


def test_a_link_works_once_and_for_a_week(app: Flask, owner: Staff, rows: Rows) -> None:
    owner.send(PEOPLE, email=NEW, role="staff")
    link = mailed_link(app, rows)
    stranger = Staff(app.test_client())
    with time_machine.travel(utcnow() + timedelta(days=7, minutes=1)):
        assert stranger.http.get(link).status_code == 404
    assert stranger.send(link, new=PASSWORD, again=PASSWORD).status_code == 302
    assert Staff(app.test_client()).http.get(link).status_code == 404
    assert stranger.http.get(link[:-2] + "xx").status_code == 404


@pytest.mark.parametrize(
    "fields",
    [{"new": "short", "again": "short"}, {"new": PASSWORD, "again": "something else"}],
    ids=["too short", "not the same"],
)
def test_a_poor_password_is_refused_in_words(
    app: Flask, owner: Staff, rows: Rows, fields: dict[str, str]
) -> None:
    owner.send(PEOPLE, email=NEW, role="staff")
    assert Staff(app.test_client()).send(mailed_link(app, rows), **fields).status_code == 422


@pytest.mark.parametrize("email", ["", "no address", "a@b", "x@example.edu\r\nBcc: y@z.org"])
def test_an_invitation_needs_one_address(owner: Staff, rows: Rows, email: str) -> None:
    assert owner.send(PEOPLE, email=email, role="staff").status_code == 422
    assert rows.count(User) == 1


def test_staff_may_look_but_not_invite(
    app: Flask, registrar: Client, add_person: AddPerson, rows: Rows
) -> None:
    kim = add_person("kim@example.edu", registrar, role=Role.STAFF)
    staff = Staff(app.test_client())
    staff.sign_in("kim@example.edu")
    assert "Invite somebody" not in staff.http.get(PEOPLE).get_data(as_text=True)
    for path in (PEOPLE, f"{PEOPLE}/{kim.id}/role", f"{PEOPLE}/{kim.id}/remove"):
        answer = staff.send(path, seen_at="/staff/account", email=NEW, role="owner")
        assert answer.status_code == 403
    assert rows.one(Membership).role is Role.STAFF


@pytest.mark.parametrize("action", ["role", "remove"])
def test_the_last_owner_stays(owner: Staff, rows: Rows, action: str) -> None:
    me = rows.one(User)
    answer = owner.send(f"{PEOPLE}/{me.id}/{action}", seen_at=PEOPLE)
    assert answer.status_code == 409
    assert "needs an owner" in answer.get_data(as_text=True)
    assert rows.one(Membership).role is Role.OWNER


def test_a_removed_person_sees_nothing_more(
    app: Flask, owner: Staff, registrar: Client, add_person: AddPerson
) -> None:
    kim = add_person("kim@example.edu", registrar, role=Role.STAFF)
    staff = Staff(app.test_client())
    staff.sign_in("kim@example.edu")
    owner.send(f"{PEOPLE}/{kim.id}/remove", seen_at=PEOPLE)
    assert staff.http.get(PEOPLE).status_code == 404


def test_who_forgot_gets_one_mail_an_hour_and_strangers_none(
    app: Flask, registrar: Client, add_person: AddPerson, rows: Rows
) -> None:
    add_person(NEW, registrar)
    someone = Staff(app.test_client())
    said = [
        someone.send("/staff/forgotten", email=email).headers["Location"]
        for email in ("nobody@example.edu", NEW, NEW)
    ]
    assert set(said) == {"/staff/login"}
    assert someone.send(mailed_link(app, rows), new="a fresh new one", again="a fresh new one")
    assert Staff(app.test_client()).sign_in(NEW, "a fresh new one").status_code == 302


def test_a_reset_link_lives_an_hour_and_stands_nowhere_in_the_database(
    app: Flask, registrar: Client, add_person: AddPerson, rows: Rows
) -> None:
    add_person(NEW, registrar)
    Staff(app.test_client()).send("/staff/forgotten", email=NEW)
    link = mailed_link(app, rows)
    token = link.rpartition("/")[2]
    with app.app_context(), reading() as connection:
        for table in Base.metadata.sorted_tables:
            stored = repr(connection.execute(select(table)).all())
            assert token not in stored, table.name
            assert "/staff/invitation/" not in stored, table.name
    with time_machine.travel(utcnow() + timedelta(minutes=59)):
        assert Staff(app.test_client()).http.get(link).status_code == 200
    with time_machine.travel(utcnow() + timedelta(minutes=61)):
        assert Staff(app.test_client()).http.get(link).status_code == 404
    lee = Staff(app.test_client())
    new = "other plain words here"
    assert lee.send(link, new=new, again=new).status_code == 302
    assert Staff(app.test_client()).http.get(link).status_code == 404


def test_one_address_is_not_flooded_with_invitations(owner: Staff, rows: Rows) -> None:
    for _ in range(3):
        assert owner.send(PEOPLE, email=NEW, role="staff").status_code == 302
    assert rows.count(Delivery) == 1
