"""Whom a client wants told: its endpoints, or plain URLs with placeholders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.mistakes import Refused, parse
from app.domain.relaying import callbacks
from app.domain.relaying.callbacks import CallbacksSpec
from app.extensions import unit_of_work
from app.models.client import Client
from app.models.communication import Callback, CallbackEvent
from app.models.credential import SavedCredential
from app.models.endpoint import Endpoint, EndpointKind


class House:
    def __init__(self, session: Session) -> None:
        self.session = session
        client = Client(name="registrar", owner_email="owner@example.edu")
        session.add(client)
        session.flush()
        self.client_id = client.id
        hook = {"kind": EndpointKind.WEBHOOK, "name": "sis", "url": "https://sis.example.edu"}
        session.add(Endpoint(client_id=client.id, **hook))
        self.legacy = SavedCredential(
            client_id=client.id, name="legacy", username="u", password="p",
            origins=["https://a.example.edu"],
        )  # fmt: skip
        session.add(self.legacy)
        session.flush()

    def save(self, data: dict[str, Any]) -> list[CallbackEvent]:
        spec = parse(CallbacksSpec, data)
        return callbacks.save_callbacks(self.session, self.client_id, spec)

    def written(self) -> dict[str, Any]:
        found = self.session.scalars(select(Callback)).all()
        return {one.event.value: callbacks.describe(self.session, one) for one in found}


@pytest.fixture
def house(app: Flask) -> Iterator[House]:
    with app.app_context(), unit_of_work() as session:
        yield House(session)


ALL = {
    "message_status": {"endpoint": "sis"},
    "message_sent": {"url": "https://a.example.edu/{{ id }}?who={{netid}}", "method": "POST"},
    "message_problem": {"url": "https://a.example.edu/", "method": "GET"},
    "complete": {"url": "https://a.example.edu/", "method": "GET", "credential": "legacy"},
}


def test_callbacks_are_read_back_as_they_were_written(house: House) -> None:
    assert len(house.save(ALL)) == 4
    assert house.written() == ALL
    assert house.save(ALL) == []


def login_at(url: str) -> CallbacksSpec:
    return parse(CallbacksSpec, {"complete": {"url": url, "credential": "legacy"}})


class TestWhereASavedCredentialGoes:
    """Whoever may send may name it for an origin it is meant for; another is an owner's to add."""

    @pytest.mark.parametrize(
        "url",
        ["https://a.example.edu/", "HTTPS://A.example.edu:443/x?y={{ batchId }}",
         "https://a.example.edu"],
    )  # fmt: skip
    def test_there(self, house: House, url: str) -> None:
        callbacks.save_callbacks(house.session, house.client_id, login_at(url))

    @pytest.mark.parametrize(
        "url",
        ["https://evil.example/", "https://a.example.edu.evil.example/", "https://b.a.example.edu/",
         "https://a.example.edu./", "https://a.example.edü/", "https://evil.example/a.example.edu",
         "https://evil.example?https://a.example.edu", "https://a.example.ed/"],
    )  # fmt: skip
    def test_nowhere_else(self, house: House, url: str) -> None:
        with pytest.raises(Refused) as refused:
            callbacks.save_callbacks(house.session, house.client_id, login_at(url))
        (mistake,) = refused.value.mistakes
        assert mistake.path == ("complete", "credential")
        assert "may not be sent to" in mistake.message
        assert (
            house.session.scalars(select(Endpoint).filter_by(kind=EndpointKind.PLAIN)).all() == []
        )

    def test_an_owner_adds_what_is_used(self, house: House) -> None:
        spec = login_at("https://new.example.edu/x")
        callbacks.grant(house.session, house.client_id, spec)
        callbacks.save_callbacks(house.session, house.client_id, spec)
        assert house.legacy.origins == ["https://a.example.edu", "https://new.example.edu"]

    def test_but_not_to_origins_that_were_written_down(self, house: House) -> None:
        house.legacy.origins_chosen = True
        spec = login_at("https://new.example.edu/x")
        callbacks.grant(house.session, house.client_id, spec)
        with pytest.raises(Refused):
            callbacks.save_callbacks(house.session, house.client_id, spec)
        assert house.legacy.origins == ["https://a.example.edu"]


def test_what_is_not_mentioned_stays_and_null_takes_away(house: House) -> None:
    house.save(ALL)
    changed = house.save({"complete": None, "message_sent": {"endpoint": "sis"}})
    assert set(changed) == {CallbackEvent.COMPLETE, CallbackEvent.MESSAGE_SENT}
    assert set(house.written()) == {"message_status", "message_sent", "message_problem"}
    assert house.written()["message_sent"] == {"endpoint": "sis"}


def test_the_same_plain_url_is_one_receiver(house: House) -> None:
    same = {"url": "https://a.example.edu/", "method": "GET"}
    house.save({"complete": same, "message_sent": same})
    plain = house.session.scalars(select(Endpoint).filter_by(kind=EndpointKind.PLAIN)).all()
    assert [endpoint.url for endpoint in plain] == ["https://a.example.edu/"]


BAD = {
    "nobody": ({"complete": {}}, "complete", "either"),
    "two": (
        {"complete": {"endpoint": "sis", "url": "https://a.example.edu"}}, "complete", "either"),
    "a method of an endpoint": (
        {"complete": {"endpoint": "sis", "method": "GET"}}, "complete", "belong"),
    "another method": (
        {"complete": {"url": "https://a.example.edu", "method": "PUT"}}, "complete.method",
        "GET, POST"),
    "an unknown event": ({"done": {"endpoint": "sis"}}, "done", "complete"),
    "an unknown endpoint": ({"complete": {"endpoint": "x"}}, "complete.endpoint", "“x”"),
    "an unknown credential": (
        {"complete": {"url": "https://a.example.edu", "credential": "x"}}, "complete.credential",
        "“x”"),
    "a placeholder in the host": (
        {"complete": {"url": "https://{{ id }}.example.edu/"}}, "complete.url", "host"),
    "a placeholder as the user": (
        {"complete": {"url": "https://{{ id }}@example.edu/"}}, "complete.url", "saved credential"),
    "half a placeholder": (
        {"complete": {"url": "https://a.example.edu/{{ id"}}, "complete.url", "written like"),
    "an expression": (
        {"complete": {"url": "https://a.example.edu/{{id|upper}}"}}, "complete.url",
        "placeholder"),
    "an insecure URL": (
        {"complete": {"url": "http://a.example.edu/"}}, "complete.url", "https://"),
    "a private URL": ({"complete": {"url": "https://10.0.0.1/"}}, "complete.url", "private"),
}  # fmt: skip


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(("data", "field", "words"), BAD.values(), ids=BAD)
def test_what_cannot_work_is_refused_and_changes_nothing(
    house: House, data: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(Refused) as refused:
        house.save({"message_sent": {"url": "https://new.example.edu/"}} | data)
    assert [mistake.field for mistake in refused.value.mistakes] == [field]
    assert words in refused.value.mistakes[0].message
    assert house.written() == {}
    assert len(house.session.scalars(select(Endpoint)).all()) == 1
