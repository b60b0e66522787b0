"""Owners give out what is known of a person, and erase it; staff cannot."""

from __future__ import annotations

import json

import pytest
from flask import Flask
from sqlalchemy import update

from app.models.audience import Member, Population
from app.models.client import Client
from app.models.user import Membership, Role
from tests.staff.conftest import Staff
from tests.support.rows import Rows

PHONE = "+13195550142"
PERSON = f"/staff/clients/registrar/inbox/phone/{PHONE}"
EXPORT = f"/staff/clients/registrar/person-export/{PHONE}"
ERASE = f"/staff/clients/registrar/person-erase/{PHONE}"


@pytest.fixture
def ann(rows: Rows, registrar: Client) -> Member:
    """Somebody of a list who never wrote and was never written to."""
    students = Population(client_id=registrar.id, name="students")
    rows.add(students)
    known = {"toName": "Ann Lee", "toPhone": "(319) 555-0142"}
    member = Member(roll=students.id, attributes=known)
    rows.add(member)
    return member


def become(rows: Rows, role: Role) -> None:
    rows.change(update(Membership).values(role=role))


def test_an_owner_downloads_what_is_known_and_erases_it(
    pat: Staff, rows: Rows, ann: Member
) -> None:
    become(rows, Role.OWNER)
    page = pat.http.get(PERSON).text
    assert "Download what is known" in page
    answer = pat.http.get(EXPORT)
    assert answer.headers["Content-Disposition"].startswith(
        'attachment; filename="person-13195550142-'
    )
    assert json.loads(answer.text)["lists"][0]["attributes"]["toName"] == "Ann Lee"
    asked = pat.http.get(ERASE).text
    assert "Erase this person?" in asked
    assert "Ann Lee" in asked
    answer = pat.http.post(ERASE, data={"csrf_token": pat.token(ERASE)}, follow_redirects=True)
    assert "Erased (list entries: 1; entries of the history: 2). Opt-outs stay." in answer.text
    assert rows.count(Member) == 0
    for path in (PERSON, EXPORT):
        assert pat.http.get(path).status_code == 404


def test_staff_may_not(app: Flask, pat: Staff, rows: Rows, ann: Member) -> None:
    become(rows, Role.STAFF)
    page = pat.http.get(PERSON)
    assert (page.status_code, "Download what is known" in page.text) == (200, False)
    for path in (EXPORT, ERASE):
        assert pat.http.get(path).status_code == 403
    token = pat.token("/staff/account")
    assert pat.http.post(ERASE, data={"csrf_token": token}).status_code == 403
    assert rows.count(Member) == 1
