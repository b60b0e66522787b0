"""A database that was restored from a backup sends nothing until Twilio's log was looked over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import delete, select, update

import config
from app.cli import reconcile as reconcile_command
from app.domain.restoring import hold, marks
from app.domain.restoring.hold import WentBackError
from app.extensions import db, unit_of_work
from app.models.delivery import Delivery, EventType
from app.models.installation import ClaimCount, Hold, Installation
from app.models.message import Lane, Message, MessageState
from app.models.route import Destination
from app.outbound.afterwards import restored
from app.outbound.send import drains
from tests.outbound.afterwards.test_settle import logged
from tests.support.fake_twilio import FakeTwilio
from tests.support.house import House, furnish, text
from tests.support.rows import Rows
from tests.support.twilio import sid

Act = Callable[[], None]


@pytest.fixture
def house(rows: Rows) -> House:
    found = furnish(rows, rate=100)
    rows.add(Lane(key=f"sms:{found.sender.id}", rate=100))
    return found


@pytest.fixture
def send(app: Flask) -> Act:
    """A process that sends starts, sends what waits, and ends."""

    def run() -> None:
        with app.app_context():
            app.extensions.pop("drain", None)
            drains.drain()
            drains._posting(app).finish(10)
            db.session.rollback()

    return run


@pytest.fixture
def look(app: Flask) -> Callable[[], Hold | None]:
    def run() -> Hold | None:
        with app.app_context():
            return restored.look()

    return run


@pytest.fixture
def go_back(rows: Rows) -> Callable[[], Act]:
    """Takes a backup, as far as these tests need one; what is returned restores it."""

    def backup() -> Act:
        counts = {one.holder: one.number for one in rows.all(ClaimCount)}

        def restore() -> None:
            rows.change(delete(ClaimCount))
            rows.add(*(ClaimCount(holder=name, number=n) for name, n in counts.items()))
            rows.change(
                update(Message).values(
                    state=MessageState.WAITING, sid=None, status=None, claim_token=None, tries=0
                )
            )

        return restore

    return backup


def forget_redis(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()


def forget_file(settings: config.Settings) -> None:
    for file in settings.instance.glob("sending-*.json"):
        file.unlink()


def phones(fake: FakeTwilio) -> list[str]:
    return [one.to for one in fake.accepted]


@pytest.mark.parametrize("lost", ["nothing", "redis", "file"])
def test_what_was_sent_after_the_backup_is_not_sent_again(
    lost: str, rows: Rows, house: House, fake: FakeTwilio, send: Act,
    go_back: Callable[[], Act], redis_url: str, settings: config.Settings,
) -> None:  # fmt: skip
    rows.add(text(house))
    restore = go_back()
    send()
    assert len(fake.accepted) == 1
    restore()
    if lost == "redis":
        forget_redis(redis_url)
    if lost == "file":
        forget_file(settings)
    send()
    assert len(fake.accepted) == 1
    held = rows.one(Installation)
    assert held.held_because is Hold.WENT_BACK
    assert rows.one(Message).state is MessageState.WAITING


@pytest.mark.parametrize("lost", ["redis", "file", "nothing"])
def test_a_lost_mark_alone_holds_nothing(
    lost: str, rows: Rows, house: House, fake: FakeTwilio, send: Act, redis_url: str,
    settings: config.Settings,
) -> None:  # fmt: skip
    for number in range(3):
        rows.add(text(house, to=f"+1319555016{number}"))
        send()
        if lost == "redis":
            forget_redis(redis_url)
        if lost == "file":
            forget_file(settings)
    assert len(fake.accepted) == 3
    assert rows.one(Installation).held_because is None


def test_a_file_that_was_cut_off_counts_as_lost(
    rows: Rows, house: House, fake: FakeTwilio, send: Act, settings: config.Settings
) -> None:
    rows.add(text(house))
    send()
    (file,) = settings.instance.glob("sending-*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text('{"01')
    rows.add(text(house, to="+13195550161"))
    send()
    assert len(fake.accepted) == 2


def test_without_any_mark_twilios_log_decides(
    rows: Rows, house: House, fake: FakeTwilio, send: Act, go_back: Callable[[], Act],
    redis_url: str, settings: config.Settings, look: Callable[[], Hold | None],
) -> None:  # fmt: skip
    """A copy of the database elsewhere, or a backup together with the loss of all around it."""
    rows.add(text(house))
    send()
    forget_redis(redis_url)
    forget_file(settings)
    assert look() is None, "Twilio has nothing that the database does not know"
    rows.add(text(house, to="+13195550161"))
    restore = go_back()
    send()
    restore()
    forget_redis(redis_url)
    forget_file(settings)
    rows.change(update(ClaimCount).values(number=1))
    fake.refuse_look_ups = True
    assert look() is Hold.NO_MARK, "Twilio cannot be asked"
    fake.refuse_look_ups = False
    assert look() is Hold.NO_MARK, "Twilio has what the database does not know"
    send()
    assert phones(fake) == ["+13195550150", "+13195550161"]


def test_a_database_that_never_sent_is_no_restored_one(
    rows: Rows, house: House, look: Callable[[], Hold | None]
) -> None:
    rows.add(text(house))
    assert look() is None


def test_a_database_exchanged_under_a_running_process_is_noticed_at_the_next_claim(
    app: Flask, rows: Rows, house: House, fake: FakeTwilio, go_back: Callable[[], Act]
) -> None:
    with app.app_context():
        drains.drain()  # begins to count
    restore = go_back()
    rows.add(text(house))
    with app.app_context():
        drains.drain()
        drains._posting(app).finish(10)
    restore()
    with app.app_context():
        drains.drain()
        db.session.rollback()
    assert len(fake.accepted) == 1
    assert rows.one(Installation).held_because is Hold.WENT_BACK


def test_processes_count_each_for_itself(app: Flask, rows: Rows) -> None:
    with app.app_context():
        for holder in ("A" * 26, "B" * 26):
            hold.begin(holder)
        with unit_of_work() as session:
            assert hold.count(session, "A" * 26, 0) == 1
        with unit_of_work() as session:
            assert hold.count(session, "A" * 26, 1) == 2
            assert hold.count(session, "B" * 26, 0) == 1
        with pytest.raises(WentBackError), unit_of_work() as session:
            hold.count(session, "B" * 26, 2)
        marks.write(rows.one(Installation).id, {"A" * 26: 2})
        marks.write(rows.one(Installation).id, {"A" * 26: 1})  # overtaken
        assert marks.read(rows.one(Installation).id)["A" * 26] == 2


def test_the_mark_stays_small(app: Flask, rows: Rows) -> None:
    with app.app_context():
        for number in range(marks.MOST + 20):
            hold.begin(f"{number:026}")
        assert len(marks.read(rows.one(Installation).id)) == marks.MOST
        assert hold.look() is None


def test_it_is_said_everywhere(
    app: Flask, rows: Rows, house: House, client: FlaskClient, send: Act,
    go_back: Callable[[], Act], flask_command: FlaskCliRunner,
) -> None:  # fmt: skip
    assert client.get("/readyz").json["sending"] == "ok"
    rows.add(text(house))
    restore = go_back()
    send()
    restore()
    send()
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["sending"]) == (200, "held: the database was restored")
    doctor = flask_command.invoke(args=["doctor"]).output
    assert "BAD  sending: This database was restored from a backup" in doctor
    assert "flask reconcile" in doctor
    (mail,) = rows.all(select(Delivery).where(Delivery.type == EventType.NOTICE))
    assert "its database was restored" in mail.body
    send()
    assert len(rows.all(select(Delivery).where(Delivery.type == EventType.NOTICE))) == 1


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds for which reconcile has waited, though no time goes by."""
    found: list[float] = []
    monkeypatch.setattr(reconcile_command, "sleep", found.append)
    return found


@pytest.fixture
def reconcile(flask_command: FlaskCliRunner, pauses: list[float]) -> Callable[..., Any]:
    return lambda *options: flask_command.invoke(args=["reconcile", *options])


@pytest.fixture
def restored_house(rows: Rows, house: House, send: Act, go_back: Callable[[], Act]) -> House:
    """Three texts waited at the backup, two of them equal and to one phone; all were sent since."""
    now = datetime.now(UTC)
    for number, phone in enumerate(("+13195550151", "+13195550151", "+13195550152")):
        rows.add(text(house, to=phone, due_at=now - timedelta(seconds=9 - number)))
    restore = go_back()
    for _ in range(3):
        send()
    restore()
    send()
    return house


def test_reconcile_takes_in_what_was_sent_and_lets_the_rest_go(
    rows: Rows, restored_house: House, fake: FakeTwilio, send: Act,
    reconcile: Callable[..., Any],
) -> None:  # fmt: skip
    assert len(fake.accepted) == 3
    rows.add(text(restored_house, to="+13195550153"))
    dry = reconcile("--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "3 of them wait here" in dry.output
    assert {one.state for one in rows.all(Message)} == {MessageState.WAITING}
    done = reconcile()
    assert done.exit_code == 0, done.output
    assert "Took in 3 of them" in done.output
    assert "Sending goes on." in done.output
    send()
    assert phones(fake)[3:] == ["+13195550153"]
    assert {one.sid for one in rows.all(Message)} == {one.sid for one in fake.accepted}
    same = [one for one in rows.all(Message) if one.to == "+13195550151"]
    assert [one.sid for one in sorted(same, key=lambda one: one.id)] == [
        one.sid for one in fake.accepted if one.to == "+13195550151"
    ], "equal texts get their SIDs in order"
    assert "Took in 0 of them" in reconcile().output, "a second run finds nothing"


@pytest.mark.parametrize(("seconds_ago", "least", "most"), [(1, 35, 45), (60, 0, 0)])
def test_a_text_of_the_last_seconds_before_the_restore_is_waited_for(
    rows: Rows, restored_house: House, reconcile: Callable[..., Any], pauses: list[float],
    seconds_ago: int, least: float, most: float,
) -> None:  # fmt: skip
    """It may be a STOP; Twilio's log shows it surely when its webhook is over (15 s and 15 s)."""
    long = timedelta(seconds=seconds_ago)
    rows.change(update(Installation).values(held_at=datetime.now(UTC) - long))
    dry = reconcile("--dry-run")
    assert (dry.exit_code, pauses) == (0, [])
    assert reconcile().exit_code == 0
    assert least <= sum(pauses) <= most


def test_what_was_asked_for_since_the_restore_is_not_taken_for_sent(
    rows: Rows, restored_house: House, fake: FakeTwilio, send: Act, reconcile: Callable[..., Any]
) -> None:
    """Somebody sends the same text to the same phone once more while all is held."""
    for one in fake.accepted:
        one.created -= timedelta(minutes=5)
    rows.change(update(Message).values(created_at=datetime.now(UTC) - timedelta(minutes=6)))
    rows.add(text(restored_house, to="+13195550152"))
    reconcile()
    send()
    assert phones(fake)[3:] == ["+13195550152"]


def test_links_of_a_text_that_is_prepared_anew_do_not_tell_it_apart(
    app: Flask, rows: Rows, house: House, fake: FakeTwilio, settings: config.Settings,
    reconcile: Callable[..., Any],
) -> None:  # fmt: skip
    link = f"{settings.short_link_base_url}/l/"
    made = logged(fake, body=f"See {link}AbC_9-x and {link}zzz", created=datetime.now(UTC))
    rows.add(text(house, body=f"See {link}other1 and {link}other2"))
    assert "Took in 1 of them" in reconcile().output
    assert rows.one(Message).sid == made.sid


def test_calls_are_taken_in_as_well(
    rows: Rows, house: House, fake: FakeTwilio, reconcile: Callable[..., Any]
) -> None:
    made = logged(fake, sid=sid("CA"), body="", created=datetime.now(UTC), status="completed")
    rows.add(
        text(
            house, destination=Destination.VOICE, body="<Response/>",
            lane_key=f"voice:{house.credential.account_sid}",
        )
    )  # fmt: skip
    assert "Took in 1 of them" in reconcile().output
    assert rows.one(Message).sid == made.sid


def test_an_account_that_cannot_be_read_keeps_it_held(
    rows: Rows, restored_house: House, fake: FakeTwilio, reconcile: Callable[..., Any]
) -> None:
    fake.refuse_look_ups = True
    failed = reconcile()
    assert failed.exit_code == 1
    assert "sending stays held" in failed.output
    assert rows.one(Installation).held_because is Hold.WENT_BACK


def test_a_person_may_release_it_by_force_and_is_told_what_that_means(
    rows: Rows, restored_house: House, fake: FakeTwilio, send: Act, reconcile: Callable[..., Any]
) -> None:
    fake.refuse_look_ups = True
    assert reconcile("--release", "--dry-run").exit_code == 2
    released = reconcile("--release")
    assert released.exit_code == 0
    assert "3 texts and calls wait" in released.output
    assert "twice" in released.output
    assert rows.one(Installation).held_because is None
    for _ in range(3):
        send()
    assert len(fake.accepted) == 6
