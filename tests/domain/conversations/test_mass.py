"""What a batch wrote to somebody is found by its words and by the phone, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update

from app.domain.audience import contacts
from app.domain.conversations import mass, searching, word_index
from app.domain.persons import erasing
from app.domain.sending import communications
from app.extensions import db, unit_of_work
from app.maintenance import chores, retention
from app.models.base import utcnow
from app.models.batch import Batch, BatchState
from app.models.chore import Chore
from app.models.client import Client
from app.models.communication import Communication
from app.models.message import Message, MessageState
from app.models.said import BatchSaid, BatchWords, Said
from app.outbound import batches
from tests.support.house import House, communication, furnish, join
from tests.support.rows import Rows

NAMES = ["Ada", "Bob", "Çelik", "Dora", "Émile", "Fay", "Gus", "Hal", "Ida", "Jon"]
HI = "Hi {{ toName }}, your class {{ course }} starts Monday. {% if late %}Hurry!{% endif %}"
BYE = "Bye {{ toName }}; the library is closed."


def person(n: int) -> dict[str, object]:
    course = "Physics" if n % 2 else "Art"
    return {
        "toName": NAMES[n], "toPhone": f"+1319555{1000 + n}", "course": course, "late": n == 9,
    }  # fmt: skip


def send(app: Flask, rows: Rows, house: House, *bodies: str) -> Communication:
    """Have a batch prepared, and its texts read as the clock has them read."""
    made = communication(rows, house, *bodies)
    join(rows, made, *(person(n) for n in range(len(NAMES))))
    with app.app_context():
        with unit_of_work() as session:
            communications.start_batch(session, session.get_one(Communication, made.id), "pat")
        while batches.turn():
            pass
    read(app)
    return made


def read(app: Flask) -> None:
    with time_machine.travel(utcnow() + timedelta(seconds=6)), app.app_context():
        chores.run()


@pytest.fixture
def house(app: Flask, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> House:
    """A client with one batch of two texts to each of ten people."""
    monkeypatch.setattr(mass, "TOGETHER", 3)  # pieces that end between the texts of one person
    monkeypatch.setattr(mass, "TOGETHER_ON_SQLITE", 3)
    monkeypatch.setattr(word_index, "NEAR", 0)  # the index is asked, however few there are
    made = furnish(rows)
    send(app, rows, made, HI, BYE)
    return made


def find(app: Flask, house: House, wanted: str) -> list[str]:
    """Return to whom which text went that is found, as a search page shows it."""
    with app.app_context():
        client = db.session.get_one(Client, house.client.id)
        found = searching.search(db.session(), client, wanted).batches
    return [f"{NAMES[int(one.phone[-4:]) - 1000]}: {one.text.split()[0]}" for one in found]


ALL = sorted(f"{name}: {word}" for name in NAMES for word in ("Hi", "Bye"))
TABLE = {
    "class": [one for one in ALL if "Hi" in one],
    "CLASS monday": [one for one in ALL if "Hi" in one],
    "ada": ["Ada: Bye", "Ada: Hi"],
    "ada class": ["Ada: Hi"],
    "ada closed": ["Ada: Bye"],
    "celik": ["Çelik: Bye", "Çelik: Hi"],
    "émi": ["Émile: Bye", "Émile: Hi"],
    "physics gus": [],
    "physics hal": ["Hal: Hi"],
    "physics": sorted(f"{NAMES[n]}: Hi" for n in range(10) if n % 2),
    "hurry": ["Jon: Hi"],
    "hurry ada": [],
    "library class": [],
    "zebra": [],
    "ada zebra": [],
    "toName": [],
    "+1 (319) 555-1003": ["Dora: Bye", "Dora: Hi"],
    "3195551003": ["Dora: Bye", "Dora: Hi"],
    "+13195559999": [],
}


@pytest.mark.parametrize("near", [0, 5, 2000], ids=["far", "near and far", "near"])
def test_words_of_all_and_words_of_one_are_found_together(
    app: Flask, house: House, near: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_index, "NEAR", near)
    assert {wanted: sorted(find(app, house, wanted)) for wanted in TABLE} == TABLE


def test_a_part_of_the_phone_finds_who_was_texted(app: Flask, rows: Rows, house: House) -> None:
    with app.app_context(), unit_of_work() as session:  # as when Twilio takes one
        taken = select(Message).where(Message.to == "+13195551003", Message.step == 0)
        contacts.remember_all(session, session.scalars(taken).all(), utcnow())
    assert sorted(find(app, house, "555-1003")) == ["Dora: Bye", "Dora: Hi"]


def test_common_words_cost_no_row_of_a_person(app: Flask, rows: Rows, house: House) -> None:
    """Ten people got two texts each: twenty rows of one or two words, and nothing among what
    people say themselves."""
    assert rows.count(BatchSaid) == 20
    assert rows.count(Said) == 0
    common = set(rows.one(BatchWords).words.split())
    assert {"hi", "bye", "class", "monday", "physics", "art"} <= common
    assert not {name.lower() for name in NAMES} & common
    assert rows.count(Chore) == 0


def test_reading_goes_on_where_a_process_died(app: Flask, rows: Rows, house: House) -> None:
    before = {one.message_id for one in rows.all(BatchSaid)}
    batch = rows.one(Batch)
    with app.app_context(), unit_of_work() as session:  # from the beginning: nothing comes twice
        mass.begin(session, session.get_one(Batch, batch.id))
    read(app)
    assert {one.message_id for one in rows.all(BatchSaid)} == before


def test_a_neighbour_finds_nothing_of_it(app: Flask, rows: Rows, house: House) -> None:
    other = furnish(rows, address="+13195550101")
    for wanted in ("class", "ada", "ada class", "+13195551003"):
        assert find(app, other, wanted) == []


def test_who_is_erased_is_not_found_any_more(app: Flask, rows: Rows, house: House) -> None:
    rows.change(update(Message).values(state=MessageState.CANCELED))
    with app.app_context():
        erasing.erase(house.client.id, "+13195551000", "pat")
    assert find(app, house, "ada") == []
    assert rows.count(BatchSaid) == 18


def test_it_goes_with_what_is_too_old(app: Flask, rows: Rows, house: House) -> None:
    rows.change(update(Message).values(state=MessageState.CANCELED))
    rows.change(update(Batch).values(state=BatchState.COMPLETE, ended_at=utcnow()))
    with time_machine.travel(utcnow() + timedelta(days=50)), app.app_context():
        assert find(app, house, "class") == []
        retention.run()
    assert rows.count(Message) == rows.count(BatchSaid) == rows.count(BatchWords) == 0
