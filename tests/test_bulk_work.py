"""Work on many rows is done some at a time: no transaction of it changes more than a few.

A transaction that changes a hundred thousand rows holds SQLite's only write lock for seconds, or
rows that an answer to Twilio needs. Counted are the rows that each transaction changes, by the
databases' own counters: that tells the same however busy the machine is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import Connection, event, insert, select

from app.domain import deletion
from app.domain.audience import members, staging, taking
from app.domain.persons import erasing
from app.domain.relaying import deliveries, endpoints
from app.domain.sending import communications
from app.extensions import db, unit_of_work
from app.maintenance import chores
from app.models.audience import Member, Population
from app.models.base import new_id, utcnow
from app.models.batch import BatchMember
from app.models.chore import Chore, ChoreKind
from app.models.communication import Communication
from app.models.delivery import Delivery, DeliveryState, EventType
from app.models.endpoint import Endpoint, EndpointState
from app.models.message import Direction, Message, MessageState
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from app.models.upload import Upload, UploadPart
from tests.support.clients import Department, department
from tests.support.house import House, communication
from tests.support.rows import Rows

MANY = 5000
MOST = 2500
"""Rows that a transaction may change: a thousand people, the counters of each index row aside.
Where all are changed at once there are twice as many."""


@contextmanager
def counted(app: Flask) -> Iterator[list[int]]:
    """Note how many rows each transaction of this process changes."""
    found: list[int] = []
    before: dict[int, int] = {}

    def begins(connection: Connection) -> None:
        before[id(connection)] = _changed(connection)

    def ends(connection: Connection) -> None:
        found.append(_changed(connection) - before.pop(id(connection)))

    with app.app_context():
        engine = db.engine
    event.listen(engine, "begin", begins)
    event.listen(engine, "commit", ends)
    try:
        yield found
    finally:
        event.remove(engine, "begin", begins)
        event.remove(engine, "commit", ends)


def _changed(connection: Connection) -> int:
    """Return how many rows a connection has changed so far."""
    raw: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        return int(raw.total_changes)
    with raw.cursor() as cursor:  # what the server has not put into its statistics yet
        cursor.execute(
            "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::int"
            " FROM pg_stat_xact_user_tables"
        )
        return int(cursor.fetchone()[0])


@pytest.fixture
def of(rows: Rows) -> Department:
    return department(rows)


def fill(of: Department, model: type[Any], make: Callable[[int], dict[str, Any]]) -> None:
    with of.rows.app.app_context(), unit_of_work() as session:
        session.execute(insert(model), [make(n) for n in range(MANY)])


def students(of: Department) -> Population:
    population = Population(client_id=of.client.id, name="students")
    of.rows.add(population)
    fill(of, Member, lambda n: {"roll": population.roll, "attributes": person(n)})
    return population


def person(n: int, **more: Any) -> dict[str, Any]:
    return {"toName": f"P{n}", "toPhone": f"+1319555{n:04}", **more}


def told(of: Department, state: DeliveryState) -> Endpoint:
    endpoint = of.endpoint()
    now = utcnow()
    fill(of, Delivery, lambda n: {
        "id": new_id(), "client_id": of.client.id, "endpoint_id": endpoint.id, "commit_order": n,
        "type": EventType.SMS_RECEIVED, "occurred_at": now, "created_at": now, "body": "{}",
        "context": {}, "state": state, "give_up_at": now + timedelta(hours=1),
        "next_attempt_at": now if state is DeliveryState.PENDING else None,
        "event_id": f"msg_{n}",
    })  # fmt: skip
    return endpoint


def put_in_place(of: Department) -> Callable[[], None]:
    """A file that changes everybody, lets nobody go and brings as many again."""
    population = students(of)
    file = [person(n, year="2") for n in range(2 * MANY)]

    def work() -> None:
        staging.take_in(population.id, file, lambda *_: None, replace=True)

    return work


def delete_population(of: Department) -> Callable[[], None]:
    population = students(of)
    of.rows.add(
        upload := Upload(client_id=of.client.id, population_id=population.id, filename="a", size=1)
    )
    of.rows.add(*(UploadPart(upload_id=upload.id, number=n, content=b"x") for n in range(10)))

    def work() -> None:
        with unit_of_work() as session:
            deletion.remove(session, session.get_one(Population, population.id), "pat")

    return work


def delete_suppression_list(of: Department) -> Callable[[], None]:
    listed = SuppressionList(client_id=of.client.id, name="left")
    of.rows.add(listed)
    fill(of, SuppressionEntry, lambda n: {
        "id": new_id(), "list_id": listed.id, "phone": f"+1319555{n:04}", "since": utcnow(),
        "source": SuppressionSource.IMPORT,
    })  # fmt: skip

    def work() -> None:
        with unit_of_work() as session:
            deletion.remove(session, session.get_one(SuppressionList, listed.id), "pat")

    return work


def change_while_a_batch_begins(of: Department) -> Callable[[], None]:
    """Whoever changes a list of which a batch takes its members over lets it do so first."""
    house = House(of.client, of.credential, of.number)
    made = communication(of.rows, house)
    population = of.rows.one(Population)
    fill(of, Member, lambda n: {"roll": population.roll, "attributes": person(n)})
    with of.rows.app.app_context(), unit_of_work() as session:
        communications.start_batch(session, session.get_one(Communication, made.id), "pat")

    def work() -> None:
        taking.ahead(population.id)
        with unit_of_work() as session:
            found = session.get_one(Population, population.id)
            members.subscribe(session, found, {"toPhone": "+13195550000", "year": "3"}, "api")

    return work


def act(of: Department, waiting: DeliveryState, verb: Callable[..., Any], **columns: Any) -> Any:
    endpoint = told(of, waiting)
    with of.rows.app.app_context(), unit_of_work() as session:
        found = session.get_one(Endpoint, endpoint.id)
        for name, value in columns.items():
            setattr(found, name, value)

    def work() -> None:
        with unit_of_work() as session:
            verb(session, session.get_one(Endpoint, endpoint.id))

    return work


def disable(of: Department) -> Callable[[], None]:
    verb = lambda session, endpoint: endpoints.disable(session, endpoint, "pat")  # noqa: E731
    return act(of, DeliveryState.PENDING, verb)


def enable(of: Department) -> Callable[[], None]:
    def verb(session: Any, endpoint: Endpoint) -> None:
        assert endpoints.enable(session, endpoint, "pat", send_held=True) == MANY

    return act(of, DeliveryState.HELD, verb, state=EndpointState.DISABLED)


def resume(of: Department) -> Callable[[], None]:
    verb = lambda session, endpoint: endpoints.resume(session, endpoint, "pat")  # noqa: E731
    since = utcnow() - timedelta(days=1)
    return act(of, DeliveryState.PENDING, verb, state=EndpointState.PAUSED, changed_at=since)


def replay(of: Department) -> Callable[[], None]:
    wanted = deliveries.Range(utcnow() - timedelta(days=1), utcnow() + timedelta(days=1))

    def verb(session: Any, endpoint: Endpoint) -> None:
        deliveries.replay(session, endpoint, wanted, "pat", MANY)

    return act(of, DeliveryState.EXHAUSTED, verb)


def erase(of: Department) -> Callable[[], None]:
    """Somebody who was texted thousands of times is forgotten."""
    sent = {
        "client_id": of.client.id, "sender_id": of.number.id, "credential_id": of.credential.id,
        "destination": "sms", "to": "+13195550150", "from_": of.number.address, "body": "Hello",
        "state": MessageState.ACCEPTED, "direction": Direction.API,
    }  # fmt: skip
    fill(of, Message, lambda n: {"id": new_id(), "commit_order": n, **sent})

    def work() -> None:
        receipt = erasing.erase(of.client.id, "+13195550150", "pat")
        assert receipt == {"texts and calls to them": MANY}

    return work


def nothing_is_said_any_more(of: Department) -> None:
    assert {(one.to, one.body) for one in of.rows.all(Message)} == {("erased", None)}


def everybody_is_new(of: Department) -> None:
    found = of.rows.all(select(Member).join(Population, Population.roll == Member.roll))
    assert len(found) == of.rows.count(Member) == 2 * MANY
    assert {one.attributes["year"] for one in found} == {"2"}


def nobody_is_left(of: Department) -> None:
    for model in (Population, Member, Upload, UploadPart, SuppressionEntry):
        assert of.rows.count(model) == 0


def everybody_was_taken_as_before(of: Department) -> None:
    taken = of.rows.all(BatchMember)
    assert len(taken) == MANY
    assert not any("year" in one.attributes for one in taken)


def all_are(state: DeliveryState) -> Callable[[Department], None]:
    def check(of: Department) -> None:
        assert {one.state for one in of.rows.all(Delivery)} == {state}

    return check


def all_have_a_day_more(of: Department) -> None:
    all_are(DeliveryState.PENDING)(of)
    assert of.rows.one(Endpoint).state is EndpointState.ACTIVE
    # They came shortly before the pause was over: that moment is what they get.
    found = of.rows.all(Delivery)
    assert all(one.give_up_at > one.created_at + timedelta(hours=1) for one in found)


WORKS = {
    put_in_place: everybody_is_new,
    delete_population: nobody_is_left,
    delete_suppression_list: nobody_is_left,
    change_while_a_batch_begins: everybody_was_taken_as_before,
    disable: all_are(DeliveryState.HELD),
    enable: all_are(DeliveryState.PENDING),
    resume: all_have_a_day_more,
    replay: all_are(DeliveryState.PENDING),
    erase: nothing_is_said_any_more,
}


@pytest.mark.parametrize("prepare", WORKS, ids=[one.__name__ for one in WORKS])
def test_no_transaction_changes_many_rows_and_all_is_done(
    prepare: Callable[[Department], Callable[[], None]], app: Flask, of: Department
) -> None:
    work = prepare(of)
    with app.app_context(), counted(app) as rows:
        work()
        chores.run()
    assert max(rows) <= MOST, sorted(rows)[-5:]
    assert sum(rows) > MANY / 2, "the counters count"
    with app.app_context(), time_machine.travel(utcnow() + timedelta(days=1, hours=1)):
        chores.run()
    left = select(Chore).where(Chore.kind != ChoreKind.WORDS)  # a batch is read as long as it runs
    assert of.rows.all(left) == []
    WORKS[prepare](of)
