"""Two people, or two systems, that do the same thing at once: both are answered in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.domain.passwords import hash_password
from app.models.delivery import Delivery
from app.models.route import Route
from app.models.template import Template
from app.models.user import Membership, Role, User
from tests.staff.conftest import PASSWORD, Staff
from tests.support.departments import Caller, Department, department
from tests.support.racing import at_once
from tests.support.rows import Rows


@pytest.fixture
def owners(app: Flask, rows: Rows) -> list[tuple[Staff, str]]:
    """Return two owners of two clients, each at a browser of their own, with their homes."""
    hashed = hash_password(PASSWORD)
    people = []
    for name, tail in (("registrar", "11"), ("library", "22")):
        made = department(rows, name, tail)
        user = User(email=f"{name}@example.edu", password_hash=hashed)
        rows.add(user)
        rows.add(Membership(user_id=user.id, client_id=made.client.id, role=Role.OWNER))
        staff = Staff(app.test_client())
        staff.sign_in(user.email)
        people.append((staff, f"/staff/clients/{name}"))
    return people


def posting(staff: Staff, path: str, seen_at: str, **fields: str) -> Callable[[], Any]:
    data = {"csrf_token": staff.token(seen_at), **fields}
    return partial(staff.http.post, path, data=data)


def test_an_address_that_two_invite_at_once_is_invited_by_both(
    app: Flask, rows: Rows, owners: list[tuple[Staff, str]]
) -> None:
    works = [
        posting(staff, f"{home}/people", f"{home}/people", email="New@example.edu", role="staff")
        for staff, home in owners
    ]
    answers = at_once(app, "user", works)
    assert [answer.status_code for answer in answers] == [302, 302]
    invited = rows.one(select(User).where(User.email == "new@example.edu"))
    of = select(Membership).where(Membership.user_id == invited.id)
    assert len(rows.all(of)) == 2
    assert rows.count(Delivery) == 2  # an invitation from each


def test_one_client_that_invites_somebody_twice_at_once_invites_them_once(
    app: Flask, rows: Rows, owners: list[tuple[Staff, str]]
) -> None:
    staff, home = owners[0]
    both = Staff(app.test_client())
    both.sign_in("registrar@example.edu")
    works = [
        posting(one, f"{home}/people", f"{home}/people", email="new@example.edu", role="owner")
        for one in (staff, both)
    ]
    answers = at_once(app, "user", works)
    assert [answer.status_code for answer in answers] == [302, 302]
    assert len(rows.all(select(User).where(User.email == "new@example.edu"))) == 1
    assert rows.count(Delivery) == 1


def test_a_name_that_two_take_at_once_is_one_persons(
    app: Flask, rows: Rows, owners: list[tuple[Staff, str]]
) -> None:
    staff, home = owners[0]
    both = Staff(app.test_client())
    both.sign_in("registrar@example.edu")
    works = [
        posting(one, f"{home}/templates/new/reply", f"{home}/templates/new/reply",
                name="closed", body="We are closed.", media="")
        for one in (staff, both)
    ]  # fmt: skip
    answers = at_once(app, "template", works)
    first, second = sorted(answers, key=lambda answer: answer.status_code)
    assert first.status_code == 302
    assert second.status_code in (409, 422)
    assert "at the same moment" in second.text or "already" in second.text
    assert len(rows.all(select(Template).where(Template.name == "closed"))) == 1


def test_systems_are_told_in_problem_details(app: Flask, rows: Rows) -> None:
    made: Department = department(rows, "registrar", "11")
    rows.change(Route.__table__.delete())
    address = made.number.address
    body = {"sms": {"handler": "auto_reply", "template": made.reply.name}}
    works = [
        partial(Caller.by_header(app.test_client(), made).put, f"numbers/{address}/routes", body)
        for _ in range(2)
    ]
    answers = at_once(app, "route", works)
    assert answers[0].status_code in (200, 409)
    assert {answer.status_code for answer in answers} in ({200}, {200, 409})
    for answer in answers:
        if answer.status_code == 409:
            assert answer.content_type == "application/problem+json"
            assert "at the same moment" in answer.json["detail"]
    assert len(rows.all(Route)) == 1
