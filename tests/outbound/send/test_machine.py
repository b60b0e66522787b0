"""Any history of claims, POSTs, reports, opt-outs and deaths: what must never happen never does.

Hypothesis makes the histories. Beside them stands a Twilio that knows what it has really taken.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, update
from time_machine import TimeMachineFixture

from app.domain.audience import in_force, suppression
from app.domain.sending import fates, statuses
from app.domain.sending.reports import Report
from app.extensions import unit_of_work
from app.models.message import (
    Lane,
    Message,
    MessageReport,
    MessageState,
)
from app.models.route import Destination
from app.models.sender import Sender
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from app.outbound.afterwards import settle, sweep
from app.outbound.afterwards.traces import SEARCHES, Found
from app.outbound.send import claims, outcomes
from app.outbound.send.claims import LaneView, Outgoing
from app.outbound.send.post import Outcome, Taken
from app.twilio.client import NotSent, RefusedByTwilio, TwilioClient, Uncertain
from tests.support.house import House, furnish, text
from tests.support.rows import Rows

Draw = Callable[[st.SearchStrategy[Any]], Any]
LEASE = "L" * 26
RATE = 10.0
PHONES = [f"+1319555015{n}" for n in range(3)]
BODIES = ["Hello", "Hello ", "Good bye"]
"""The first two look the same in Twilio's log."""
OPTED_OUT = 21610
NOT_A_PHONE = 21211
BEGIN = datetime(2026, 11, 21, 12, tzinfo=UTC)

RANKS = {
    word: rank
    for rank, words in enumerate(
        (
            ("accepted", "scheduled"), ("queued",), ("sending",), ("sent",),
            ("delivered", "undelivered", "failed", "canceled"), ("read",),
        )
    )
    for word in words
}  # fmt: skip
"""What Twilio says becomes of a text, in its order (Message resource, status values)."""
FINAL = {"undelivered", "failed", "canceled", "read"}
NEVER_AGAIN = {MessageState.REFUSED, MessageState.SUPPRESSED, MessageState.CANCELED}
"""Twilio never had it, or said no: nothing that happens changes this."""

ALL_THAT_HAPPENS = {
    "claimed", "taken", "lost answer", "lost", "not sent", "refused", "died", "given up", "found",
    "reported", "a person said",
}  # fmt: skip
some_bodies = st.lists(st.sampled_from(BODIES), min_size=1, max_size=3)


class Machine(RuleBasedStateMachine):
    """Our side by its own functions, on a real database; Twilio's side by what is written here."""

    app: Flask
    rows: Rows
    house: House
    list_id: str
    clock: TimeMachineFixture
    happened: Counter[str]
    """How often, in all histories: what never happens proves nothing."""

    def __init__(self) -> None:
        super().__init__()
        for model in (MessageReport, Message, SuppressionEntry, Lane):
            self.rows.change(delete(model))
        self.now = BEGIN
        self.clock.move_to(BEGIN)
        self.lane = f"sms:{self.house.sender.id}"
        self.rows.add(Lane(key=self.lane, rate=RATE, lease_token=LEASE))
        self.numbers = 0
        self.flying: list[Outgoing] = []
        self.taken: dict[str, str] = {}
        """What Twilio has really got: the SID, by message."""
        self.free_at_us = 0
        self.opted_out: set[str] = set()
        self.before: dict[str, Message] = {}

    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        """Let one of the things happen that may; one rule, so that no history lacks a kind."""
        states = {one.state for one in self.before.values()}
        may = [self.write, self.stop]
        may += [self.start] * bool(self.opted_out)
        may += [self.time_goes_by] * bool(self.before)
        may += [self.claim] * 3 * (MessageState.WAITING in states)
        may += [self.post, self.post, self.post, self.refuse, self.die] * bool(self.flying)
        may += [self.sweep_claims] * (MessageState.CLAIMED in states)
        may += [self.look_up] * 3 * (MessageState.UNKNOWN in states)
        may += [self.say_what_became] * any(map(fates.is_open, self.before.values()))
        may += [self.report] * bool(self.taken)
        data.draw(st.sampled_from(may))(data.draw)

    # What people do.

    def write(self, draw: Draw) -> None:
        phone = draw(st.sampled_from(PHONES))
        self.rows.add(
            *(
                text(
                    self.house, id=self.number(""), to=phone, body=body, due_at=self.now,
                    created_at=self.now, suppression_list_id=self.list_id,
                )
                for body in draw(some_bodies)
            )
        )  # fmt: skip

    def stop(self, draw: Draw) -> None:
        phone = draw(st.sampled_from(PHONES))
        with self.app.app_context(), unit_of_work() as session:
            suppression.suppress(
                session, self.list_id, phone, source=SuppressionSource.KEYWORD, at=self.now
            )
        self.opted_out.add(phone)

    def start(self, draw: Draw) -> None:
        phone = draw(st.sampled_from(sorted(self.opted_out)))
        scopes = in_force.scopes_of(self.house.sender.id, None)
        with self.app.app_context(), unit_of_work() as session:
            suppression.opt_in(session, self.list_id, phone, scopes=scopes, at=self.now, exact=True)
        self.opted_out.discard(phone)

    def say_what_became(self, draw: Draw) -> None:
        """Somebody looks at Twilio's log, and says the truth."""
        asked = [one for one in self.messages() if fates.is_open(one)]
        if not asked:
            return
        message = draw(st.sampled_from(asked))
        known = self.taken.get(message.id)
        adopted = {one.sid for one in self.messages()}
        with self.app.app_context(), unit_of_work() as session:
            if known is None:
                fates.did_not_arrive(session, message.id, "pat")
            elif known not in adopted:
                fates.arrived(session, message.id, known, "pat")
        self.happened["a person said"] += 1

    # What time and processes do.

    def time_goes_by(self, draw: Draw) -> None:
        self.wait(draw(st.sampled_from([40, 120, 3600])))

    def claim(self, draw: Draw) -> None:
        self.wait(draw(st.sampled_from([0.2, 5, 60])))
        now_us = int(self.now.timestamp() * 1e6)
        with self.app.app_context(), unit_of_work() as session:
            view = LaneView(self.lane, RATE, 0)
            claimed = claims.claim(session, [(view, draw(st.integers(1, 5)))], now_us, LEASE)
        for outgoing in claimed:
            assert outgoing.to not in self.opted_out
            assert outgoing.id not in self.taken, "Twilio has it already"
            assert outgoing.slot_us >= self.free_at_us, "the lane is faster than its rate"
            self.free_at_us = outgoing.slot_us + outgoing.cost_us
        self.flying += claimed
        self.happened["claimed"] += len(claimed)

    def post(self, draw: Draw) -> None:
        outgoing = self.land(draw)
        how = draw(st.sampled_from(["taken", "lost answer", "lost", "not sent"]))
        if how in ("taken", "lost answer"):
            self.reach(outgoing)
        self.settle(
            outgoing,
            {
                "taken": Taken(self.taken.get(outgoing.id, ""), "queued"),
                "not sent": NotSent("Nobody listens."),
            }.get(how, Uncertain("The connection broke.")),
        )
        self.happened[how] += 1

    def refuse(self, draw: Draw) -> None:
        outgoing = self.land(draw)
        code = draw(st.sampled_from([OPTED_OUT, NOT_A_PHONE]))
        self.settle(outgoing, RefusedByTwilio(code, 400, "No."))
        if code == OPTED_OUT:
            self.opted_out.add(outgoing.to)
        self.happened["refused"] += 1

    def die(self, draw: Draw) -> None:
        """The process is killed, before or after Twilio has got it."""
        outgoing = self.land(draw)
        if draw(st.booleans()):
            self.reach(outgoing)
        self.happened["died"] += 1

    def sweep_claims(self, draw: Draw) -> None:
        """Claims are given up: also those of a process that only stands still."""
        self.wait(draw(st.sampled_from([0, 31])))
        with self.app.app_context():
            self.happened["given up"] += sweep.lost_claims()

    def look_up(self, draw: Draw) -> None:
        unknown = [one.id for one in self.messages() if one.state is MessageState.UNKNOWN]
        id_ = draw(st.sampled_from(unknown))
        with self.app.app_context():
            settle.look_up(id_)
        self.happened["found"] += any(one.sid for one in self.messages() if one.id == id_)

    def report(self, draw: Draw) -> None:
        """Twilio tells, in any order and any number of times; the address names the message."""
        message_id = draw(st.sampled_from(sorted(self.taken)))
        word = draw(st.sampled_from([*RANKS, "a word of tomorrow"]))
        known = {one.id for one in self.messages() if one.sid == self.taken[message_id]}
        if known - {message_id}:
            return  # adopted by its twin, which looks the same
        report = Report(word, "callback", sid=self.taken[message_id])
        with self.app.app_context(), unit_of_work() as session:
            statuses.record_report(session, message_id, report)
        self.happened["reported"] += 1

    # What must hold.

    @invariant()
    def all_is_well(self) -> None:
        now = {one.id: one for one in self.messages()}
        for id_, old in self.before.items():
            nothing_runs_backwards(old, now[id_])
        self.before = now
        sids = [one.sid for one in now.values() if one.sid is not None]
        assert len(sids) == len(set(sids))
        assert set(sids) <= set(self.taken.values())
        claimed = Counter(one.to for one in now.values() if one.state is MessageState.CLAIMED)
        assert max(claimed.values(), default=0) <= 1, "two are on their way to one phone"

    def teardown(self) -> None:
        """Let hours go by in which all that has begun comes to its end, and count."""
        for _ in range(6):
            self.wait(3600)
            with self.app.app_context():
                sweep.lost_claims()
                for message in self.messages():
                    if message.state is MessageState.UNKNOWN:
                        settle.look_up(message.id)
        alike: dict[tuple[str, str], list[Message]] = defaultdict(list)
        for message in self.messages():
            assert message.state is not MessageState.CLAIMED
            alike[looks(message)].append(message)
        for group in alike.values():
            states = Counter(one.state for one in group)
            taken = sum(one.id in self.taken for one in group)
            known = sum(one.sid is not None for one in group)
            assert known <= taken, "more is said to have been sent than was"
            assert known + states[MessageState.UNKNOWN] >= taken, "a text that was sent is lost"

    def number(self, prefix: str) -> str:
        """Return an id: the same in the same history, so that it can be shown again."""
        self.numbers += 1
        return f"{prefix}{self.numbers:0{32 if prefix else 26}}"

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.clock.move_to(self.now)

    def land(self, draw: Draw) -> Outgoing:
        """Take one of those that are on their way."""
        return self.flying.pop(draw(st.integers(0, len(self.flying) - 1)))

    def messages(self) -> list[Message]:
        return sorted(self.rows.all(Message), key=lambda one: one.id)

    def reach(self, outgoing: Outgoing) -> None:
        assert outgoing.id not in self.taken, "its person got it twice"
        self.taken[outgoing.id] = self.number("SM")

    def settle(self, outgoing: Outgoing, outcome: Outcome) -> None:
        with self.app.app_context(), unit_of_work() as session:
            outcomes.write_down(session, [(outgoing, outcome)])

    def in_twilios_log(self, _twilio: TwilioClient, message: Message) -> Iterator[Found]:
        """Everything that looks like the message, however old: the worst that a log can show."""
        for one in self.messages():
            if looks(one) == looks(message) and one.id in self.taken:
                found = self.taken[one.id]
                yield Found(found, Report("sent", "lookup", sid=found))


def nothing_runs_backwards(old: Message, message: Message) -> None:
    """Compare a message with what it was before something happened."""
    assert old.sid in (None, message.sid), "a SID changed"
    if old.state in NEVER_AGAIN:
        assert message.state is old.state
    if old.sid is not None:
        assert message.state not in (MessageState.WAITING, MessageState.CLAIMED)
    if old.status is not None and message.status != old.status:
        assert old.status not in FINAL
        assert RANKS[message.status or ""] > RANKS[old.status]


def looks(message: Message) -> tuple[str, str]:
    """Return what tells a text from others in Twilio's log."""
    return message.to, (message.body or "").strip()


def test_no_history_loses_or_doubles_anything(
    app: Flask, rows: Rows, time_machine: TimeMachineFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = furnish(rows, rate=RATE)
    listed = SuppressionList(client_id=house.client.id, name="opted-out")
    rows.add(listed)
    rows.change(update(Sender).values(suppression_list_id=listed.id))

    class ThisMachine(Machine):
        def __init__(self) -> None:
            super().__init__()
            monkeypatch.setitem(SEARCHES, Destination.SMS, self.in_twilios_log)

    happened: Counter[str] = Counter()
    more: dict[str, Any] = {
        "app": app, "rows": rows, "house": house, "list_id": listed.id, "clock": time_machine,
        "happened": happened,
    }  # fmt: skip
    for name, value in more.items():
        setattr(ThisMachine, name, value)
    run_state_machine_as_test(
        ThisMachine,
        settings=settings(
            max_examples=settings.default.max_examples * 3 // 10, stateful_step_count=50,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
    assert {what for what, times in happened.items() if times} == ALL_THAT_HAPPENS, happened
