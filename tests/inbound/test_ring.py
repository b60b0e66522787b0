"""Several people's phones ring, as Twilio asks for each step, set up by the API."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from twilio.twiml.voice_response import Gather, VoiceResponse

from app.domain.routing.handlers.ring import Ring
from app.inbound.dialing import NO_ANSWER
from app.inbound.handlers import ring
from app.models.base import utcnow
from app.models.client import Client
from app.models.incoming import Incoming, Outcome
from app.models.last_contact import LastContact
from app.models.spending import Spending
from app.twiml import check
from tests.inbound.test_steps import Phone, put
from tests.support.departments import Caller, Department, department
from tests.support.rows import Rows
from tests.support.twilio import Twilio

PAT, KIM, LEE = "+13195550171", "+13195550172", "+13195550173"
FROM = "+13195550150"
LEG = "CA" + "e" * 32
"""The call of somebody who is rung."""
ABROAD = "+442079460018"
PEOPLE: list[dict[str, Any]] = [{"to": PAT, "name": "Pat", "seconds": 15}, {"to": KIM}]
RING: dict[str, Any] = {
    "handler": "ring", "people": PEOPLE,
    "otherwise": {"handler": "voicemail", "say": "Leave a message."},
}  # fmt: skip
NOT_TAKEN = {"DialCallStatus": "no-answer", "DialBridged": "false"}


class Switchboard:
    """A department with a caller on the line, whose people pick up, press keys, or do not."""

    def __init__(self, http: FlaskClient, twilio: Twilio, ours: Department) -> None:
        self.api, self.twilio, self.ours = Caller.by_header(http, ours), twilio, ours

    def rings(self, **changes: Any) -> Phone:
        route = {name: value for name, value in {**RING, **changes}.items() if value is not None}
        put(self.api, self.ours, route)
        return self.called()

    def called(self, **told: str) -> Phone:
        return Phone(self.twilio, self.ours, **told)


def rung(phone: Phone) -> list[str]:
    """Return whose phones ring."""
    return [one.text or "" for one in phone.root.iterfind("Dial/Number")]


def picked_up(phone: Phone, at: int = 0) -> str:
    """Return what somebody hears who picks up."""
    url = phone.root.findall("Dial/Number")[at].attrib["url"]
    return phone.ask(url, CallSid=LEG, ParentCallSid=phone.call["CallSid"])


def pressed(phone: Phone, key: str, at: int = 0) -> str:
    """Return what somebody hears who has picked up and presses a key."""
    heard = picked_up(phone, at)
    assert check.check_document(heard, whisper=True) == []
    action = heard.partition('action="')[2].partition('"')[0].replace("&amp;", "&")
    return phone.ask(action, CallSid=LEG, ParentCallSid=phone.call["CallSid"], Digits=key)


def over(phone: Phone, **said: str) -> Phone:
    """Let Twilio tell how the phones that rang have answered."""
    phone.hear(phone.ask(phone.root[0].attrib["action"], **said))
    return phone


def minutes(rows: Rows) -> int:
    """Return how many minutes of calls have been counted."""
    return sum(one.call_minutes for one in rows.all(Spending) if one.seconds == 60)


def allow(rows: Rows, ours: Department, international: bool) -> None:
    """Let the department call abroad, or not."""
    of_it = update(Client).where(Client.id == ours.client.id)
    rows.change(of_it.values(international=international))


@pytest.fixture
def ours(rows: Rows) -> Department:
    return department(rows, "registrar", "11")


@pytest.fixture
def board(client: FlaskClient, twilio: Twilio, ours: Department) -> Switchboard:
    return Switchboard(client, twilio, ours)


def test_the_first_phone_rings_as_long_as_it_is_to(board: Switchboard) -> None:
    phone = board.rings()
    number = phone.root[0][0].attrib
    expected = VoiceResponse()
    dial = expected.dial(
        action=phone.root[0].attrib["action"], method="POST", timeout=15, time_limit=7200,
        answer_on_bridge=True,
    )  # fmt: skip
    dial.number(PAT, url=number["url"], method="POST")
    assert phone.document == str(expected)


def test_who_picks_up_hears_who_calls_and_which_key_takes_the_call(
    board: Switchboard, rows: Rows
) -> None:
    heard = picked_up(board.rings(whisper="Admissions."))
    said = "Admissions. A call from 3 1 9, 5 5 5, 0 1 5 0. To take it, press 1."
    expected = VoiceResponse()
    gather = Gather(
        input="dtmf", action=heard.partition('action="')[2].partition('"')[0], method="POST",
        timeout=8, num_digits=1, finish_on_key="", action_on_empty_result=True,
    )  # fmt: skip
    gather.say(f"{said} {said}")
    expected.append(gather)
    assert heard == str(expected).replace("&amp;amp;", "&amp;")


def test_who_calls_is_said_by_name_where_they_were_written_to(
    board: Switchboard, rows: Rows, ours: Department
) -> None:
    rows.add(
        LastContact(
            client_id=ours.client.id, phone=FROM, sender_id=ours.number.id, sent_at=utcnow(),
            member={"toName": "Ann Lee"}, message_id="M" * 26,
        )
    )  # fmt: skip
    assert "A call from Ann Lee, 3 1 9, 5 5 5," in picked_up(board.rings())


def test_key_1_takes_the_call_and_nobody_else_is_rung(board: Switchboard, rows: Rows) -> None:
    phone = board.rings()
    assert pressed(phone, "1") == str(VoiceResponse())
    over(phone, DialCallStatus="completed", DialBridged="true", DialCallDuration="61")
    assert [one.tag for one in phone.root] == ["Hangup"]
    logged = rows.one(Incoming)
    assert (logged.outcome, logged.dial_status) == (Outcome.FORWARDED, "completed")


@pytest.mark.parametrize("key", ["", "2", "#"], ids=["a mailbox", "another key", "the hash"])
@pytest.mark.parametrize(
    "told",
    [{"DialBridged": "false"}, {}, {"DialCallStatus": "no-answer"}],
    ids=["not connected", "an older answer of Twilio's", "no answer"],
)
def test_who_does_not_press_1_is_hung_up_on_and_the_next_phone_rings(
    key: str, told: dict[str, str], board: Switchboard, rows: Rows
) -> None:
    phone = board.rings()
    assert "<Hangup" in pressed(phone, key)
    over(phone, **{"DialCallStatus": "completed", "DialCallDuration": "9", **told})
    assert rung(phone) == [KIM]
    assert phone.root[0].attrib["timeout"] == "20"
    assert rows.one(Incoming).dial_status == "no-answer"


def test_whom_nobody_has_answered_leaves_a_message(board: Switchboard, rows: Rows) -> None:
    phone = over(over(board.rings(), **NOT_TAKEN), **{**NOT_TAKEN, "DialCallStatus": "busy"})
    assert "Leave a message." in phone.document
    assert phone.root.find("Record") is not None
    logged = rows.one(Incoming)
    assert (logged.outcome, logged.dial_status) == (Outcome.PLAYED, "busy")


def test_whom_nobody_has_answered_hears_so_where_there_is_nothing_else(board: Switchboard) -> None:
    phone = over(board.rings(otherwise=None, people=[{"to": PAT}]), **NOT_TAKEN)
    assert NO_ANSWER in phone.document


def test_all_phones_ring_at_once_as_long_as_the_longest(board: Switchboard) -> None:
    phone = board.rings(strategy="all")
    assert rung(phone) == [PAT, KIM]
    assert phone.root[0].attrib["timeout"] == "20"
    assert pressed(phone, "1", at=1) == str(VoiceResponse())
    over(phone, DialCallStatus="completed", DialCallDuration="5")
    assert [one.tag for one in phone.root] == ["Hangup"]


def test_all_at_once_and_nobody_takes_it(board: Switchboard) -> None:
    phone = board.rings(strategy="all")
    assert "<Hangup" in pressed(phone, "", at=0)
    assert "Leave a message." in over(phone, DialCallStatus="completed").document


def test_without_a_key_whoever_picks_up_has_the_call(board: Switchboard) -> None:
    phone = board.rings(confirm=False)
    assert "url" not in phone.root[0][0].attrib
    over(phone, DialCallStatus="completed", DialCallDuration="5")
    assert [one.tag for one in phone.root] == ["Hangup"]


def test_without_a_key_words_are_heard_and_then_the_caller(board: Switchboard) -> None:
    heard = picked_up(board.rings(confirm=False, whisper="Admissions."))
    assert check.check_document(heard, whisper=True) == []
    assert "Admissions. A call from" in heard
    assert "<Hangup" not in heard
    assert "press" not in heard


def test_in_a_language_that_we_do_not_speak_its_own_words_are_all(board: Switchboard) -> None:
    heard = picked_up(board.rings(whisper="Oprima 1.", language="es-MX"))
    assert "Oprima 1. Oprima 1." in heard
    assert "call" not in heard.replace("/inbound/voice", "")


def test_a_repeat_of_a_step_gets_the_same_and_causes_nothing_twice(
    board: Switchboard, rows: Rows
) -> None:
    phone = board.rings()
    first = phone.root[0].attrib["action"]
    assert picked_up(phone) == picked_up(phone)
    second = over(phone, **NOT_TAKEN).document
    assert phone.ask(first, **NOT_TAKEN) == second
    assert phone.ask(first, DialCallStatus="completed", DialBridged="true") == second
    over(phone, **NOT_TAKEN)
    assert phone.ask(first, **NOT_TAKEN) == second
    assert rows.one(Incoming).dial_status == "no-answer"


def test_whoever_is_in_the_list_when_the_call_comes_is_rung(board: Switchboard) -> None:
    phone = board.rings()
    board.rings(people=[{"to": LEE}])
    assert rung(over(phone, **NOT_TAKEN)) == [KIM]


def test_a_caller_who_has_gone_lets_no_phone_ring(board: Switchboard, rows: Rows) -> None:
    phone = over(board.rings(), **NOT_TAKEN, CallStatus="completed")
    assert [one.tag for one in phone.root] == ["Hangup"]
    assert rows.one(Incoming).dial_status == "no-answer"


def test_a_failure_loses_no_caller(board: Switchboard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who picks up hears an apology and is hung up on, and the next phone rings."""
    phone = board.rings()

    def dies(*_: object) -> None:
        raise RuntimeError("between two lines")

    with monkeypatch.context() as patched:
        patched.setattr(ring, "_announced", dies)
        assert "<Hangup" in picked_up(phone)
    assert rung(over(phone, DialCallStatus="completed", DialCallDuration="3")) == [KIM]


def test_the_way_through_a_menu_is_the_same(board: Switchboard, rows: Rows) -> None:
    put(board.api, board.ours, {"handler": "menu", "say": "Press 1.", "keys": {"1": RING}})
    phone = board.called().press("1")
    assert rung(phone) == [PAT]
    over(over(phone, **NOT_TAKEN), **NOT_TAKEN)
    assert "Leave a message." in phone.document
    assert rows.one(Incoming).path == ["1"]


def test_minutes_count_for_each_phone_that_rings_and_for_a_long_talk(
    board: Switchboard, rows: Rows
) -> None:
    phone = board.rings(strategy="all")
    assert minutes(rows) == 2
    pressed(phone, "1")
    over(phone, DialCallStatus="completed", DialCallDuration="61")
    assert minutes(rows) == 3


def test_over_the_limit_the_caller_can_leave_a_message(
    board: Switchboard, rows: Rows, ours: Department
) -> None:
    few = update(Client).where(Client.id == ours.client.id).values(limit_minutes_hour=2)
    rows.change(few)
    assert rung(board.rings(strategy="all")) == [PAT, KIM]
    assert "Leave a message." in board.called(CallSid="CA" + "d" * 32).document
    logged = rows.one(select(Incoming).where(Incoming.flagged))
    assert "The call was not forwarded." in (logged.error or "")


def test_who_may_not_be_called_any_more_is_left_out(
    board: Switchboard, rows: Rows, ours: Department
) -> None:
    allow(rows, ours, True)
    phone = board.rings(people=[{"to": ABROAD}, {"to": KIM}])
    assert rung(phone) == [ABROAD]
    allow(rows, ours, False)
    phone = board.called(CallSid="CA" + "d" * 32)
    assert rung(phone) == [KIM]
    logged = rows.one(select(Incoming).where(Incoming.flagged))
    assert f"{ABROAD} is outside" in (logged.error or "")


def test_where_nobody_may_be_called_the_caller_can_leave_a_message(
    board: Switchboard, rows: Rows, ours: Department
) -> None:
    allow(rows, ours, True)
    board.rings(people=[{"to": ABROAD}])
    allow(rows, ours, False)
    phone = board.called(CallSid="CA" + "d" * 32)
    assert "Leave a message." in phone.document


def test_nobody_is_rung_for_a_halted_client(
    board: Switchboard, rows: Rows, ours: Department
) -> None:
    phone = board.rings()
    rows.change(update(Client).where(Client.id == ours.client.id).values(halted_at=utcnow()))
    assert "does not take calls" in over(phone, **NOT_TAKEN).document


def test_a_call_that_goes_in_circles_rings_nobody(
    board: Switchboard, rows: Rows, ours: Department
) -> None:
    board.rings()
    phone = board.called(CallSid="CA" + "d" * 32, ForwardedFrom=ours.number.address)
    assert NO_ANSWER in phone.document
    assert rows.one(select(Incoming).filter_by(outcome=Outcome.LOOP_STOPPED)).flagged


def test_one_caller_is_not_forwarded_again_and_again(board: Switchboard) -> None:
    over(over(board.rings(), **NOT_TAKEN), **NOT_TAKEN)
    for at in range(9):
        phone = board.called(CallSid=f"CA{at:032x}")
        assert rung(phone) == [PAT]
        over(over(phone, **NOT_TAKEN), **NOT_TAKEN)
    assert NO_ANSWER in board.called(CallSid="CA" + "d" * 32).document


def test_who_calls_from_a_phone_that_would_ring_is_put_through_to_the_others(
    board: Switchboard,
) -> None:
    assert rung(board.rings(people=[{"to": FROM}, {"to": KIM}])) == [KIM]


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "nobody": ({"people": []}, "voice", "exactly one of people and rota"),
    "eleven": (
        {"people": [{"to": f"+131955501{at}"} for at in range(11, 22)]}, "voice.people", "at most",
    ),
    "no phone": ({"people": [{"to": "x"}]}, "voice.people[0].to", "“x”"),
    "abroad": ({"people": [{"to": KIM}, {"to": ABROAD}]}, "voice.people[1].to", "outside"),
    "twice": ({"people": [{"to": KIM}, {"to": "319 555 0172"}]}, "voice", "would ring twice"),
    "too long": ({"people": [{"to": KIM, "seconds": 121}]}, "voice.people[0].seconds", "120"),
    "a voice for nothing": ({"voice": "alice"}, "voice", "belong to “whisper”"),
    "a faulty way out": (
        {"otherwise": {"handler": "call_forward", "to": ABROAD}}, "voice.otherwise.to", "outside",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_refused_at_its_place(
    changes: dict[str, Any], field: str, words: str, board: Switchboard, ours: Department
) -> None:
    path = f"numbers/{ours.number.address}/routes"
    answer = board.api.put(path, {"voice": {**RING, **changes}})
    assert answer.status_code == 422
    found = {one["field"]: one["message"] for one in answer.get_json()["errors"]}
    assert field in found, found
    assert words in found[field]


def test_what_is_stored_is_what_was_written(board: Switchboard, ours: Department) -> None:
    board.rings(strategy="all", confirm=False, whisper="Admissions.")
    kept = board.api.get(f"numbers/{ours.number.address}").get_json()["voice"]
    assert kept == {
        **RING, "strategy": "all", "confirm": False, "whisper": "Admissions.",
    }  # fmt: skip


ODD = ["step=rung&turn=7", "step=picked-up&turn=2", "step=key&turn=9", "step=x&turn=0"]


@pytest.mark.parametrize("step", ODD)
def test_a_step_that_is_not_there_gets_an_apology(step: str, board: Switchboard) -> None:
    phone = board.rings()
    base = phone.root[0].attrib["action"].partition("?")[0]
    assert "Something went wrong on our side" in phone.ask(f"{base}?at=&{step}")


def test_everybody_has_a_round_of_their_own_or_all_have_one() -> None:
    people = [{"to": PAT}, {"to": KIM}]
    assert Ring.of({"people": people, "strategy": "in_order"}).rounds() == [[0], [1]]
    assert Ring.of({"people": people, "strategy": "all"}).rounds() == [[0, 1]]
