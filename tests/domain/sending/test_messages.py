"""The rules of a single text: who may send what to whom."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from app.domain.reach import Refusal
from app.domain.sending.texts import queue_text
from app.extensions import unit_of_work
from app.models.base import new_id
from app.models.client import Client
from app.models.message import Lane, Message, MessageState
from app.models.sender import Sender, SenderKind
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from tests.support.house import House, furnish
from tests.support.rows import Rows

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def queue(app: Flask, house: House, to: str = "(319) 555-0150", **more: Any) -> str:
    with app.app_context(), unit_of_work() as session:
        client = session.get_one(Client, house.client.id)
        sender = session.get_one(Sender, house.sender.id)
        return queue_text(session, client, sender, to, **{"body": "Hello", **more}).id


def test_a_text_waits_in_its_senders_lane(app: Flask, rows: Rows) -> None:
    house = furnish(rows, rate=3)
    queue(app, house, body="á" * 71, member={"toName": "Ann"})
    message = rows.one(Message)
    assert (message.to, message.state) == ("+13195550150", MessageState.WAITING)
    assert (message.segments, message.member) == (2, {"toName": "Ann"})
    lane = rows.one(Lane)
    assert (lane.key, lane.rate) == (message.lane_key, 3)


def test_a_lane_follows_its_senders_rate(app: Flask, rows: Rows) -> None:
    house = furnish(rows)
    queue(app, house)
    rows.change(Sender.__table__.update().values(rate=12))
    queue(app, house)
    assert rows.one(Lane).rate == 12


def test_a_number_in_a_service_waits_in_the_services_lane(app: Flask, rows: Rows) -> None:
    house = furnish(rows)
    service = Sender(
        id=new_id(), client_id=house.client.id, credential_id=house.credential.id, rate=12,
        kind=SenderKind.MESSAGING_SERVICE, address="MG" + "0" * 32, name="outreach",
    )  # fmt: skip
    rows.add(service)
    rows.change(
        Sender.__table__.update().where(Sender.id == house.sender.id).values(service_id=service.id)
    )
    queue(app, house)
    assert rows.one(Message).lane_key == f"sms:{service.id}"
    assert rows.one(Lane).rate == 12


@pytest.mark.parametrize(
    ("client", "more", "code", "field"),
    [
        ({"twilio_enabled": False}, {}, "not_enabled", "client"),
        ({"halted_at": NOW}, {}, "halted", "client"),
        ({}, {"to": "1-800-FLOWERS"}, "invalid_phone", "to"),
        ({}, {"to": "+447911123456"}, "not_allowed", "to"),
        ({}, {"to": "+12425550100"}, "not_allowed", "to"),
        ({"international": True}, {"to": "+19005550100"}, "not_allowed", "to"),
        ({}, {"to": "+13195550100"}, "not_allowed", "to"),
        ({}, {"to": "+15005550006"}, "not_allowed", "to"),
        ({"trial": True, "allow_list": ["+13195550151"]}, {}, "not_allowed", "to"),
        ({}, {"body": " \n"}, "empty", "body"),
        ({}, {"body": "a" * 1601}, "too_long", "body"),
        ({}, {"body": "😀" * 801}, "too_long", "body"),
        ({}, {"body": "\ud83d"}, "bad_text", "body"),
        ({}, {"body": "a\x00"}, "bad_text", "body"),
        ({}, {"media": ["https://example.edu/a.png"] * 11}, "too_many_media", "media"),
        ({}, {"media": ["ftp://example.edu/a.png"]}, "bad_media", "media"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_may_not_go_out_is_refused_and_not_stored(
    client: dict[str, Any], more: dict[str, Any], code: str, field: str, app: Flask, rows: Rows
) -> None:
    house = furnish(rows, **client)
    with pytest.raises(Refusal) as refused:
        queue(app, house, **more)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert refused.value.sentence.endswith(".")
    assert rows.count(Message) == 0


def test_a_verified_number_is_refused_with_its_reason(app: Flask, rows: Rows) -> None:
    house = furnish(rows, kind=SenderKind.VERIFIED)
    with pytest.raises(Refusal, match="caller ID only") as refused:
        queue(app, house)
    assert refused.value.code == "verified_number"


def test_a_stopped_sender_says_why(app: Flask, rows: Rows) -> None:
    house = furnish(rows)
    rows.change(Sender.__table__.update().values(stopped_at=NOW, stopped_reason="Not registered."))
    with pytest.raises(Refusal, match="Not registered"):
        queue(app, house)


def test_on_trial_the_allow_list_may_be_texted(app: Flask, rows: Rows) -> None:
    house = furnish(rows, trial=True, allow_list=["+13195550150"])
    queue(app, house)
    assert rows.count(Message) == 1


@pytest.mark.parametrize(
    ("scope", "lifted", "state"),
    [
        ("all", None, MessageState.SUPPRESSED),
        ("sender", None, MessageState.SUPPRESSED),
        ("service", None, MessageState.SUPPRESSED),
        ("another sender", None, MessageState.WAITING),
        ("all", NOW, MessageState.WAITING),
    ],
)
def test_the_senders_suppression_list_counts_in_its_scopes(
    scope: str, lifted: datetime | None, state: MessageState, app: Flask, rows: Rows
) -> None:
    house = furnish(rows)
    service = Sender(
        id=new_id(), client_id=house.client.id, credential_id=house.credential.id, rate=12,
        kind=SenderKind.MESSAGING_SERVICE, address="MG" + "0" * 32, name="outreach",
    )  # fmt: skip
    opted_out = SuppressionList(id=new_id(), client_id=house.client.id, name="opted-out")
    rows.add(service, opted_out)
    rows.change(
        Sender.__table__.update()
        .where(Sender.id == house.sender.id)
        .values(service_id=service.id, suppression_list_id=opted_out.id)
    )
    scopes = {"all": "all", "sender": house.sender.id, "service": service.id}
    rows.add(
        SuppressionEntry(
            list_id=opted_out.id, phone="+13195550150", scope=scopes.get(scope, new_id()),
            source=SuppressionSource.KEYWORD, since=NOW, lifted_at=lifted,
        )
    )  # fmt: skip
    queue(app, house)
    assert rows.one(Message).state is state
