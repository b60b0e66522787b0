"""A batch takes over its members piece by piece, and gets those of the moment at which it began."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import deletion
from app.domain.audience import arrivals, members, staging, taking
from app.domain.mistakes import Refused
from app.domain.persons import erasing
from app.domain.sending import communications, running
from app.extensions import db, unit_of_work
from app.models.audience import Member, Population
from app.models.batch import Batch, BatchMember, BatchState, BatchTaking
from app.models.client import Client
from app.models.communication import Communication
from tests.support.house import communication, furnish, join
from tests.support.rows import Rows

PEOPLE = [{"toName": f"P{n}", "toPhone": f"+1319555{n:04}"} for n in range(7)]
NAMES = [one["toName"] for one in PEOPLE]
LATE = {"toName": "late", "toPhone": "+13195559999"}


@pytest.fixture
def begun(app: Flask, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> str:
    """A batch of seven that has taken over the first two."""
    monkeypatch.setattr(taking, "CHUNK", 2)
    made = communication(rows, furnish(rows))
    join(rows, made, *PEOPLE)
    with app.app_context(), unit_of_work() as session:
        found = session.get_one(Communication, made.id)
        return communications.start_batch(session, found, "pat@example.edu").id


def taken(rows: Rows) -> list[str]:
    found = sorted(rows.all(BatchMember), key=lambda one: one.position)
    assert [one.position for one in found] == list(range(len(found)))
    return [one.attributes.get("toName", "") for one in found]


def take_all(app: Flask, batch_id: str) -> None:
    with app.app_context():
        while True:
            with unit_of_work() as session:
                if not taking.take(session, batch_id):
                    return


def test_pieces_are_small_and_make_the_whole(app: Flask, rows: Rows, begun: str) -> None:
    assert taken(rows) == NAMES[:2]
    assert rows.one(Batch).total == 7
    with app.app_context(), unit_of_work() as session:
        assert taking.take(session, begun)
    assert taken(rows) == NAMES[:4]
    take_all(app, begun)
    assert taken(rows) == NAMES
    assert rows.count(BatchTaking) == 0


def of_the_list(session: Session) -> Population:
    return session.scalars(select(Population)).one()


def member(session: Session, name: str) -> Member:
    return next(one for one in session.scalars(select(Member)) if one.attributes["toName"] == name)


def add(session: Session) -> None:
    members.save(session, of_the_list(session), LATE, None, "pat")


def subscribe(session: Session) -> None:
    members.subscribe(session, of_the_list(session), LATE, "pat")


def change(session: Session) -> None:
    new = {**PEOPLE[6], "toName": "another"}
    members.save(session, of_the_list(session), new, member(session, "P6"), "pat")


def remove(session: Session) -> None:
    members.remove(session, of_the_list(session), member(session, "P6"), "pat")


def replace(session: Session) -> None:
    arrivals.take_in(session, of_the_list(session), [LATE], replace=True)


CHANGES = [add, subscribe, change, remove, replace]


@pytest.mark.parametrize("change", CHANGES, ids=[one.__name__ for one in CHANGES])
def test_who_changes_the_list_meanwhile_does_not_change_the_batch(
    change: Callable[[Session], None], app: Flask, rows: Rows, begun: str
) -> None:
    with app.app_context(), unit_of_work() as session:
        change(session)
    take_all(app, begun)
    assert taken(rows) == NAMES
    assert rows.one(Batch).total == 7


def test_a_file_that_replaces_everybody_comes_too_late(app: Flask, rows: Rows, begun: str) -> None:
    def nothing_more(*_: Any) -> None:
        return None

    with app.app_context():
        population_id = db.session.scalars(select(Population.id)).one()
        db.session.rollback()
        staging.take_in(population_id, [LATE], nothing_more, replace=True)
    take_all(app, begun)
    assert taken(rows) == NAMES
    assert [one.attributes["toName"] for one in rows.all(Member)] == ["late"]


def test_a_person_who_is_erased_meanwhile_is_erased_from_the_batch(
    app: Flask, rows: Rows, begun: str
) -> None:
    with app.app_context():
        erasing.erase(rows.one(Client).id, PEOPLE[6]["toPhone"], "pat")
    take_all(app, begun)
    assert taken(rows) == [*NAMES[:6], ""]


def test_a_pause_does_not_hold_it_up_and_a_cancellation_ends_it(
    app: Flask, rows: Rows, begun: str
) -> None:
    with app.app_context(), unit_of_work() as session:
        running.pause(session, session.get_one(Batch, begun), "pat")
    with app.app_context(), unit_of_work() as session:
        assert taking.take(session, begun)
    assert taken(rows) == NAMES[:4]
    with app.app_context(), unit_of_work() as session:
        running.cancel(session, session.get_one(Batch, begun), "pat")
    take_all(app, begun)
    assert taken(rows) == NAMES[:4]
    assert rows.count(BatchTaking) == 0


def test_a_list_is_not_deleted_before_everybody_is_taken(
    app: Flask, rows: Rows, begun: str
) -> None:
    with app.app_context(), unit_of_work() as session:
        made = session.scalars(select(Communication)).one()
        made.population_id = None
    refused = pytest.raises(Refused, match="a batch that begins")
    with app.app_context(), refused, unit_of_work() as session:
        deletion.remove(session, of_the_list(session), "pat")
    take_all(app, begun)
    assert taken(rows) == NAMES
    with app.app_context(), unit_of_work() as session:
        deletion.remove(session, of_the_list(session), "pat")


def test_workers_and_changes_at_the_same_moment_take_everybody_once(
    app: Flask, rows: Rows, begun: str
) -> None:
    def change_it(number: int) -> None:
        person = {"toName": f"late {number}", "toPhone": f"+1319777{number:04}"}
        with app.app_context(), unit_of_work() as session:
            members.save(session, of_the_list(session), person, None, "pat")

    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(take_all, app, begun) for _ in range(3)]
        done += [pool.submit(change_it, number) for number in range(3)]
        for one in done:
            one.result()
    assert taken(rows) == NAMES
    assert rows.one(Batch).state is BatchState.PREPARING
