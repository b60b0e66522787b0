"""A backup from before an erasure is restored: whoever was erased is erased from it again."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import delete, select

from app.domain.persons import erasing, pieces, repeating
from app.domain.restoring import outside
from app.extensions import redis_client, unit_of_work
from app.models.audience import Population
from app.models.base import new_id, utcnow
from app.models.erasure import Erasure
from app.models.house import AuditEntry
from app.models.installation import Installation
from app.models.message import Message, MessageState
from tests.domain.persons.test_persons import OTHER, PHONE, SECRET, came, fill, mentions
from tests.support.clients import Department, department
from tests.support.rows import Rows

YESTERDAY = timedelta(days=1)


@pytest.fixture
def of(rows: Rows) -> Department:
    made = department(rows)
    rows.add(Installation(place=1, id=new_id(), created_at=utcnow()))
    return made


def populate(of: Department, *phones: str) -> None:
    if not of.rows.count(Population):
        of.rows.add(Population(client_id=of.client.id, name="students"))
    with time_machine.travel(utcnow() - YESTERDAY):
        for phone in phones:
            fill(of, phone)


def erase(app: Flask, of: Department) -> None:
    with app.app_context():
        assert erasing.erase(of.client.id, PHONE, "pat")


def restore(of: Department) -> None:
    """Have the database be as it was before the erasure, of which it knows nothing then."""
    of.rows.change(delete(Erasure))
    populate(of, PHONE)


def tick(app: Flask, at: datetime | None = None) -> None:
    with time_machine.travel(at or utcnow()), app.app_context():
        repeating.tick()


@pytest.mark.parametrize("lost", ["nothing", "the file", "Redis"])
def test_a_restored_backup_is_rid_of_them_again_and_of_nobody_else(
    app: Flask, of: Department, lost: str
) -> None:
    populate(of, PHONE, OTHER)
    others, before = mentions(app, OTHER), mentions(app, SECRET)
    erase(app, of)
    after = mentions(app, SECRET)
    restore(of)
    assert mentions(app, PHONE)
    with app.app_context():
        if lost == "the file":
            outside.file_of(of.rows.one(Installation).id).unlink()
        if lost == "Redis":
            redis_client().flushall()
    tick(app)
    assert mentions(app, PHONE) == {}
    assert mentions(app, OTHER) == others
    assert mentions(app, SECRET) == after != before
    assert "a restore" in {one.actor for one in of.rows.all(AuditEntry)}


def test_what_waited_at_the_backup_is_not_sent(app: Flask, of: Department, rows: Rows) -> None:
    populate(of, PHONE)
    erase(app, of)
    restore(of)
    tick(app)
    states = {one.state for one in rows.all(Message)}
    assert MessageState.WAITING not in states


def test_what_they_wrote_since_is_their_own_new_word_and_stays(app: Flask, of: Department) -> None:
    populate(of, PHONE)
    erase(app, of)
    restore(of)
    came(of, PHONE, body="Hello again")
    tick(app)
    assert mentions(app, PHONE) == {"incoming": 1}


def test_what_comes_in_late_from_twilios_log_goes_as_well(app: Flask, of: Department) -> None:
    """Recovery takes in what was missed, and says from when on."""
    populate(of, PHONE)
    erase(app, of)
    old = utcnow() - timedelta(hours=3)
    came(of, PHONE, received_at=old, recovered=True)
    with app.app_context():
        repeating.again(old)
    tick(app)
    assert mentions(app, PHONE) == mentions(app, SECRET) == {}


def test_outside_the_database_there_is_no_phone_and_nobody_else_may_read(
    app: Flask, of: Department
) -> None:
    populate(of, PHONE)
    erase(app, of)
    with app.app_context():
        path = outside.file_of(of.rows.one(Installation).id)
        noted = path.read_text() + str(redis_client().hgetall(f"dispatch:erased:{path.stem[7:]}"))
    assert of.rows.one(Erasure).id in noted
    for part in (PHONE, PHONE[1:], PHONE[-7:], SECRET):
        assert part not in noted
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_death_in_the_middle_is_finished_by_the_clock(
    app: Flask, of: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(of, PHONE)
    with monkeypatch.context() as patched, app.app_context():
        patched.setattr(pieces, "_forget_conversations", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            erasing.erase(of.client.id, PHONE, "pat")
    assert mentions(app, PHONE)
    tick(app)
    assert mentions(app, PHONE), "whoever asked may still be at it"
    tick(app, utcnow() + timedelta(minutes=3))
    assert mentions(app, PHONE) == mentions(app, SECRET) == {}
    done = of.rows.one(select(AuditEntry).filter_by(action="erase"))
    assert (done.actor, done.details["texts and calls from them"]) == ("pat", 2)


def test_a_secret_key_of_before_tells_them_too(
    app: Flask, of: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(of, PHONE)
    erase(app, of)
    restore(of)
    settings = app.extensions["settings"]
    rotated = replace(settings, secret_key="n" * 40, secret_key_fallbacks=(settings.secret_key,))
    monkeypatch.setitem(app.extensions, "settings", rotated)
    tick(app)
    assert mentions(app, PHONE) == {}


def test_a_client_who_came_later_than_the_backup_is_no_trouble(
    app: Flask, of: Department, rows: Rows
) -> None:
    gone = outside.Noted(new_id(), new_id(), "0" * 32, utcnow().isoformat())
    with app.app_context():
        outside.write(rows.one(Installation).id, [gone], "0")
        repeating.tick()
        with unit_of_work() as session:
            assert session.scalars(select(Erasure)).all() == []
