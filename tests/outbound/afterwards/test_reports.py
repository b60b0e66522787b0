"""Taken reports on their way to their messages: at once, whoever dies, whatever one of them is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.domain.sending import journal, statuses
from app.domain.sending.reports import Report
from app.extensions import unit_of_work
from app.inbound import shared_commits
from app.maintenance import retention
from app.models.base import utcnow
from app.models.message import JournaledReport, Message, MessageReport, MessageState
from app.outbound.afterwards import sweep
from tests.support.house import House, furnish, text
from tests.support.processes import Processes, wait_until
from tests.support.reports import apply_reports
from tests.support.rows import Rows

SID = "SM" + "0" * 32


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows)


def take(app: Flask, message: Message, word: str = "sent", sid: str | None = SID) -> None:
    with app.app_context():
        shared_commits.append((message.id, Report(word, "callback", sid=sid), utcnow()))


def of(rows: Rows, message: Message) -> Message:
    return rows.one(select(Message).where(Message.id == message.id))


def test_one_that_cannot_be_applied_takes_no_other_along(
    app: Flask, rows: Rows, house: House
) -> None:
    """Its SID is another message's already."""
    messages = [text(house, state=MessageState.ACCEPTED) for _ in range(5)]
    rows.add(text(house, state=MessageState.ACCEPTED, sid=SID), *messages)
    for number, message in enumerate(messages):
        take(app, message, sid=f"SM{number:032}")
    apply_reports(app)
    assert [of(rows, message).status for message in messages] == [None, *["sent"] * 4]
    assert rows.one(JournaledReport).message_id == messages[0].id


def test_a_lost_claim_of_which_a_report_tells_is_not_lost(
    app: Flask, rows: Rows, house: House
) -> None:
    past = datetime.now(UTC) - timedelta(minutes=5)
    message = text(house, state=MessageState.CLAIMED, check_at=past)
    rows.add(message)
    take(app, message)
    with app.app_context():
        assert sweep.lost_claims() == 0
    assert of(rows, message).state is MessageState.ACCEPTED


def test_retention_applies_what_is_told_before_a_message_goes(
    app: Flask, rows: Rows, house: House
) -> None:
    message = text(house, state=MessageState.ACCEPTED, sid=SID, status="sent")
    rows.add(message)
    rows.change(update(Message).values(created_at=datetime.now(UTC) - timedelta(days=60)))
    take(app, message, "delivered")
    with app.app_context():
        retention.run()
    assert (rows.count(Message), rows.count(JournaledReport)) == (0, 0)


def test_reports_that_come_together_share_a_commit(
    app: Flask, rows: Rows, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [text(house, state=MessageState.ACCEPTED, sid=f"SM{n:032}") for n in range(9)]
    rows.add(*messages)
    commits, may_go, real = [], Event(), journal.append

    def slow(session: object, given: list[statuses.Given]) -> None:
        commits.append(len(given))
        real(session, given)  # type: ignore[arg-type]
        if len(commits) == 1:
            may_go.wait(10)

    monkeypatch.setattr(journal, "append", slow)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(take, app, messages[0], "sent", messages[0].sid)
        wait_until(lambda: commits, "the first one is being committed")
        others = [pool.submit(take, app, one, "sent", one.sid) for one in messages[1:]]
        wait_until(lambda: len(shared_commits._coming) == 8, "the others have come")
        may_go.set()
        for one in (first, *others):
            one.result(10)
    assert commits == [1, 8]
    assert rows.count(JournaledReport) == 9


def test_one_that_cannot_be_kept_fails_alone(app: Flask, rows: Rows, house: House) -> None:
    messages = [text(house, state=MessageState.ACCEPTED, sid=f"SM{n:032}") for n in range(3)]
    rows.add(*messages)
    bad = Report("sent", "callback", details={"never": object()})
    now = utcnow()

    def append(given: statuses.Given) -> None:
        with app.app_context():
            shared_commits.append(given)

    with ThreadPoolExecutor(3) as pool, shared_commits._turn:
        kept = pool.submit(append, (messages[0].id, Report("sent", "callback"), now))
        wait_until(lambda: len(shared_commits._coming) == 1, "one waits")
        failed = pool.submit(append, (messages[1].id, bad, now))
        wait_until(lambda: len(shared_commits._coming) == 2, "both wait")
        shared_commits._turn.release()
        kept.result(10)
        with pytest.raises(Exception, match="not JSON serializable"):
            failed.result(10)
        shared_commits._turn.acquire()
    assert rows.one(JournaledReport).message_id == messages[0].id


@pytest.mark.processes
def test_nothing_is_lost_when_whoever_applies_dies(
    app: Flask, rows: Rows, house: House, processes: Processes
) -> None:
    messages = [text(house, state=MessageState.ACCEPTED, sid=f"SM{n:032}") for n in range(40)]
    rows.add(*messages)
    worker = processes.procfile("worker-relay")
    clock = processes.procfile("clock")
    for number, message in enumerate(messages):
        take(app, message, "delivered", message.sid)
        if number == 20:
            worker.kill()
    processes.procfile("worker-relay")
    wait_until(lambda: rows.count(JournaledReport) == 0, "all are applied", 30)
    assert {one.status for one in rows.all(Message)} == {"delivered"}
    assert rows.count(MessageReport) == 40
    clock.kill()


def test_they_are_applied_in_the_order_in_which_they_came(
    app: Flask, rows: Rows, house: House
) -> None:
    message = text(house, state=MessageState.ACCEPTED, sid=SID)
    rows.add(message)
    with app.app_context(), unit_of_work() as session:
        now = utcnow()
        journal.append(
            session,
            [(message.id, Report(word, "callback"), now) for word in ("sent", "queued", "sending")],
        )
    apply_reports(app)
    kept = rows.all(select(MessageReport).order_by(MessageReport.id))
    assert [one.status for one in kept] == ["sent", "queued", "sending"]
    assert of(rows, message).status == "sent"
