"""What people do with endpoints and deliveries, by the services and by operators' commands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import select, update
from standardwebhooks import Webhook

from app.domain import chores
from app.domain.mistakes import Refused
from app.domain.relaying import deliveries, endpoints, events
from app.domain.relaying.deliveries import Range
from app.extensions import unit_of_work
from app.maintenance import chores as do_chores
from app.models.delivery import (
    AttemptTrigger,
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    EventType,
)
from app.models.endpoint import (
    DisabledReason,
    Endpoint,
    EndpointKind,
    EndpointSecret,
    EndpointState,
)
from app.models.house import AuditEntry
from tests.support.clients import SECRET, Department, department
from tests.support.hostile import answering
from tests.support.relay import Receiver, receiving, run
from tests.support.rows import Rows

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ACTOR = "pat@example.edu"

pytestmark = pytest.mark.settings(WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8")


@pytest.fixture
def registrar(rows: Rows) -> Department:
    return department(rows)


@pytest.fixture
def receiver() -> Any:
    with receiving() as endpoint:
        yield endpoint


def act(app: Flask, service: Callable[..., Any], row: Any, *arguments: Any, **more: Any) -> Any:
    """Run a service function in a transaction, on the row as it is now."""
    with app.app_context(), unit_of_work() as session:
        return service(session, session.get_one(type(row), row.id), *arguments, **more)


def record(app: Flask, registrar: Department, endpoint: Endpoint, **changes: Any) -> Delivery:
    with app.app_context(), unit_of_work() as session:
        delivery = events.record(
            session,
            events.Happening(
                endpoint.id,
                EventType.MESSAGE_STATUS,
                {"status": "sent"},
                client_id=registrar.client.id,
                occurred_at=datetime.now(UTC),
            ),
        )
        assert delivery is not None
        session.flush()
        for name, value in changes.items():
            setattr(delivery, name, value)
        return delivery


def now_of(rows: Rows, row: Any) -> Any:
    return rows.one(select(type(row)).where(type(row).id == row.id))


class TestPing:
    @pytest.mark.parametrize("state", list(EndpointState))
    def test_goes_out_at_once_whatever_the_state(
        self, app: Flask, registrar: Department, receiver: Receiver, rows: Rows,
        state: EndpointState,
    ) -> None:  # fmt: skip
        endpoint = registrar.endpoint(
            receiver.url(), state=state, open_until=datetime.now(UTC) + timedelta(hours=1)
        )
        delivery = act(app, endpoints.ping, endpoint, ACTOR)
        run(app)
        (received,) = receiver.received
        assert received.event["type"] == "endpoint.ping"
        Webhook(SECRET).verify(received.body, received.headers)
        attempt = rows.one(DeliveryAttempt)
        assert (attempt.trigger, attempt.requested_by) == (AttemptTrigger.PING, ACTOR)
        assert now_of(rows, delivery).state is DeliveryState.DELIVERED
        assert rows.one(AuditEntry).action == "ping"

    def test_is_tried_once_and_counts_for_no_breaker(
        self, app: Flask, registrar: Department, receiver: Receiver, rows: Rows
    ) -> None:
        receiver.behave(answering("500 Oops"))
        endpoint = registrar.endpoint(receiver.url())
        delivery = act(app, endpoints.ping, endpoint, ACTOR)
        run(app)
        assert now_of(rows, delivery).state is DeliveryState.EXHAUSTED
        assert now_of(rows, endpoint).consecutive_failures == 0
        assert rows.count(Delivery) == 1, "nobody is mailed about a test"


class TestPause:
    def test_what_comes_meanwhile_waits_and_loses_no_time(
        self, app: Flask, registrar: Department, receiver: Receiver, rows: Rows, time_machine: Any
    ) -> None:
        time_machine.move_to(START, tick=False)
        endpoint = registrar.endpoint(receiver.url())
        before = record(app, registrar, endpoint)
        assert act(app, endpoints.pause, endpoint, ACTOR)
        assert not act(app, endpoints.pause, endpoint, ACTOR)
        time_machine.shift(timedelta(hours=10))
        during = record(app, registrar, endpoint)
        time_machine.shift(timedelta(hours=5))
        run(app)
        assert receiver.received == []
        assert act(app, endpoints.resume, endpoint, ACTOR)
        assert now_of(rows, before).give_up_at == START + timedelta(hours=96 + 15)
        assert now_of(rows, during).give_up_at == START + timedelta(hours=10 + 96 + 5)
        run(app)
        assert len(receiver.received) == 2
        assert [entry.action for entry in rows.all(AuditEntry)] == ["pause", "resume"]

    def test_a_resumption_that_is_not_over_undoes_no_later_pause(
        self, app: Flask, registrar: Department, rows: Rows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(chores, "PIECE", 1)
        endpoint = registrar.endpoint()
        for _ in range(3):
            record(app, registrar, endpoint)
        for service in (endpoints.pause, endpoints.resume, endpoints.disable):
            assert act(app, service, endpoint, ACTOR)
        act(app, endpoints.enable, endpoint, ACTOR, send_held=True)
        assert act(app, endpoints.pause, endpoint, ACTOR)
        with app.app_context():
            do_chores.run()
        assert now_of(rows, endpoint).state is EndpointState.PAUSED

    def test_a_disabled_endpoint_is_enabled_not_resumed(
        self, app: Flask, registrar: Department
    ) -> None:
        endpoint = registrar.endpoint(state=EndpointState.DISABLED)
        for service in (endpoints.pause, endpoints.resume):
            with pytest.raises(Refused, match="disabled"):
                act(app, service, endpoint, ACTOR)


class TestEnable:
    @pytest.mark.parametrize("send_held", [True, False])
    def test_what_was_held_is_sent_or_canceled(
        self, app: Flask, registrar: Department, receiver: Receiver, rows: Rows, send_held: bool
    ) -> None:
        endpoint = registrar.endpoint(
            receiver.url(), state=EndpointState.DISABLED, disabled_reason=DisabledReason.FAILING,
            consecutive_failures=9, open_until=datetime.now(UTC) + timedelta(hours=1),
            first_failure_at=datetime.now(UTC) - timedelta(days=6), warnings_sent=2,
        )  # fmt: skip
        for _ in range(3):
            record(app, registrar, endpoint)
        assert act(app, endpoints.held_count, endpoint) == 3
        assert act(app, endpoints.enable, endpoint, ACTOR, send_held=send_held) == 3
        run(app)
        states = set(rows.all(select(Delivery.state)))
        assert len(receiver.received) == (3 if send_held else 0)
        assert states == {DeliveryState.DELIVERED if send_held else DeliveryState.CANCELED}
        after = now_of(rows, endpoint)
        assert (after.state, after.disabled_reason) == (EndpointState.ACTIVE, None)
        assert after.warnings_sent == 0

    def test_staff_may_disable(self, app: Flask, registrar: Department, rows: Rows) -> None:
        endpoint = registrar.endpoint()
        delivery = record(app, registrar, endpoint)
        assert act(app, endpoints.disable, endpoint, ACTOR)
        assert now_of(rows, endpoint).disabled_reason is DisabledReason.STAFF
        assert now_of(rows, delivery).state is DeliveryState.HELD


class TestSecrets:
    def test_a_rotation_keeps_the_old_secret_for_a_day(
        self, app: Flask, registrar: Department, rows: Rows, time_machine: Any
    ) -> None:
        time_machine.move_to(START, tick=False)
        endpoint = registrar.endpoint()
        new = act(app, endpoints.rotate_secret, endpoint, ACTOR)
        kept = {one.secret: one.expires_at for one in rows.all(EndpointSecret)}
        assert kept == {SECRET: START + timedelta(hours=24), new: None}
        assert new not in str(rows.one(AuditEntry).details)

    def test_the_overlap_can_be_ended_early(
        self, app: Flask, registrar: Department, rows: Rows
    ) -> None:
        endpoint = registrar.endpoint()
        new = act(app, endpoints.rotate_secret, endpoint, ACTOR)
        assert act(app, endpoints.retire_old_secrets, endpoint, ACTOR) == 1
        assert rows.one(EndpointSecret).secret == new

    @pytest.mark.parametrize("secret", ["short", SECRET], ids=["malformed", "in use"])
    def test_a_bad_secret_is_refused(self, app: Flask, registrar: Department, secret: str) -> None:
        with pytest.raises(Refused):
            act(app, endpoints.rotate_secret, registrar.endpoint(), ACTOR, secret)

    def test_only_webhooks_have_one(self, app: Flask, registrar: Department) -> None:
        endpoint = registrar.endpoint(kind=EndpointKind.PLAIN)
        with pytest.raises(Refused, match="no secret"):
            act(app, endpoints.rotate_secret, endpoint, ACTOR)


class TestResend:
    @pytest.mark.parametrize(
        "state", [state for state in DeliveryState if state is not DeliveryState.IN_FLIGHT]
    )
    def test_goes_again_under_the_same_id_whatever_became_of_it(
        self, app: Flask, registrar: Department, receiver: Receiver, rows: Rows,
        state: DeliveryState,
    ) -> None:  # fmt: skip
        endpoint = registrar.endpoint(receiver.url(), state=EndpointState.PAUSED)
        far = datetime.now(UTC) + timedelta(hours=9)
        delivery = record(
            app, registrar, endpoint, state=state, failures=10, attempts=10, next_attempt_at=far
        )
        act(app, deliveries.resend, delivery, ACTOR)
        run(app)
        (received,) = receiver.received
        assert received.id == delivery.event_id
        after = now_of(rows, delivery)
        assert (after.state, after.attempts) == (DeliveryState.DELIVERED, 11)
        attempt = rows.one(DeliveryAttempt)
        assert (attempt.trigger, attempt.requested_by) == (AttemptTrigger.MANUAL, ACTOR)

    def test_its_schedule_begins_anew(
        self, app: Flask, registrar: Department, receiver: Receiver, rows: Rows
    ) -> None:
        receiver.behave(answering("500 Oops"))
        delivery = record(
            app, registrar, registrar.endpoint(receiver.url()), state=DeliveryState.EXHAUSTED,
            failures=10, attempts=10,
        )  # fmt: skip
        act(app, deliveries.resend, delivery, ACTOR)
        run(app)
        after = now_of(rows, delivery)
        assert (after.state, after.failures) == (DeliveryState.PENDING, 1)
        assert after.trigger is AttemptTrigger.AUTO

    @pytest.mark.parametrize(
        "changes",
        [{"state": DeliveryState.IN_FLIGHT}, {"state": DeliveryState.DELIVERED, "body": ""}],
        ids=["being sent", "content gone"],
    )
    def test_refused(self, app: Flask, registrar: Department, changes: dict[str, Any]) -> None:
        delivery = record(app, registrar, registrar.endpoint(), **changes)
        with pytest.raises(Refused):
            act(app, deliveries.resend, delivery, ACTOR)

    def test_canceled_goes_nowhere(
        self, app: Flask, registrar: Department, receiver: Receiver, rows: Rows
    ) -> None:
        delivery = record(app, registrar, registrar.endpoint(receiver.url()))
        act(app, deliveries.cancel, delivery, ACTOR)
        run(app)
        assert receiver.received == []
        with pytest.raises(Refused, match="this one is canceled"):
            act(app, deliveries.cancel, delivery, ACTOR)


class TestReplay:
    def fill(self, app: Flask, registrar: Department, endpoint: Endpoint) -> None:
        """Record one delivery an hour, in every state."""
        for hours, (state, failures) in enumerate(
            [
                (DeliveryState.DELIVERED, 0), (DeliveryState.EXHAUSTED, 10),
                (DeliveryState.CANCELED, 1), (DeliveryState.PENDING, 2),
                (DeliveryState.PENDING, 0), (DeliveryState.DELIVERED, 0),
            ]
        ):  # fmt: skip
            record(
                app, registrar, endpoint, state=state, failures=failures,
                created_at=START + timedelta(hours=hours), next_attempt_at=START,
            )  # fmt: skip

    @pytest.mark.parametrize(
        ("since", "until", "failed_only", "count"),
        [(0, 9, True, 3), (0, 9, False, 5), (2, 9, True, 2), (0, 2, True, 1), (6, 9, False, 0)],
    )
    def test_counts_first_and_then_sends_just_these(
        self, app: Flask, registrar: Department, rows: Rows, since: int, until: int,
        failed_only: bool, count: int,
    ) -> None:  # fmt: skip
        endpoint = registrar.endpoint()
        self.fill(app, registrar, endpoint)
        self.fill(app, registrar, registrar.endpoint())
        hour = timedelta(hours=1)
        wanted = Range(START + since * hour, START + until * hour, failed_only)
        assert act(app, deliveries.count_replay, endpoint, wanted) == count
        assert act(app, deliveries.replay, endpoint, wanted, ACTOR) == count
        again = rows.all(select(Delivery).where(Delivery.trigger == AttemptTrigger.REPLAY))
        assert len(again) == count
        assert {(one.state, one.endpoint_id) for one in again} <= {
            (DeliveryState.PENDING, endpoint.id)
        }

    def test_what_is_new_goes_before_a_replay_of_many(
        self, app: Flask, registrar: Department, receiver: Receiver, rows: Rows
    ) -> None:
        endpoint = registrar.endpoint(receiver.url(), max_in_flight=1)
        old = [record(app, registrar, endpoint, state=DeliveryState.EXHAUSTED) for _ in range(5)]
        wanted = Range(old[0].created_at, datetime.now(UTC) + timedelta(hours=1))
        act(app, deliveries.replay, endpoint, wanted, ACTOR)
        new = record(app, registrar, endpoint)
        run(app)
        ids = [received.id for received in receiver.received]
        assert ids == [new.event_id, *(one.event_id for one in old)]

    def test_refused(self, app: Flask, registrar: Department) -> None:
        with pytest.raises(Refused, match="before"):
            act(app, deliveries.count_replay, registrar.endpoint(), Range(START, START))
        disabled = registrar.endpoint(state=EndpointState.DISABLED)
        wanted = Range(START, START + timedelta(1))
        with pytest.raises(Refused, match="enable it first"):
            act(app, deliveries.replay, disabled, wanted, ACTOR)


class TestCommands:
    def test_an_operator_s_day(
        self, app: Flask, registrar: Department, receiver: Receiver, rows: Rows,
        flask_command: FlaskCliRunner,
    ) -> None:  # fmt: skip
        endpoint = registrar.endpoint(receiver.url(), name="sis")
        delivery = record(app, registrar, endpoint, state=DeliveryState.EXHAUSTED)

        def flask(*arguments: str, code: int = 0, input: str | None = None) -> str:
            result = flask_command.invoke(args=arguments, input=input)
            assert result.exit_code == code, result.output
            return result.output

        assert "sis" in flask("endpoints", "list", "--client", "registrar")
        assert "Paused." in flask("endpoints", "pause", "registrar", "sis")
        assert "Resumed." in flask("endpoints", "resume", "registrar", "sis")
        assert "exhausted" in flask("deliveries", "list", "--client", "registrar")
        assert "0 tries" in flask(
            "deliveries", "list", "--client", "registrar", "--endpoint", "sis", "--state",
            "exhausted",
        )  # fmt: skip
        hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        replay = ("deliveries", "replay", "registrar", "sis", "--from", hour_ago)
        assert "Send 1 deliveries again?" in flask(*replay, code=1, input="n\n")
        assert "1 deliveries are sent again" in flask(*replay, input="y\n")
        assert "Canceled." in flask("deliveries", "cancel", delivery.id)
        assert "It is sent again." in flask("deliveries", "resend", delivery.event_id)
        run(app)
        assert "delivered" in flask("deliveries", "show", delivery.id)
        assert "whsec_" in flask("endpoints", "rotate", "registrar", "sis")
        rows.change(update(Endpoint).values(state=EndpointState.DISABLED))
        assert "Enabled." in flask("endpoints", "enable", "registrar", "sis")
        assert "Sent as msg_" in flask("endpoints", "ping", "registrar", "sis", "--no-wait")
        assert "There is no client" in flask("endpoints", "pause", "nobody", "sis", code=1)
        assert "has no endpoint" in flask("endpoints", "pause", "registrar", "none", code=1)
        assert "There is no delivery" in flask("deliveries", "resend", "nothing", code=1)
