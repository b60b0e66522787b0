"""A second pair of eyes: many people are reached only when somebody else has looked at it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import delete, select, update

from app.domain.reach import Refusal
from app.domain.sending import approval, communications, running
from app.extensions import db, unit_of_work
from app.models.audience import Member
from app.models.batch import Batch, BatchMember, BatchState
from app.models.client import Client
from app.models.communication import Communication
from app.models.credential import ApiKey
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint
from app.models.house import AuditEntry
from app.models.message import Message
from app.models.template import Template, TemplateVersion
from app.models.user import Membership, Role, User
from app.outbound import batches
from app.outbound.send import drains
from tests.support.fake_twilio import FakeTwilio
from tests.support.house import House, communication, furnish, join
from tests.support.rows import Rows

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
ABOVE = 2
PAT, BO = "pat@example.edu", "bo@example.edu"


@pytest.fixture
def house(rows: Rows) -> House:
    """Pat and Bo own it, Cy works in it; above two members somebody else approves."""
    made = furnish(rows, rate=100, approval_above=ABOVE)
    for email, role in ((PAT, Role.OWNER), (BO, Role.OWNER), ("cy@example.edu", Role.STAFF)):
        user = User(email=email, password_hash="x")
        rows.add(user)
        rows.add(Membership(user_id=user.id, client_id=made.client.id, role=role))
    return made


@pytest.fixture
def made(rows: Rows, house: House) -> Communication:
    return communication(rows, house, "old {{ toName }}")


def people(count: int) -> list[dict[str, Any]]:
    return [{"toName": f"P{n}", "toPhone": f"+1319555{n:04}"} for n in range(count)]


def start(app: Flask, made: Communication, by: str = PAT, at: datetime | None = None) -> Batch:
    with app.app_context(), unit_of_work() as session:
        found = session.get_one(Communication, made.id)
        return communications.start_batch(session, found, by, at)


def adhoc(app: Flask, made: Communication, count: int, by: str = PAT) -> None:
    with app.app_context(), unit_of_work() as session:
        found = session.get_one(Communication, made.id)
        communications.start_adhoc(session, found, people(count), by)


def decide(app: Flask, what: str, by: str, *more: str) -> str | None:
    """Approve or reject the only batch; return the code of the refusal, if it is refused."""
    try:
        with app.app_context(), unit_of_work() as session:
            batch = session.scalars(select(Batch)).one()
            getattr(approval, what)(session, batch, by, *more)
    except Refusal as refusal:
        return refusal.code
    return None


def keep_house(app: Flask) -> None:
    with app.app_context():
        batches.drain()


def send(app: Flask) -> None:
    with app.app_context():
        drains.drain()


def noted(rows: Rows) -> list[tuple[str, str]]:
    return [(one.actor, one.action) for one in rows.all(select(AuditEntry).order_by(AuditEntry.id))]


def mails(rows: Rows, subject: str) -> dict[str, str]:
    """What is written to whom with these words in its subject."""
    found = select(Endpoint.url, Delivery.body).join(Endpoint, Endpoint.id == Delivery.endpoint_id)
    with rows.app.app_context():
        told = [(to, json.loads(body)["data"]) for to, body in db.session.execute(found)]
    return {to: data["text"] for to, data in told if subject in data["subject"]}


@pytest.mark.parametrize(
    ("count", "state"), [(2, BatchState.PREPARING), (3, BatchState.AWAITING_APPROVAL)]
)
@pytest.mark.parametrize("how", ["now", "later", "adhoc"])
def test_more_members_than_the_client_allows_wait_for_somebody_else(
    app: Flask, rows: Rows, fake: FakeTwilio, made: Communication, how: str, count: int,
    state: BatchState,
) -> None:  # fmt: skip
    join(rows, made, *people(count))
    with time_machine.travel(NOW, tick=False) as clock:
        if how == "adhoc":
            adhoc(app, made, count)
        else:
            start(app, made, at=NOW + timedelta(hours=1) if how == "later" else None)
        waits = state is BatchState.AWAITING_APPROVAL
        if how != "later" or waits:
            assert rows.one(Batch).state is state
            assert rows.count(BatchMember) == count
        clock.shift(timedelta(hours=2))
        keep_house(app)
        send(app)
    assert len(fake.accepted) == (0 if waits else count)


def test_a_list_that_has_grown_by_the_time_it_begins_is_asked_about_then(
    app: Flask, rows: Rows, fake: FakeTwilio, made: Communication
) -> None:
    join(rows, made, *people(1))
    with time_machine.travel(NOW, tick=False) as clock:
        start(app, made, at=NOW + timedelta(hours=1))
        assert rows.one(Batch).state is BatchState.SCHEDULED
        join(rows, made, *people(4)[1:])
        clock.shift(timedelta(hours=1))
        keep_house(app)
        batch = rows.one(Batch)
        assert (batch.state, batch.total, batch.started_at) == ("awaiting_approval", 4, None)
        assert decide(app, "approve", BO) is None
        keep_house(app)
        send(app)
    assert len(fake.accepted) == 4


def test_what_was_approved_is_what_goes_out_whatever_has_changed_since(
    app: Flask, rows: Rows, fake: FakeTwilio, made: Communication
) -> None:
    join(rows, made, *people(3))
    start(app, made)
    rows.change(delete(Member))
    join(rows, made, *people(30)[20:])
    assert decide(app, "approve", BO) is None
    rows.add(TemplateVersion(template_id=made.template_id, number=2, body="new", created_by=PAT))
    rows.change(update(Template).values(current_version=2))
    rows.change(update(Communication).values(population_id=None))
    keep_house(app)
    send(app)
    keep_house(app)
    assert sorted(one.body for one in fake.accepted) == ["old P0", "old P1", "old P2"]
    batch = rows.one(Batch)
    assert (batch.state, batch.decided_by, batch.total) == (BatchState.COMPLETE, BO, 3)


def test_a_changed_communication_is_asked_about_anew(
    app: Flask, rows: Rows, made: Communication
) -> None:
    join(rows, made, *people(3))
    start(app, made)
    assert decide(app, "approve", BO) is None
    assert start(app, made).state is BatchState.AWAITING_APPROVAL


def test_asking_and_deciding_are_on_record(app: Flask, rows: Rows, made: Communication) -> None:
    join(rows, made, *people(3))
    start(app, made)
    decide(app, "approve", BO)
    assert noted(rows) == [(PAT, "start"), (PAT, "ask approval"), (BO, "approve")]
    entry = rows.all(select(AuditEntry).where(AuditEntry.action == "approve"))[0]
    assert entry.client_id == made.client_id
    assert (entry.target, entry.details["members"], entry.details["started by"]) == (
        "batch of reminder", 3, PAT,
    )  # fmt: skip


KEYS = {"sis": PAT, "other": PAT, "boss": BO, "file": "flask apply (root)"}


@pytest.mark.parametrize(
    ("starter", "decider", "code"),
    [
        (PAT, BO, None),
        (PAT, "cy@example.edu", None),
        (PAT, PAT, approval.OWN),
        (PAT, PAT.upper(), approval.OWN),
        (PAT, "API key sis", approval.OWN),
        (PAT, "API key boss", None),
        ("API key sis", "API key sis", approval.OWN),
        ("API key sis", "API key other", approval.OWN),
        ("API key sis", PAT, approval.OWN),
        ("API key sis", "API key boss", None),
        ("API key file", "API key file", approval.OWN),
        ("API key file", "API key sis", None),
        ("API key file", PAT, None),
        ("flask batch (pat)", PAT, None),
    ],
)
@pytest.mark.parametrize("what", [("approve",), ("reject", "no")], ids=["approve", "reject"])
def test_nobody_decides_about_their_own_by_a_key_of_theirs_neither(
    app: Flask, rows: Rows, house: House, made: Communication, what: tuple[str, ...],
    starter: str, decider: str, code: str | None,
) -> None:  # fmt: skip
    rows.add(*[
        ApiKey(client_id=house.client.id, label=label, key_sha256=label, made_by=by)
        for label, by in KEYS.items()
    ])  # fmt: skip
    adhoc(app, made, 3, starter)
    assert decide(app, what[0], decider, *what[1:]) == code
    moved = rows.one(Batch).state is not BatchState.AWAITING_APPROVAL
    assert moved is (code is None)


def test_of_two_who_decide_at_once_one_does(app: Flask, rows: Rows, made: Communication) -> None:
    join(rows, made, *people(3))
    start(app, made)
    works = [("approve", BO), ("reject", "cy@example.edu", "no")]
    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(lambda work: decide(app, *work), works))
    assert sorted(codes, key=str) == [None, "wrong_state"]
    done = [by for (_, by, *_), code in zip(works, codes, strict=True) if code is None]
    assert [rows.one(Batch).decided_by] == done


def test_what_was_rejected_never_goes_out_and_who_started_it_is_told_why(
    app: Flask, rows: Rows, fake: FakeTwilio, made: Communication
) -> None:
    join(rows, made, *people(3))
    start(app, made)
    assert decide(app, "reject", BO, "The exam week is wrong.") is None
    keep_house(app)
    send(app)
    batch = rows.one(Batch)
    assert (batch.state, batch.ended_at is not None) == (BatchState.REFUSED, True)
    assert batch.reason == f"Not approved by {BO}: The exam week is wrong."
    assert (rows.count(BatchMember), rows.count(Message), fake.accepted) == (0, 0, [])
    asked, refused = mails(rows, "waits for your approval"), mails(rows, "was not approved")
    assert (asked.keys(), refused.keys()) == ({BO}, {PAT})
    assert "3 people" in asked[BO]
    assert "The exam week is wrong." in refused[PAT]
    assert decide(app, "approve", BO) == "wrong_state"


@pytest.mark.parametrize(("days", "state"), [(6.9, "awaiting_approval"), (7, "refused")])
def test_without_a_decision_within_seven_days_it_is_refused(
    app: Flask, rows: Rows, made: Communication, days: float, state: str
) -> None:
    join(rows, made, *people(3))
    with time_machine.travel(NOW, tick=False) as clock:
        start(app, made)
        clock.shift(timedelta(days=days))
        keep_house(app)
        keep_house(app)
    batch = rows.one(Batch)
    assert batch.state == state
    if state == "refused":
        assert batch.reason == "Nobody approved it within 7 days."
        assert rows.count(BatchMember) == 0
        assert noted(rows)[-1] == ("dispatch", "reject")


def cancel(app: Flask, rows: Rows) -> None:
    with app.app_context(), unit_of_work() as session:
        running.cancel(session, session.scalars(select(Batch)).one(), PAT)


def test_who_started_it_may_take_it_back(
    app: Flask, rows: Rows, fake: FakeTwilio, made: Communication
) -> None:
    join(rows, made, *people(3))
    start(app, made)
    cancel(app, rows)
    assert decide(app, "approve", BO) == "wrong_state"
    keep_house(app)
    send(app)
    batch = rows.one(Batch)
    assert (batch.state, batch.ended_at is not None) == (BatchState.CANCELED, True)
    assert fake.accepted == []


@pytest.mark.parametrize("act", [running.pause, running.resume])
def test_no_other_move_leads_round_it(
    app: Flask, rows: Rows, made: Communication, act: Any
) -> None:
    join(rows, made, *people(3))
    start(app, made)
    with app.app_context(), pytest.raises(Refusal), unit_of_work() as session:
        act(session, session.scalars(select(Batch)).one(), PAT)
    assert rows.one(Batch).state is BatchState.AWAITING_APPROVAL


def test_what_waits_goes_on_waiting_when_nobody_has_to_be_asked_any_more(
    app: Flask, rows: Rows, made: Communication
) -> None:
    join(rows, made, *people(3))
    start(app, made)
    rows.change(update(Client).values(approval_above=None))
    keep_house(app)
    assert rows.one(Batch).state is BatchState.AWAITING_APPROVAL
    assert start(app, made).state is BatchState.PREPARING
