"""What was said is found by its words: the same, in the same order, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, update

from app.domain.conversations import saying, word_index, wording
from app.extensions import db
from app.maintenance import retention
from app.models.base import utcnow
from app.models.client import Client
from app.models.conversation import Conversation, ConversationNote, EntryKind
from app.models.incoming import Incoming, Outcome
from app.models.message import Message
from app.models.route import Destination
from app.models.said import Said
from tests.support.clients import Department, department
from tests.support.rows import Rows
from tests.support.twilio import sid

PHONE = "+13195550150"
SAID = (
    "When does the library open?",
    "The LIBRARY opens at nine.",
    "Can’t find room 12-B: it's closed",
    "¿Dónde está la biblioteca?",
    "Mañana… “quizás”, ¡señor!",
    "Zoe\u0308 wrote to zoe@example.edu",
    "图书馆几点开门",
    "Привет из библиотеки",
    "100% of libraries; see https://example.edu/library_hours",
    "x" * 70 + " 🙏thanks🙏",
)
TABLE: dict[str, list[int]] = {  # what is looked for: places in SAID, newest first
    "library": [8, 1, 0],
    "LIBRARY": [8, 1, 0],
    "librar": [8, 1, 0],
    "open library": [1, 0],
    "library, open?": [1, 0],
    "opens": [1],
    "brary": [],
    "zebra": [],
    "it": [2],
    "do": [],
    "don": [3],
    "can't": [2],
    "can’t find": [2],
    "12-b": [2],
    "donde esta": [3],
    "DÓNDE": [3],
    "manana": [4],
    "mañana quizas": [4],
    "senor": [4],
    "zoë": [5],
    "zoe@example": [5],
    "图书馆": [6],
    "Привет": [7],
    "100%": [8],
    "library_hours": [8],
    "x" * 70: [9],
    "thank": [],
    '"library" OR open*': [],
    "' & | ! ( ) : * <-> \\": [],
    "client_id : library": [],
}


def says(of: Department, words: str, at: datetime | None = None, **columns: object) -> Incoming:
    """Let somebody text."""
    made = Incoming(
        client_id=of.client.id, destination=Destination.SMS, sender_id=of.number.id, sid=sid("SM"),
        from_=PHONE, to=of.number.address, body=words, received_at=at or utcnow(),
        outcome=Outcome.REPLIED, **columns,
    )  # fmt: skip
    of.rows.add(made)
    return made


def find(app: Flask, of: Department, wanted: str) -> list[saying.Saying]:
    with app.app_context():
        session = db.session()
        return saying.find(session, session.get_one(Client, of.client.id), wanted)


@pytest.fixture
def here(rows: Rows) -> Department:
    """A department with a neighbour who says the same."""
    made, neighbour = department(rows), department(rows, "library", "+13195550101")
    start = utcnow() - timedelta(hours=1)
    for place, words in enumerate(SAID):
        for one in (made, neighbour):
            says(one, words, start + timedelta(minutes=place))
    return made


@pytest.fixture(autouse=True)
def _index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the index asked, however few texts there are."""
    monkeypatch.setattr(word_index, "NEAR", 0)


@pytest.mark.parametrize("near", [0, 3, 2_000], ids=["far", "near and far", "near"])
@pytest.mark.parametrize("wanted", TABLE)
def test_all_words_are_found_whatever_their_hand(
    app: Flask, here: Department, wanted: str, near: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they are looked at one by one, or found by the index."""
    monkeypatch.setattr(word_index, "NEAR", near)
    assert [SAID.index(one.text) for one in find(app, here, wanted)] == TABLE[wanted]


def test_nobody_finds_a_neighbours_words_not_even_by_its_id(
    app: Flask, rows: Rows, here: Department
) -> None:
    neighbour = department(rows, "bursar", "+13195550102")
    says(neighbour, f"a secret of {here.client.id}")
    says(here, "nothing here")
    for wanted in ("secret", f"secret {neighbour.client.id}", here.client.id):
        assert find(app, here, wanted) == []
    assert [one.text for one in find(app, neighbour, "secret")] != []


def test_both_sides_and_notes_are_found_and_the_words_of_calls_are_not(
    app: Flask, rows: Rows, here: Department
) -> None:
    now = utcnow()
    talk = Conversation(
        client_id=here.client.id, sender_id=here.number.id, phone=PHONE, last_at=now,
        state="closed", last_kind=EntryKind.IN,
    )  # fmt: skip
    rows.add(talk)
    here.text(body="Your diploma is here", created_at=now)
    call = here.text(body="seen when it is a text")
    rows.change(
        update(Message)
        .where(Message.id == call.id)
        .values(destination=Destination.VOICE, body="<Say>diploma</Say>")
    )
    rows.add(
        ConversationNote(
            client_id=here.client.id, conversation_id=talk.id, author="pat", text="diploma: asked",
            at=now - timedelta(minutes=1),
        )
    )  # fmt: skip
    says(here, "where is my DIPLOMA", now - timedelta(minutes=2))
    found = find(app, here, "diploma")
    assert [(one.kind, one.phone) for one in found] == [
        (EntryKind.OUT, PHONE), (EntryKind.NOTE, PHONE), (EntryKind.IN, PHONE),
    ]  # fmt: skip


def test_the_newest_come_first_however_many_there_are(
    app: Flask, here: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where more were said since than are looked at without the index."""
    monkeypatch.setattr(word_index, "NEAR", 10)
    start = utcnow() - timedelta(minutes=30)
    for n in range(saying.MOST + 15):
        says(here, f"number {n} {'odd' if n % 2 else 'even'}", start + timedelta(seconds=n))
    last = saying.MOST + 14
    assert [one.text.split()[1] for one in find(app, here, "number")] == [
        str(last - n) for n in range(saying.MOST)
    ]
    assert [one.text.split()[1] for one in find(app, here, "odd number")] == [
        str(n) for n in range(last, -1, -1) if n % 2
    ][: saying.MOST]


def test_what_is_changed_or_taken_back_is_found_as_it_is(
    app: Flask, rows: Rows, here: Department
) -> None:
    text = here.text(body="Room seven")
    rows.change(update(Message).values(body="Room eight"))
    assert (find(app, here, "seven"), len(find(app, here, "eight"))) == ([], 1)
    rows.change(update(Message).values(body=None))
    assert find(app, here, "eight") == []
    with app.app_context():
        db.session.execute(update(Message).values(body="Room ninety"))
        db.session.rollback()
    assert find(app, here, "ninety") == []
    rows.change(update(Message).values(body="Room ten"))
    rows.change(delete(Message).where(Message.id == text.id))
    assert find(app, here, "ten") == []


def test_the_index_goes_with_what_is_too_old(app: Flask, rows: Rows, here: Department) -> None:
    rows.change(update(Client).values(retention_days=1))
    says(here, "long ago", utcnow() - timedelta(days=3))
    assert find(app, here, "long") == [], "before it is gone"
    with app.app_context():
        retention.run()
    assert rows.count(Said) == rows.count(Incoming) == 2 * len(SAID)
    rows.change(update(Incoming).values(received_at=utcnow() - timedelta(days=3)))
    with app.app_context():
        retention.run()
    assert rows.count(Said) == 0
    rows.change(update(Client).values(retention_days=45))
    assert find(app, here, "library") == []


LETTERS = [(one, letter) for letter, some in wording.LETTERS.items() for one in some]


def test_every_letter_is_read_as_it_is_looked_for(app: Flask, here: Department) -> None:
    """The table of the triggers is that of `wording`."""
    says(here, "alphabet " + " ".join(f"qq{one}qq" for one, _ in LETTERS))
    says(here, "breaks " + " ".join(f"qqq{one}www" for one in wording.BREAKS + "_-'\t\n\x01"))
    says(here, "dropped " + " ".join(f"jj{one}jj{n}" for n, one in enumerate(wording.DROPPED)))
    for one, letter in LETTERS:
        assert len(find(app, here, f"alphabet qq{letter}qq")) == 1, one
    for wanted in ("breaks qqq www", *(f"dropped jjjj{n}" for n in range(len(wording.DROPPED)))):
        assert len(find(app, here, wanted)) == 1, wanted
    assert find(app, here, "breaks qqqwww") == []
