"""A batch from its start to its end: each member once, whatever happens on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select, update

from app.domain.reach import Refusal
from app.domain.relaying import announcements
from app.domain.sending import communications, composing, preparation, running, statuses
from app.extensions import db, unit_of_work
from app.models.audience import Member
from app.models.base import new_id
from app.models.batch import BATCH_TRANSITIONS, Batch, BatchMember, BatchState
from app.models.client import Client
from app.models.communication import Communication
from app.models.house import SetAside
from app.models.link import Link
from app.models.message import Message, MessageReport, MessageState
from app.models.route import Destination
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from app.models.template import Template, TemplateVersion
from app.outbound import batches
from app.outbound.send import drains
from tests.support.fake_twilio import FakeTwilio
from tests.support.house import House, communication, furnish, join
from tests.support.rows import Rows


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows, rate=100)


def people(count: int) -> list[dict[str, Any]]:
    return [{"toName": f"P{n}", "toPhone": f"+1319555{n:04}"} for n in range(count)]


def start(app: Flask, made: Communication, at: datetime | None = None) -> str:
    with app.app_context(), unit_of_work() as session:
        found = session.get_one(Communication, made.id)
        return communications.start_batch(session, found, "pat@example.edu", at).id


def keep_house(app: Flask) -> None:
    with app.app_context():
        batches.drain()


def send(app: Flask) -> None:
    with app.app_context():
        drains.drain()


def act(app: Flask, batch_id: str, what: str) -> None:
    with app.app_context(), unit_of_work() as session:
        getattr(running, what)(session, session.get_one(Batch, batch_id), "pat")


def state(rows: Rows) -> BatchState:
    return rows.one(Batch).state


def test_everybody_gets_their_own_text_once(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    completed: list[str] = []
    monkeypatch.setattr(
        announcements, "batch_complete", lambda s, batch, counts: completed.append(batch.id)
    )
    made = communication(rows, house)
    join(rows, made, *people(20))
    batch_id = start(app, made)
    assert (state(rows), rows.one(Batch).total) == (BatchState.PREPARING, 20)
    keep_house(app)
    assert state(rows) is BatchState.RUNNING
    assert rows.count(BatchMember) == 0
    send(app)
    keep_house(app)
    keep_house(app)
    assert sorted((m.to, m.body) for m in fake.accepted) == [
        (person["toPhone"], f"Hi {person['toName']}") for person in people(20)
    ]
    assert state(rows) is BatchState.COMPLETE
    assert completed == [batch_id]


def test_members_and_words_are_those_of_the_start(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    made = communication(rows, house, "old {{ toName }}")
    join(rows, made, *people(2))
    start(app, made)
    rows.change(delete(Member))
    rows.add(TemplateVersion(template_id=made.template_id, number=2, body="new", created_by="x"))
    rows.change(update(Template).values(current_version=2))
    keep_house(app)
    send(app)
    assert sorted(m.body for m in fake.accepted) == ["old P0", "old P1"]


def test_a_faulty_member_is_refused_alone_with_its_reason(
    app: Flask, rows: Rows, house: House
) -> None:
    made = communication(rows, house, "Hi {{ toName }}, {{ course }}")
    join(
        rows,
        made,
        {"toPhone": "+13195550001", "toName": "Ann", "course": "Art"},
        {"toPhone": "+13195550002", "toName": "Bob"},
        {"toPhone": "1-800-FLOWERS", "toName": "Cy", "course": "Art"},
        {"toPhone": "+447911123456", "toName": "Di", "course": "Art"},
        {"toName": "Ed", "course": "Art"},
        {"toPhone": "+13195550003", "toName": "Flo", "course": "x" * 1700},
    )
    start(app, made)
    keep_house(app)
    ended = {m.position: m for m in rows.all(Message)}
    assert ended[0].error_message is None
    assert {p: (m.state, m.reason) for p, m in ended.items()} == {
        0: (MessageState.WAITING, None),
        1: (MessageState.REFUSED, "template_error"),
        2: (MessageState.REFUSED, "invalid_phone"),
        3: (MessageState.REFUSED, "not_allowed"),
        4: (MessageState.REFUSED, "invalid_phone"),
        5: (MessageState.REFUSED, "refused"),
    }
    assert "course" in (ended[1].error_message or "")
    with app.app_context():
        progress = running.progress(db.session(), rows.one(Batch))
    assert (progress.total, progress.counts) == (6, {"queued": 1, "refused": 5})


def test_the_same_text_goes_to_the_same_phone_once(
    app: Flask, rows: Rows, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "CHUNK", 2)
    made = communication(rows, house, "Hi {{ toName }} https://example.edu/", link_tracking=True)
    same = {"toPhone": "+13195550001", "toName": "Ann"}
    join(rows, made, same, same, {"toPhone": "(319) 555-0001", "toName": "Ann"},
         {"toPhone": "+13195550001", "toName": "Bob"})  # fmt: skip
    start(app, made)
    keep_house(app)
    states = [m.state for m in rows.all(select(Message).order_by(Message.position))]
    assert states == [MessageState.WAITING, MessageState.REFUSED, MessageState.REFUSED,
                      MessageState.WAITING]  # fmt: skip


def test_links_are_short_and_each_persons_own(app: Flask, rows: Rows, house: House) -> None:
    long = "https://example.edu/" + "a" * 200
    made = communication(rows, house, f"See {long}.", link_tracking=True)
    join(rows, made, *people(3))
    start(app, made)
    keep_house(app)
    links = {link.message_id: link for link in rows.all(Link)}
    for message in rows.all(Message):
        link = links[message.id]
        assert message.body == f"See https://dispatch.example.edu/l/{link.code}."
        assert (link.url, message.segments) == (long, 1)
    assert len({link.code for link in links.values()}) == 3


def test_a_suppressed_member_is_counted_and_gets_nothing(
    app: Flask, rows: Rows, house: House
) -> None:
    listed = SuppressionList(id=new_id(), client_id=house.client.id, name="out")
    rows.add(listed)
    rows.add(
        SuppressionEntry(
            list_id=listed.id, phone="+13195550000", source=SuppressionSource.MANUAL,
            since=datetime.now(UTC),
        )
    )  # fmt: skip
    made = communication(rows, house, suppression_list_id=listed.id)
    join(rows, made, *people(2))
    start(app, made)
    keep_house(app)
    with app.app_context():
        counts = running.progress(db.session(), rows.one(Batch)).counts
    assert counts == {"suppressed": 1, "queued": 1}
    assert rows.one(MessageReport).status == "suppressed"


def test_a_crash_between_chunks_repeats_nothing(
    app: Flask, rows: Rows, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "CHUNK", 3)
    made = communication(rows, house)
    join(rows, made, *people(8))
    start(app, made)
    real, calls = preparation.write, []

    def dies_after_writing(*arguments: Any) -> Any:
        calls.append(1)
        result = real(*arguments)
        if len(calls) == 2:
            raise RuntimeError("killed")
        return result

    monkeypatch.setattr(preparation, "write", dies_after_writing)
    keep_house(app)
    assert state(rows) is BatchState.PREPARING
    assert rows.count(Message) == 3
    rows.change(delete(SetAside))  # after a minute
    keep_house(app)
    assert state(rows) is BatchState.RUNNING
    positions = Counter(message.position for message in rows.all(Message))
    assert positions == Counter(range(8))


def test_a_pause_holds_everything_and_a_resume_goes_on(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    made = communication(rows, house)
    join(rows, made, *people(3))
    batch_id = start(app, made)
    keep_house(app)
    act(app, batch_id, "pause")
    send(app)
    assert fake.tried == []
    act(app, batch_id, "resume")
    send(app)
    assert len(fake.accepted) == 3


def test_a_pause_in_preparation_goes_on_preparing_afterwards(
    app: Flask, rows: Rows, house: House
) -> None:
    made = communication(rows, house)
    join(rows, made, *people(3))
    batch_id = start(app, made)
    act(app, batch_id, "pause")
    keep_house(app)
    assert rows.count(Message) == 0
    act(app, batch_id, "resume")
    keep_house(app)
    assert (state(rows), rows.count(Message)) == (BatchState.RUNNING, 3)


@pytest.mark.parametrize("prepared", [False, True])
def test_a_cancel_ends_what_waits(
    prepared: bool, app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    made = communication(rows, house, "one", "two")
    join(rows, made, *people(3))
    batch_id = start(app, made)
    if prepared:
        keep_house(app)
    act(app, batch_id, "cancel")
    keep_house(app)
    send(app)
    assert fake.tried == []
    assert {m.state for m in rows.all(Message)} <= {MessageState.CANCELED}
    with app.app_context():
        counts = running.progress(db.session(), rows.one(Batch)).counts
    assert counts == {"canceled": 6 if prepared else 3}
    assert rows.one(Batch).ended_at is not None


@pytest.mark.parametrize("before", list(BatchState))
@pytest.mark.parametrize("what", ["pause", "resume", "cancel"])
def test_only_the_legal_moves_are_made(
    what: str, before: BatchState, app: Flask, rows: Rows, house: House
) -> None:
    made = communication(rows, house)
    batch_id = start(app, made)
    rows.change(update(Batch).values(state=before))
    to = {"pause": BatchState.PAUSED, "resume": BatchState.RUNNING, "cancel": BatchState.CANCELED}
    legal = to[what] in BATCH_TRANSITIONS[before]
    if what == "resume":
        legal = before is BatchState.PAUSED
    if legal:
        act(app, batch_id, what)
        assert state(rows) is to[what]
    else:
        with pytest.raises(Refusal, match=before.value):
            act(app, batch_id, what)
        assert state(rows) is before


def test_steps_follow_in_order(app: Flask, rows: Rows, fake: FakeTwilio, house: House) -> None:
    made = communication(rows, house, "one", "two", "three")
    join(rows, made, *people(2))
    start(app, made)
    keep_house(app)
    send(app)
    keep_house(app)
    for person in people(2):
        texts = [m.body for m in fake.accepted if m.to == person["toPhone"]]
        assert texts == ["one", "two", "three"]
    assert state(rows) is BatchState.COMPLETE


def test_a_scheduled_batch_begins_at_its_time(app: Flask, rows: Rows, house: House) -> None:
    made = communication(rows, house)
    join(rows, made, *people(1))
    start(app, made, datetime.now(UTC) + timedelta(hours=1))
    keep_house(app)
    assert state(rows) is BatchState.SCHEDULED
    join(rows, made, {"toName": "late", "toPhone": "+13195559999"})
    rows.change(update(Batch).values(scheduled_at=datetime.now(UTC)))
    keep_house(app)
    assert (state(rows), rows.count(Message)) == (BatchState.RUNNING, 2)


def test_a_scheduled_batch_of_a_halted_client_is_refused_with_the_reason(
    app: Flask, rows: Rows, house: House
) -> None:
    made = communication(rows, house)
    start(app, made, datetime.now(UTC) + timedelta(hours=1))
    rows.change(update(Client).values(halted_at=datetime.now(UTC)))
    rows.change(update(Batch).values(scheduled_at=datetime.now(UTC)))
    keep_house(app)
    assert state(rows) is BatchState.REFUSED
    assert "stopped all sending" in (rows.one(Batch).reason or "")


def test_batches_wait_in_quiet_hours_and_single_texts_do_not(
    app: Flask, rows: Rows, fake: FakeTwilio
) -> None:
    now = datetime.now(UTC)
    begin, end = (now - timedelta(hours=1)), (now + timedelta(hours=1))
    house = furnish(
        rows, rate=100, time_zone="UTC", quiet_from=f"{begin:%H:%M}", quiet_to=f"{end:%H:%M}"
    )
    made = communication(rows, house)
    join(rows, made, *people(2))
    start(app, made)
    keep_house(app)
    send(app)
    assert fake.tried == []
    rows.change(update(Client).values(quiet_from=None))
    send(app)
    assert len(fake.accepted) == 2


class TestAdhoc:
    def test_whose_phone_is_at_fault_is_named_and_the_others_go(
        self, app: Flask, rows: Rows, fake: FakeTwilio, house: House
    ) -> None:
        made = communication(rows, house)
        members = [
            {"toName": "Ann", "toPhone": "+13195550001"},
            {"toName": "Bob", "toPhone": "nobody"},
            {"toPhone": "+13195550003"},
        ]
        with app.app_context():
            refused = communications.judge_phones(db.session(), made, members)
            assert [(one.position, one.refusal.reason) for one in refused] == [(1, "invalid_phone")]
            batch = adhoc(made, members, refused)
            assert running.progress(db.session(), batch).counts == {"refused": 1}
        keep_house(app)
        assert (rows.one(Batch).state, rows.one(Batch).total) == (BatchState.RUNNING, 3)
        ended = rows.all(
            select(Message).where(Message.state == MessageState.REFUSED).order_by(Message.position)
        )
        assert [(one.position, one.reason) for one in ended] == [
            (1, "invalid_phone"), (2, "template_error"),
        ]  # fmt: skip
        send(app)
        assert [m.body for m in fake.accepted] == ["Hi Ann"]

    def test_who_was_named_as_suppressed_gets_nothing_though_the_entry_is_lifted(
        self, app: Flask, rows: Rows, house: House
    ) -> None:
        """The answer has told it: what is told and what is done must not differ."""
        made = communication(rows, house)
        why = communications.LeftOut(0, Refusal("suppressed", "Opted out.", "to"), "+13195550001")
        with app.app_context():
            adhoc(made, [{"toName": "Ann", "toPhone": "+13195550001"}], [why])
        keep_house(app)
        stored = rows.one(Message)
        assert (stored.state, stored.to) == (MessageState.SUPPRESSED, "+13195550001")

    def test_many_are_prepared_in_chunks_so_that_others_can_write_between(
        self, app: Flask, rows: Rows, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = communication(rows, house)
        monkeypatch.setattr(batches, "CHUNK", 2)
        with app.app_context():
            batch = adhoc(made, [{"toName": "P", "toPhone": f"+131955500{n:02}"} for n in range(5)])
            assert batches._prepare(batch.id)
        assert rows.one(Batch).state is BatchState.PREPARING
        assert rows.count(Message) == 2
        keep_house(app)
        assert (rows.one(Batch).state, rows.one(Batch).prepared) == (BatchState.RUNNING, 5)
        assert rows.count(Message) == 5

    def test_two_workers_at_the_same_chunk_make_each_message_once(
        self, app: Flask, rows: Rows, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both render it; the second to write finds its members taken."""
        made = communication(rows, house)
        real = preparation.compose

        def compose_while_another_prepares(*arguments: Any) -> Any:
            monkeypatch.setattr(preparation, "compose", real)
            judged = real(*arguments)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(keep_house, app).result(30)
            return judged

        with app.app_context():
            adhoc(made, [{"toName": "P", "toPhone": f"+131955500{n:02}"} for n in range(5)])
        monkeypatch.setattr(preparation, "compose", compose_while_another_prepares)
        keep_house(app)
        assert Counter(one.position for one in rows.all(Message)) == Counter(range(5))
        assert (rows.one(Batch).state, rows.one(Batch).prepared) == (BatchState.RUNNING, 5)

    def test_nothing_is_rendered_while_others_wait_to_write(
        self, app: Flask, rows: Rows, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = communication(rows, house)
        real = composing.compose

        def compose(*arguments: Any) -> Any:
            assert not db.session().info.get("unit_of_work")
            return real(*arguments)

        monkeypatch.setattr(composing, "compose", compose)
        with app.app_context():
            adhoc(made, [{"toName": "P", "toPhone": "+13195550001"}])
        keep_house(app)
        assert rows.one(Batch).state is BatchState.RUNNING


def adhoc(
    made: Communication,
    members: list[dict[str, str]],
    refused: Sequence[communications.LeftOut] = (),
) -> Batch:
    with unit_of_work() as session:
        found = session.get_one(Communication, made.id)
        return communications.start_adhoc(session, found, members, "sis", refused)


def test_a_call_template_is_rendered_and_checked(app: Flask, rows: Rows, house: House) -> None:
    made = communication(
        rows, house,
        "<Response><Say>Hi {{ toName }}{% if AnsweredBy == 'machine' %}!{% endif %}</Say>"
        "</Response>",
        destination=Destination.VOICE,
    )  # fmt: skip
    join(rows, made, {"toPhone": "+13195550001", "toName": "A & B"})
    start(app, made)
    keep_house(app)
    message = rows.one(Message)
    assert message.destination is Destination.VOICE
    assert (message.body, message.segments) == (
        "<Response><Say>Hi A &amp; B</Say></Response>", 1,
    )  # fmt: skip
    assert message.lane_key == f"voice:{house.credential.account_sid}"


def test_a_batch_that_was_canceled_meanwhile_does_not_begin(
    app: Flask, rows: Rows, house: House
) -> None:
    made = communication(rows, house)
    join(rows, made, *people(2))
    batch_id = start(app, made, datetime.now(UTC) + timedelta(hours=1))
    act(app, batch_id, "cancel")
    with app.app_context(), unit_of_work() as session:
        assert batches._begin(session, batch_id) is False
    assert rows.count(BatchMember) == 0
    assert state(rows) is BatchState.CANCELED


def test_a_text_that_came_back_while_its_batch_was_emptied_is_canceled_too(
    app: Flask, rows: Rows, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = communication(rows, house)
    join(rows, made, *people(1))
    batch_id = start(app, made)
    keep_house(app)
    act(app, batch_id, "cancel")
    with app.app_context():
        with monkeypatch.context() as patched:  # as if it had been claimed at that moment
            patched.setattr(statuses, "end", lambda *_, **__: None)
            batches.turn()
        assert rows.one(Batch).ended_at is None
        batches.turn()
    assert rows.one(Message).state is MessageState.CANCELED
    assert rows.one(Batch).ended_at is not None
