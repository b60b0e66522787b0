"""Callers whom nobody has answered get one text, through the number's ordinary lane."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from time_machine import TimeMachineFixture

from app.domain import deletion
from app.domain.mistakes import Refused
from app.domain.reach import SUPPRESSED
from app.extensions import db
from app.inbound.afterwards import text_back
from app.models.base import utcnow
from app.models.client import Client
from app.models.incoming import Incoming
from app.models.message import Message, MessageState
from app.models.sender import Sender
from app.models.suppression import SuppressionEntry, SuppressionSource
from app.models.template import Template, TemplateVersion
from tests.inbound.test_ring import NOT_TAKEN, PAT, RING, Phone, Switchboard, over, pressed, rung
from tests.inbound.test_steps import put
from tests.support.departments import Department, department
from tests.support.rows import Rows
from tests.support.twilio import Twilio

CALLER = "+13195550150"
NOW = "2026-11-30T15:00+00:00"


@pytest.fixture
def ours(rows: Rows) -> Department:
    return department(rows, "registrar", "11")


@pytest.fixture
def board(client: FlaskClient, twilio: Twilio, ours: Department) -> Switchboard:
    return Switchboard(client, twilio, ours)


@pytest.fixture(autouse=True)
def clock(time_machine: TimeMachineFixture) -> TimeMachineFixture:
    time_machine.move_to(NOW, tick=False)
    return time_machine


def ends(phone: Phone, status: str = "completed") -> None:
    """Let Twilio tell that the call is over."""
    told = {**phone.call, "CallStatus": status, "CallDuration": "9"}
    assert phone.twilio.post("/inbound/voice/status", told).status_code == 204


def wait(clock: TimeMachineFixture, rows: Rows, seconds: float = 30) -> None:
    """Let some time go by, and the clock look who is to be texted."""
    clock.shift(timedelta(seconds=seconds))
    with rows.app.app_context():
        text_back.run()


def unanswered(board: Switchboard, clock: TimeMachineFixture, **told: str) -> Phone:
    """Call, and let nobody take it."""
    phone = board.called(**told)
    assert rung(phone) == [PAT]
    over(phone, **NOT_TAKEN, CallStatus="completed")
    ends(phone)
    return phone


RINGS: dict[str, Any] = {"people": [{"to": PAT}], "text_back": "away"}


def test_a_caller_whom_nobody_answered_is_texted_once(
    board: Switchboard, rows: Rows, clock: TimeMachineFixture
) -> None:
    phone = over(board.rings(**RINGS), **NOT_TAKEN)
    assert "Leave a message." in phone.document
    ends(phone)
    wait(clock, rows, 10)
    assert rows.all(Message) == []
    wait(clock, rows)
    wait(clock, rows)
    ends(phone)
    wait(clock, rows)
    text = rows.one(Message)
    assert (text.to, text.from_, text.body) == (CALLER, board.ours.number.address, "We are away.")
    assert text.state is MessageState.WAITING
    assert text.lane_key is not None
    assert text.template_version_id is not None
    logged = rows.one(Incoming)
    assert (logged.reply_id, logged.text_back_at) == (text.id, None)


def test_a_second_text_waits_for_another_day(
    board: Switchboard, rows: Rows, clock: TimeMachineFixture
) -> None:
    put(board.api, board.ours, {**RING, **RINGS})
    unanswered(board, clock)
    wait(clock, rows)
    unanswered(board, clock, CallSid="CA" + "b" * 32)
    wait(clock, rows)
    assert rows.count(Message) == 1
    other = "+13195550151"
    unanswered(board, clock, CallSid="CA" + "c" * 32, From=other)
    wait(clock, rows)
    assert {one.to for one in rows.all(Message)} == {CALLER, other}
    wait(clock, rows, 24 * 3600)
    unanswered(board, clock, CallSid="CA" + "d" * 32)
    wait(clock, rows)
    assert rows.count(Message) == 3


def test_two_calls_that_end_at_once_bring_one_text(
    board: Switchboard, rows: Rows, clock: TimeMachineFixture
) -> None:
    put(board.api, board.ours, {**RING, **RINGS})
    unanswered(board, clock)
    unanswered(board, clock, CallSid="CA" + "b" * 32)
    wait(clock, rows)
    assert rows.count(Message) == 1


def test_who_was_answered_gets_none(
    board: Switchboard, rows: Rows, clock: TimeMachineFixture
) -> None:
    phone = board.rings(**RINGS)
    pressed(phone, "1")
    ends(phone)  # before Twilio tells how the phone was answered
    over(phone, DialCallStatus="completed", DialBridged="true", CallStatus="completed")
    wait(clock, rows)
    assert rows.all(Message) == []
    assert rows.one(Incoming).text_back_at is None


def test_who_hangs_up_while_phones_ring_is_texted(
    board: Switchboard, rows: Rows, clock: TimeMachineFixture
) -> None:
    phone = board.rings(**RINGS)
    ends(phone, "no-answer")  # and nothing more is told of the phones
    wait(clock, rows)
    assert rows.one(Message).to == CALLER


SILENT: dict[str, tuple[dict[str, str], str]] = {
    "hidden": ({"From": "+266696687"}, ""),
    "toll-free": ({"From": "+18005550150"}, ""),
    "a name": ({"From": "anonymous"}, ""),
    "abroad": ({"From": "+442079460018"}, "No text went back. +442079460018 is outside"),
}


@pytest.mark.parametrize(("told", "why"), SILENT.values(), ids=SILENT)
def test_who_cannot_get_a_text_gets_none(
    told: dict[str, str], why: str, board: Switchboard, rows: Rows, clock: TimeMachineFixture
) -> None:
    put(board.api, board.ours, {**RING, **RINGS})
    unanswered(board, clock, **told)
    wait(clock, rows)
    assert rows.all(Message) == []
    logged = rows.one(Incoming)
    assert logged.text_back_at is None
    assert why in (logged.error or "")


@pytest.mark.parametrize("code", [None, 30006], ids=["opted out", "a landline"])
def test_a_phone_on_the_list_gets_none(
    code: int | None, board: Switchboard, rows: Rows, clock: TimeMachineFixture, ours: Department
) -> None:
    more: dict[str, Any] = {"reason": "unreachable", "error_code": code} if code else {}
    rows.add(
        SuppressionEntry(
            list_id=listed(rows, ours), phone=CALLER, scope="all", since=utcnow(),
            source=SuppressionSource.MANUAL, **more,
        )
    )  # fmt: skip
    put(board.api, board.ours, {**RING, **RINGS})
    unanswered(board, clock)
    wait(clock, rows)
    assert rows.all(Message) == []
    said = rows.one(Incoming).error or ""
    assert ("30006" if code else SUPPRESSED) in said


def listed(rows: Rows, ours: Department) -> str:
    """Let the number have its list."""
    rows.change(update(Sender).values(suppression_list_id=ours.suppression.id))
    return ours.suppression.id


def test_nothing_goes_out_for_a_halted_client(
    board: Switchboard, rows: Rows, clock: TimeMachineFixture
) -> None:
    phone = over(board.rings(**RINGS), **NOT_TAKEN)
    ends(phone)
    rows.change(update(Client).values(halted_at=utcnow()))
    wait(clock, rows)
    assert rows.all(Message) == []
    assert "halted" in (rows.one(Incoming).error or "")


def test_what_the_template_knows_and_lacks(
    board: Switchboard, rows: Rows, clock: TimeMachineFixture
) -> None:
    put(board.api, board.ours, {**RING, **RINGS})
    words = update(TemplateVersion).where(TemplateVersion.body == "We are away.")
    rows.change(words.values(body="You called {{ To }} from {{ From }}."))
    unanswered(board, clock)
    wait(clock, rows)
    assert rows.one(Message).body == f"You called {board.ours.number.address} from {CALLER}."
    rows.change(update(TemplateVersion).values(body="Hi {{ toName }}."))
    unanswered(board, clock, CallSid="CA" + "b" * 32, From="+13195550151")
    wait(clock, rows)
    assert rows.count(Message) == 1
    failed = rows.one(select(Incoming).where(Incoming.flagged))
    assert "No text went back." in (failed.error or "")


VOICEMAIL = {"handler": "voicemail", "say": "Speak."}
PLAYED = {"handler": "play_message", "say": "We open at eight."}
MENU: dict[str, Any] = {
    "handler": "menu", "say": "Press 1.", "text_back": "away", "repeat": 0,
    "keys": {"1": PLAYED, "2": {**VOICEMAIL, "text_back": "away"}, "3": VOICEMAIL},
}  # fmt: skip
PLACES: dict[str, tuple[dict[str, Any], list[str], bool]] = {
    "in a menu": (MENU, [], True),
    "no key at all": (MENU, [""], True),
    "with what they wanted": (MENU, ["1"], False),
    "at a mailbox that texts": (MENU, ["2"], True),
    "at one that does not": (MENU, ["3"], False),
    "at a mailbox alone": ({**VOICEMAIL, "text_back": "away"}, [], True),
    "where nobody texts": (VOICEMAIL, [], False),
}


@pytest.mark.parametrize(("route", "keys", "texted"), PLACES.values(), ids=PLACES)
def test_it_depends_on_where_they_hang_up(
    route: dict[str, Any], keys: list[str], texted: bool, board: Switchboard, rows: Rows,
    clock: TimeMachineFixture,
) -> None:  # fmt: skip
    put(board.api, board.ours, route)
    phone = board.called()
    for key in keys:
        phone.press(key)
    ends(phone)
    wait(clock, rows)
    assert rows.count(Message) == int(texted)


def test_a_process_that_dies_in_between_texts_nobody_twice_and_forgets_nobody(
    board: Switchboard, rows: Rows, clock: TimeMachineFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends(over(board.rings(**RINGS), **NOT_TAKEN))

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for module, name in (
        (text_back, "_filled_in"), (text_back, "_queue"), (text_back.texts, "queue_text"),
    ):  # fmt: skip
        with monkeypatch.context() as patched:
            patched.setattr(module, name, dies)
            with pytest.raises(KeyboardInterrupt):
                wait(clock, rows)
        assert rows.all(Message) == []
    with monkeypatch.context() as patched:
        patched.setattr(text_back, "wake", dies)
        with pytest.raises(KeyboardInterrupt):
            wait(clock, rows)
    wait(clock, rows)
    assert rows.count(Message) == 1


def test_a_template_in_use_is_kept(board: Switchboard, rows: Rows) -> None:
    board.rings(**RINGS)
    with rows.app.app_context():
        away = db.session.scalars(select(Template).filter_by(name="away")).one()
        with pytest.raises(Refused, match="is used by the number"):
            deletion.remove(db.session(), away, "pat")


def test_it_is_read_as_it_was_written(board: Switchboard, ours: Department) -> None:
    board.rings(**RINGS)
    kept = board.api.get(f"numbers/{ours.number.address}").get_json()["voice"]
    assert kept["text_back"] == "away"
    put(board.api, ours, MENU)
    assert board.api.get(f"numbers/{ours.number.address}").get_json()["voice"] == MENU


def test_a_text_of_another_kind_is_refused(board: Switchboard, ours: Department) -> None:
    route = {**RING, "text_back": "reminder"}
    answer = board.api.put(f"numbers/{ours.number.address}/routes", {"voice": route})
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == "voice.text_back"
