"""A Twilio account counts as a client's only once Twilio has said so."""

from __future__ import annotations

import socket
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import select, update

from app.domain import reach
from app.domain.sending import confirmation, lanes
from app.domain.sending.confirmation import Word
from app.extensions import db, reading, unit_of_work
from app.inbound import lookup
from app.inbound.afterwards import recovery
from app.maintenance import confirmations
from app.models.client import Client
from app.models.credential import Credential
from app.models.delivery import Delivery
from app.models.message import Lane, Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender
from app.outbound.afterwards import restored, sent_log
from app.outbound.send import agenda, drains
from tests.support.departments import Caller
from tests.support.fake_twilio import FakeTwilio
from tests.support.house import House, furnish, text
from tests.support.rows import Rows

AC = "AC" + "5" * 32
TOKEN, NEXT, WRONG = "a" * 32, "b" * 32, "c" * 32
PHONE = "+13195550177"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
UNANSWERED = [404, 408, 429, 500, 503, 302, 400]
"""What is neither yes nor no: the last line of DESIGN 4.7 says so of 404."""


@pytest.fixture
def fake(twilio_port: int) -> Iterator[FakeTwilio]:
    with FakeTwilio(port=twilio_port) as twilio:
        twilio.tokens = {AC: (TOKEN, NEXT)}
        yield twilio


@pytest.fixture
def environ(environ: dict[str, str], fake: FakeTwilio) -> dict[str, str]:
    return {**environ, "TWILIO_API_BASE_URL": fake.url}


@pytest.fixture
def house(rows: Rows) -> House:
    made = furnish(rows, account_sid=AC, rate=100)
    rows.change(update(Credential).values(auth_token=TOKEN, asked_at=NOW))
    return made


def unconfirm(rows: Rows, **more: object) -> None:
    rows.change(update(Credential).values(unconfirmed_since=NOW, **more))


class TestAsking:
    def test_yes_is_200_with_that_very_account(self, app: Flask, fake: FakeTwilio) -> None:
        with app.app_context():
            assert confirmation.ask([(AC, TOKEN)]) == {(AC, TOKEN): Word.CONFIRMED}
            fake.account_shown = "AC" + "6" * 32
            assert confirmation.ask([(AC, TOKEN)]) == {(AC, TOKEN): Word.UNKNOWN}
        assert fake.asked_about == [(AC, TOKEN)] * 2

    @pytest.mark.parametrize("status", [401, 403])
    def test_no_is_401_or_403(self, status: int, app: Flask, fake: FakeTwilio) -> None:
        fake.account_status = status
        with app.app_context():
            assert confirmation.ask([(AC, TOKEN)]) == {(AC, TOKEN): Word.REFUSED}

    @pytest.mark.parametrize("status", UNANSWERED)
    def test_everything_else_is_neither(self, status: int, app: Flask, fake: FakeTwilio) -> None:
        fake.account_status = status
        with app.app_context():
            assert confirmation.ask([(AC, TOKEN)]) == {(AC, TOKEN): Word.UNKNOWN}

    def test_nobody_there_is_neither(self, app: Flask) -> None:
        with socket.socket() as held:  # bound, so that nobody else is there; it does not listen
            held.bind(("127.0.0.1", 0))
            nobody = f"http://127.0.0.1:{held.getsockname()[1]}"
            assert confirmation._ask(nobody, (AC, TOKEN)) is Word.UNKNOWN
        with app.app_context():
            assert confirmation.ask([]) == {}


FILE = """
    clients:
      - name: registrar
        twilio_enabled: true
        owner_email: owner@example.edu
        credentials: [{{name: main, account_sid: {sid}, auth_token: {token}{more}}}]
"""


class TestApply:
    def apply(
        self, flask_command: FlaskCliRunner, folder: Path, token: str, more: str = ""
    ) -> tuple[int, str]:
        file = folder / "dispatch.yaml"
        file.write_text(textwrap.dedent(FILE.format(sid=AC, token=token, more=more)))
        result = flask_command.invoke(args=["apply", str(file)])
        return result.exit_code, result.output + result.stderr

    def test_what_twilio_takes_is_confirmed(
        self, flask_command: FlaskCliRunner, tmp_path: Path, rows: Rows, fake: FakeTwilio
    ) -> None:
        code, said = self.apply(flask_command, tmp_path, TOKEN, f", next_auth_token: {NEXT}")
        assert code == 0, said
        assert "unconfirmed" not in said
        found = rows.one(Credential)
        assert found.confirmation == "confirmed"
        assert found.asked_at is not None
        assert sorted(fake.asked_about) == [(AC, TOKEN), (AC, NEXT)]
        self.apply(flask_command, tmp_path, TOKEN, f", next_auth_token: {NEXT}")
        assert len(fake.asked_about) == 2, "what is confirmed is not asked about again"

    @pytest.mark.parametrize(
        ("token", "more", "field"),
        [
            (WRONG, "", "auth_token"),
            (TOKEN, f", next_auth_token: {WRONG}", "next_auth_token"),
        ],
    )
    def test_what_twilio_refuses_is_a_mistake_with_its_place(
        self, token: str, more: str, field: str, flask_command: FlaskCliRunner, tmp_path: Path,
        rows: Rows,
    ) -> None:  # fmt: skip
        code, said = self.apply(flask_command, tmp_path, token, more)
        assert code == 2
        assert f"clients[0].credentials[0].{field}: {confirmation.REFUSED}" in said
        assert token not in said
        assert rows.count(Client) == 0

    def test_what_twilio_cannot_be_asked_about_is_unconfirmed(
        self, flask_command: FlaskCliRunner, tmp_path: Path, rows: Rows, fake: FakeTwilio
    ) -> None:
        fake.account_status = 404
        code, said = self.apply(flask_command, tmp_path, WRONG)
        assert code == 0
        assert "credential main is unconfirmed" in said
        assert rows.one(Credential).confirmation == "unconfirmed"
        fake.account_status = None
        code, said = self.apply(flask_command, tmp_path, TOKEN)
        assert "unconfirmed" not in said
        assert rows.one(Credential).confirmation == "confirmed"

    def test_a_new_token_of_a_confirmed_account_is_asked_about(
        self, flask_command: FlaskCliRunner, tmp_path: Path, rows: Rows
    ) -> None:
        self.apply(flask_command, tmp_path, TOKEN)
        code, _ = self.apply(flask_command, tmp_path, WRONG)
        assert code == 2
        assert rows.one(Credential).auth_token == TOKEN


class TestUnconfirmed:
    def test_sends_wait_and_go_when_it_is_confirmed(
        self, app: Flask, rows: Rows, house: House, fake: FakeTwilio
    ) -> None:
        unconfirm(rows)
        rows.add(text(house))
        with app.app_context():
            with unit_of_work() as session:
                sender = session.get_one(Sender, house.sender.id)
                credential = session.get_one(Credential, house.credential.id)
                key = lanes.ensure_lane(session, sender, Destination.VOICE, credential)
                assert key == f"voice:{credential.id}"
            call = {"destination": Destination.VOICE, "lane_key": key, "to": "+13195550151"}
            rows.add(text(house, **call, twiml_source="<Response/>"))
            assert agenda.due(db.session(), datetime.now(UTC)) == {}
            drains.drain()
            assert {one.state for one in rows.all(Message)} == {MessageState.WAITING}
            assert fake.tried == []
            confirmations.tick()
            drains.drain()
        assert {one.state for one in rows.all(Message)} == {MessageState.ACCEPTED}
        assert f"voice:{AC}" in {lane.key for lane in rows.all(Lane)}

    def test_nobodys_rate_is_lowered(self, app: Flask, rows: Rows, house: House) -> None:
        rows.change(update(Credential).values(calls_per_second=10))
        other = furnish(rows, address="+13195550177", account_sid=AC)
        slow = {"calls_per_second": 0.01, "unconfirmed_since": NOW}
        rows.change(update(Credential).where(Credential.id == other.credential.id).values(slow))
        with app.app_context(), unit_of_work() as session:
            for one in (house, other):
                sender = session.get_one(Sender, one.sender.id)
                credential = session.get_one(Credential, one.credential.id)
                lanes.ensure_lane(session, sender, Destination.VOICE, credential)
        rates = {lane.key: lane.rate for lane in rows.all(Lane)}
        assert rates == {f"voice:{AC}": 10, f"voice:{other.credential.id}": 0.01}
        rows.change(update(Credential).values(unconfirmed_since=None))
        with app.app_context(), unit_of_work() as session:
            sender = session.get_one(Sender, house.sender.id)
            credential = session.get_one(Credential, house.credential.id)
            lanes.ensure_lane(session, sender, Destination.VOICE, credential)
        assert rows.one(select(Lane).where(Lane.key == f"voice:{AC}")).rate == 0.01

    def test_its_token_signs_for_no_unknown_number(
        self, app: Flask, rows: Rows, house: House
    ) -> None:
        with app.app_context():
            with reading() as connection:
                assert lookup.tokens_of_account(connection, AC) == (TOKEN,)
            unconfirm(rows)
            with reading() as connection:
                assert lookup.tokens_of_account(connection, AC) == ()

    def test_one_that_cannot_be_decrypted_is_in_nobodys_way(
        self, app: Flask, rows: Rows, house: House
    ) -> None:
        from sqlalchemy import text as sql

        other = furnish(rows, address="+13195550177", account_sid=AC)
        with app.app_context(), unit_of_work() as session:
            session.execute(
                sql("UPDATE credential SET auth_token = :x WHERE id = :id"),
                {"x": b"garbage", "id": other.credential.id},
            )
        with app.app_context(), reading() as connection:
            assert lookup.tokens_of_account(connection, AC) == (TOKEN,)

    def test_the_log_of_its_account_is_read_by_those_of_others(
        self, app: Flask, rows: Rows, house: House
    ) -> None:
        other = furnish(rows, address="+13195550177", account_sid=AC)
        claimed = {"id": "0" * 26, "client_id": other.client.id, "name": "claimed"}
        rows.add(Credential(**claimed, account_sid=AC, auth_token=WRONG, unconfirmed_since=NOW))
        with app.app_context():
            ((first, *more),) = recovery._accounts(None)
        assert first.twilio.password == TOKEN
        assert all(one.twilio.password != WRONG for one in more)

    def test_what_the_log_of_an_account_holds_is_nobodys_who_only_claims_it(
        self, app: Flask, rows: Rows, house: House
    ) -> None:
        other = furnish(rows, address="+13195550177", account_sid=AC)
        claimed = Credential.id == other.credential.id
        rows.change(update(Credential).where(claimed).values(unconfirmed_since=NOW))
        with app.app_context():
            (ways,) = recovery._accounts(None)
            ((_, own),) = restored.by_account().items()
            sent = sent_log.senders_of(AC)
        assert [one.numbers for one in ways] == [[house.sender.address]]
        assert len(own) == 1
        assert list(sent) == [house.sender.address]

    def test_its_numbers_keep_nobody_from_a_phone(
        self, app: Flask, rows: Rows, house: House
    ) -> None:
        other = furnish(rows, address=PHONE, account_sid="AC" + "6" * 32)
        asked = (house.sender.address, PHONE, None, "")
        with app.app_context(), reading() as connection:
            found = lookup.for_text(connection, *asked)
            assert found is not None
            assert found.from_is_ours
            assert reach.own_numbers(db.session(), [PHONE]) == {PHONE}
        claimed = Credential.id == other.credential.id
        rows.change(update(Credential).where(claimed).values(unconfirmed_since=NOW))
        with app.app_context(), reading() as connection:
            found = lookup.for_text(connection, *asked)
            assert found is not None
            assert not found.from_is_ours
            assert reach.own_numbers(db.session(), [PHONE]) == set()

    def test_its_state_is_told(
        self, app: Flask, client: FlaskClient, rows: Rows, flask_command: FlaskCliRunner
    ) -> None:
        from tests.support.departments import department

        made = department(rows, "registrar", "10")
        shown = Caller.by_header(client, made).get("client").json["credentials"]
        assert shown == [{"name": "main", "accountSid": "AC" + "10" * 16, "state": "confirmed"}]
        unconfirm(rows)
        api = Caller.by_header(client, made)
        assert api.get("client").json["credentials"][0]["state"] == "unconfirmed"
        assert "main of registrar is unconfirmed" in flask_command.invoke(args=["doctor"]).output
        rows.change(update(Credential).values(stopped_at=NOW, stopped_reason="No."))
        assert api.get("client").json["credentials"][0]["state"] == "refused"


class TestTheClock:
    def test_it_asks_again_every_ten_seconds_until_there_is_an_answer(
        self, app: Flask, rows: Rows, house: House, fake: FakeTwilio
    ) -> None:
        fake.account_status = 503
        unconfirm(rows, asked_at=None)
        asked = []
        with app.app_context(), time_machine.travel(NOW, tick=False) as clock:
            for _ in range(25):
                confirmations.tick()
                asked.append(len(fake.asked_about))
                clock.shift(timedelta(seconds=1))
        assert asked == [1] * 9 + [2] * 9 + [3] * 7
        assert rows.one(Credential).confirmation == "unconfirmed"

    def test_a_refusal_ends_it_and_the_owner_hears(
        self, app: Flask, rows: Rows, house: House, fake: FakeTwilio
    ) -> None:
        unconfirm(rows, asked_at=None, auth_token=WRONG)
        with app.app_context():
            confirmations.tick()
            confirmations.tick()
        found = rows.one(Credential)
        assert found.confirmation == "refused"
        assert found.stopped_reason == confirmation.REFUSED
        assert len(fake.asked_about) == 1
        assert rows.count(Delivery) == 2  # the owner, and support
        assert not any(WRONG in one.body for one in rows.all(Delivery))

    def test_who_was_there_before_counts_as_confirmed_until_twilio_says_401(
        self, app: Flask, rows: Rows, house: House, fake: FakeTwilio
    ) -> None:
        rows.change(update(Credential).values(asked_at=None))
        fake.account_status = 404
        with app.app_context():
            confirmations.tick()
            assert rows.one(Credential).confirmation == "confirmed"
            assert len(fake.asked_about) == 1
            confirmations.tick()
            assert len(fake.asked_about) == 1, "asked once, and then only after a refusal"
            rows.change(update(Credential).values(asked_at=None))
            fake.account_status = 401
            confirmations.tick()
        assert rows.one(Credential).confirmation == "refused"

    def test_a_rotation_that_is_over_at_twilio_is_no_refusal(
        self, app: Flask, rows: Rows, house: House, fake: FakeTwilio
    ) -> None:
        fake.tokens = {AC: (NEXT,)}
        rows.change(update(Credential).values(asked_at=None, next_auth_token=NEXT))
        with app.app_context():
            confirmations.tick()
        assert rows.one(Credential).confirmation == "confirmed"

    def test_a_send_that_is_refused_has_the_account_asked_about(
        self, app: Flask, rows: Rows, house: House, fake: FakeTwilio
    ) -> None:
        from tests.support.fake_twilio import refuses

        fake.plan = lambda form, number: refuses(20003)
        rows.add(text(house), Lane(key=f"sms:{house.sender.id}", rate=100))
        with app.app_context():
            drains.drain()
            assert drains._posting(app).finish(10)
        found = rows.one(Credential)
        assert found.stopped_at is not None
        assert found.asked_at is None

    def test_an_answer_about_what_has_been_saved_anew_meanwhile_counts_for_nothing(
        self, app: Flask, rows: Rows, house: House
    ) -> None:
        unconfirm(rows, asked_at=None)
        with app.app_context():
            words = {(AC, TOKEN): Word.CONFIRMED}
            rows.change(update(Credential).values(auth_token=WRONG))
            assert not confirmations._note(house.credential.id, [(AC, TOKEN)], words)
        assert rows.one(Credential).confirmation == "unconfirmed"
