"""A backup restored by the letter of docs/operations.md, by real processes: nobody hears twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update

import config
from app import create_app
from app.domain.sending import communications
from app.extensions import db, unit_of_work
from app.models.batch import Batch, BatchState
from app.models.communication import Communication
from app.models.delivery import Delivery, EventType
from app.models.endpoint import Endpoint, EndpointKind
from app.models.installation import Installation
from app.models.message import Message, MessageState
from app.models.route import Destination, Handler, Route
from app.outbound import batches
from tests.outbound.afterwards.test_settle import logged
from tests.support.databases import PostgresTemplate, back_up, migrate, restore
from tests.support.fake_twilio import FakeTwilio
from tests.support.house import House, communication, furnish, join, text
from tests.support.processes import Processes, wait_until
from tests.support.rows import Rows
from tests.support.twilio import sid

MEMBERS = 40


@pytest.fixture
def url(database_url: str, request: pytest.FixtureRequest) -> str:
    """A database of this test alone, which can be dropped."""
    if database_url.startswith("sqlite"):
        return database_url
    template: PostgresTemplate = request.getfixturevalue("postgres_template")
    made = template.create("restore")
    migrate(made)
    return made


@pytest.fixture
def environ(environ: dict[str, str], url: str, tmp_path: Path) -> dict[str, str]:
    return {**environ, "DATABASE_URL": url, "INSTANCE_FOLDER": str(tmp_path / "instance")}


@pytest.fixture
def here(environ: dict[str, str]) -> Iterator[Flask]:
    """This process's view of the same database."""
    app = create_app(config.load(environ))
    yield app
    with app.app_context():
        db.engine.dispose()


def forwarding(rows: Rows, house: House) -> None:
    endpoint = Endpoint(
        client_id=house.client.id, kind=EndpointKind.WEBHOOK, name="sis",
        url="https://sis.example.edu/hooks",
    )  # fmt: skip
    rows.add(endpoint)
    rows.add(
        Route(
            client_id=house.client.id, sender_id=house.sender.id, destination=Destination.SMS,
            handler=Handler.FORWARD_TO_WEBHOOK, endpoint_id=endpoint.id, updated_by="pat",
        )
    )  # fmt: skip


def start(app: Flask, made: Communication, *, prepare: bool) -> None:
    with app.app_context():
        with unit_of_work() as session:
            communications.start_batch(session, session.get_one(Communication, made.id), "pat")
        while prepare and batches.turn():
            pass
        db.session.rollback()


def received(rows: Rows) -> str:
    """Return the `webhook-id` under which the text that came in is told."""
    return rows.one(select(Delivery.event_id).where(Delivery.type == EventType.SMS_RECEIVED))


@pytest.mark.parametrize("prepared", [True, False], ids=["prepared", "scheduled"])
def test_what_waited_at_the_backup_and_was_sent_since_goes_out_once(
    prepared: bool, url: str, here: Flask, processes: Processes, fake: FakeTwilio, tmp_path: Path
) -> None:
    rows = Rows(here)
    house = furnish(rows, rate=100)
    forwarding(rows, house)
    made = communication(rows, house, "Hi {{ toName }}")
    people = [{"toName": f"P{n}", "toPhone": f"+1319555{1000 + n}"} for n in range(MEMBERS)]
    join(rows, made, *people)
    start(here, made, prepare=prepared)
    backup = back_up(url, tmp_path)

    def run() -> None:
        for name in ("worker-send", "worker-house", "clock"):
            processes.procfile(name)

    run()
    wait_until(lambda: len(fake.accepted) == MEMBERS, "all are sent", 180)
    came = datetime.now(UTC) - timedelta(minutes=2)
    logged(
        fake, sid=sid("SM"), sender="+13195551000", to=house.sender.address, body="Thanks",
        direction="inbound", status="received", created=came,
    )  # fmt: skip
    assert processes.flask("recover", "--since", "2020-01-01").returncode == 0
    told = received(rows)
    processes.stop()
    with here.app_context():
        db.engine.dispose()

    restore(backup, url)
    assert processes.flask("db", "upgrade").returncode == 0
    assert rows.all(Delivery) == []
    run()
    wait_until(lambda: rows.one(Installation).held_at, "the restore is noticed")
    # Nobody texted in the last minute before that: Twilio's log need not be waited for.
    rows.change(update(Installation).values(held_at=datetime.now(UTC) - timedelta(minutes=1)))
    rows.add(text(house, to="+13195552000", lane_key=f"sms:{house.sender.id}"))
    done = processes.flask("reconcile")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Took in {MEMBERS} of them" in done.stdout
    wait_until(lambda: "+13195552000" in {one.to for one in fake.accepted}, "sending goes on")
    sent = Counter(one.to for one in fake.accepted if one.direction == "outbound-api")
    assert set(sent.values()) == {1}
    assert len(sent) == MEMBERS + 1
    wait_until(lambda: rows.one(Batch).state is BatchState.COMPLETE, "the batch is complete")
    wait_until(
        lambda: {one.state for one in rows.all(Message)} == {MessageState.ACCEPTED},
        "Twilio's last answer is written down",
    )
    assert received(rows) == told
