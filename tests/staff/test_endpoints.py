"""Endpoints and deliveries: how they do, what was sent, and mending what is broken."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, update

from app.extensions import db
from app.models.base import utcnow
from app.models.delivery import (
    AttemptTrigger,
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    EventType,
)
from app.models.endpoint import DisabledReason, Endpoint, EndpointSecret, EndpointState
from app.models.incoming import Incoming
from app.models.message import Message
from app.models.user import Role, User
from tests.staff.conftest import OF_CLIENTS, Staff
from tests.support.departments import Department, department
from tests.support.rows import Rows

HOME = "/staff/clients/registrar"
HOSTILE = '<script>alert(1)</script> & "quotes" {{ 7 * 7 }}'


@pytest.fixture
def ours(rows: Rows) -> Department:
    return department(rows, "registrar", "11")


@pytest.fixture
def pat(staff: Staff, ours: Department, add_person: Callable[..., User]) -> Staff:
    add_person("pat@example.edu", ours.client)
    staff.sign_in("pat@example.edu")
    return staff


def delivery(ours: Department, number: int = 1, **columns: Any) -> Delivery:
    values: dict[str, Any] = {
        "type": EventType.MESSAGE_STATUS, "sequence": number, "body": '{"type": "message.status"}',
        "occurred_at": utcnow(), "next_attempt_at": utcnow() + timedelta(minutes=5),
        "give_up_at": utcnow() + timedelta(days=3),
    } | columns  # fmt: skip
    return Delivery(client_id=ours.client.id, endpoint_id=ours.endpoint.id, **values)


def attempt(sent: Delivery, number: int = 1, **columns: Any) -> DeliveryAttempt:
    values: dict[str, Any] = {
        "trigger": AttemptTrigger.AUTO, "started_at": utcnow(), "duration_ms": 12,
        "url": "https://sis.example.edu/hooks",
    } | columns  # fmt: skip
    return DeliveryAttempt(
        delivery_id=sent.id, endpoint_id=sent.endpoint_id, number=number, **values
    )


def test_an_endpoint_is_set_up_and_its_secret_shown_once(pat: Staff, rows: Rows) -> None:
    answer = pat.send(f"{HOME}/endpoints", name="crm", url="https://crm.example.edu/hooks")
    page = answer.get_data(as_text=True)
    secret = rows.one(EndpointSecret).secret
    assert f'value="{secret}"' in page
    made = next(one for one in rows.all(Endpoint) if one.name == "crm")
    shown = pat.http.get(f"{HOME}/endpoints/{made.id}").get_data(as_text=True)
    assert secret not in shown
    assert "https://crm.example.edu/hooks" in shown
    assert secret not in str([entry.details for entry in rows.all(OF_CLIENTS)])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "", "url": "https://x.example.edu/"}, "must not be empty"),
        ({"name": "crm", "url": "http://x.example.edu/"}, "https"),
        ({"name": "sis", "url": "https://x.example.edu/"}, "already"),
        ({"name": "crm", "url": "nowhere"}, "nowhere"),
    ],
    ids=["no name", "not https", "taken", "no address"],
)
def test_what_cannot_work_is_refused_in_words(
    pat: Staff, rows: Rows, fields: dict[str, str], said: str
) -> None:
    answer = pat.send(f"{HOME}/endpoints", **fields)
    assert answer.status_code == 422
    assert said in answer.get_data(as_text=True)
    assert rows.count(Endpoint) == 1


def test_its_address_is_changed(pat: Staff, ours: Department, rows: Rows) -> None:
    path = f"{HOME}/endpoints/{ours.endpoint.id}"
    pat.send(f"{path}/url", seen_at=path, url="https://registrar.example.edu/new")
    endpoint = rows.one(Endpoint)
    assert endpoint.url == "https://registrar.example.edu/new"
    assert endpoint.state is EndpointState.ACTIVE
    assert pat.send(f"{path}/url", seen_at=path, url="ftp://x").status_code == 422


class TestMovingToAnotherServer:
    """What is signed with an owner's secret must not reach somebody else by a colleague's hand."""

    ELSEWHERE = "https://evil.example/hooks"

    def move(self, person: Staff, ours: Department, url: str = ELSEWHERE) -> Any:
        path = f"{HOME}/endpoints/{ours.endpoint.id}"
        return person.send(f"{path}/url", seen_at=path, url=url)

    def state(self, rows: Rows) -> EndpointState:
        return next(one for one in rows.all(Endpoint) if one.name == "sis").state

    def test_is_not_for_staff(
        self, staff: Staff, ours: Department, rows: Rows, add_person: Callable[..., User]
    ) -> None:
        add_person("sam@example.edu", ours.client, role=Role.STAFF)
        staff.sign_in("sam@example.edu")
        for url in (self.ELSEWHERE, "https://registrar.example.edu:8443/hooks"):
            assert self.move(staff, ours, url).status_code == 403
        assert rows.one(Endpoint).url == "https://registrar.example.edu/hooks"

    def test_makes_a_new_secret_and_waits_for_a_test(
        self, pat: Staff, ours: Department, rows: Rows
    ) -> None:
        rows.add(EndpointSecret(endpoint_id=ours.endpoint.id, secret="whsec_" + "A" * 32))
        page = self.move(pat, ours).get_data(as_text=True)
        secret = rows.one(EndpointSecret).secret
        assert secret != "whsec_" + "A" * 32
        assert secret in page
        assert self.state(rows) is EndpointState.PAUSED
        path = f"{HOME}/endpoints/{ours.endpoint.id}"
        for action in ("resume", "enable"):
            pat.send(f"{path}/{action}", seen_at=path)
        assert self.state(rows) is EndpointState.PAUSED

    def test_the_owner_is_told(self, pat: Staff, ours: Department, rows: Rows) -> None:
        self.move(pat, ours)
        (mail,) = [one for one in rows.all(Delivery) if one.type == EventType.NOTICE]
        assert self.ELSEWHERE in mail.content


def test_a_test_is_sent_and_its_result_shown(pat: Staff, ours: Department, rows: Rows) -> None:
    path = f"{HOME}/endpoints/{ours.endpoint.id}"
    answer = pat.send(f"{path}/ping", seen_at=path)
    sent = rows.one(Delivery)
    assert (sent.type, sent.trigger) == ("endpoint.ping", "ping")
    page = pat.http.get(answer.headers["Location"]).get_data(as_text=True)
    assert 'hx-trigger="every 1s"' in page
    rows.change(update(Delivery).values(state=DeliveryState.EXHAUSTED, next_attempt_at=None))
    rows.add(
        attempt(
            sent, trigger=AttemptTrigger.PING, requested_by="pat@example.edu",
            address="198.51.100.7", request_headers={"webhook-id": sent.event_id}, status=500,
            error="http_status", detail="The endpoint answered 500.",
            response_headers={"Server": HOSTILE}, response_body=HOSTILE,
        )
    )  # fmt: skip
    shown = pat.http.get(f"{HOME}/deliveries/{sent.id}/attempts").get_data(as_text=True)
    for said in ("It answered with an error (500)", "a test by pat@example.edu", "12 ms",
                 sent.event_id, "The endpoint answered 500.", "&lt;script&gt;"):  # fmt: skip
        assert said in shown
    assert "<script>alert" not in shown
    assert "hx-trigger" not in shown


def test_it_is_paused_resumed_disabled_and_enabled(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    rows.add(delivery(ours))
    path = f"{HOME}/endpoints/{ours.endpoint.id}"
    for action, state in (("pause", "paused"), ("resume", "active"), ("disable", "disabled")):
        pat.send(f"{path}/{action}", seen_at=path)
        assert rows.one(Endpoint).state == state
    page = pat.http.get(path).get_data(as_text=True)
    assert "1 delivery is held. When you enable it:" in page
    pat.send(f"{path}/enable", seen_at=path, held="send")
    assert (rows.one(Endpoint).state, rows.one(Delivery).state) == ("active", "pending")
    pat.send(f"{path}/disable", seen_at=path)
    pat.send(f"{path}/enable", seen_at=path, held="drop")
    assert rows.one(Delivery).state == "canceled"


def test_why_it_is_disabled_is_said(pat: Staff, ours: Department, rows: Rows) -> None:
    rows.change(
        update(Endpoint).values(
            state=EndpointState.DISABLED, disabled_reason=DisabledReason.GONE, changed_at=utcnow()
        )
    )
    page = pat.http.get(f"{HOME}/endpoints/{ours.endpoint.id}").get_data(as_text=True)
    assert "gone for good (410)" in page
    answer = pat.send(f"{HOME}/endpoints/{ours.endpoint.id}/pause", seen_at="/staff/account")
    assert "holds everything already" in pat.http.get(answer.headers["Location"]).text


def test_owners_rotate_the_secret_and_staff_do_not(
    app: Flask, pat: Staff, ours: Department, rows: Rows, add_person: Callable[..., User]
) -> None:
    path = f"{HOME}/endpoints/{ours.endpoint.id}"
    page = pat.send(f"{path}/secret", seen_at=path).get_data(as_text=True)
    assert rows.one(EndpointSecret).secret in page
    add_person("kim@example.edu", ours.client, role=Role.STAFF)
    kim = Staff(app.test_client())
    kim.sign_in("kim@example.edu")
    assert "Make a new secret" not in kim.http.get(path).get_data(as_text=True)
    assert kim.send(f"{path}/secret", seen_at="/staff/account").status_code == 403
    assert rows.count(EndpointSecret) == 1


def test_a_range_is_counted_before_it_is_sent_again(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    rows.add(
        delivery(ours, 1, state=DeliveryState.EXHAUSTED, next_attempt_at=None),
        delivery(ours, 2, state=DeliveryState.DELIVERED, next_attempt_at=None),
    )
    path = f"{HOME}/endpoints/{ours.endpoint.id}/replay"
    times = {"since": "2020-01-01T00:00", "until": "2099-01-01T00:00"}
    page = pat.send(path, do="count", **times).get_data(as_text=True)
    assert "1 delivery goes out again if you go on" in page
    assert {one.state for one in rows.all(Delivery)} == {"exhausted", "delivered"}
    assert "2 deliveries go" in pat.send(path, do="count", everything="on", **times).text
    pat.send(path, do="send", **times)
    assert {one.state for one in rows.all(Delivery)} == {"pending", "delivered"}
    turned = {"since": times["until"], "until": times["since"]}
    assert pat.send(path, do="count", **turned).status_code == 422
    assert pat.send(path, do="count", since="", until="").status_code == 422


def test_a_delivery_is_sent_again_and_canceled(pat: Staff, ours: Department, rows: Rows) -> None:
    rows.add(delivery(ours, state=DeliveryState.EXHAUSTED, next_attempt_at=None, attempts=10))
    path = f"{HOME}/deliveries/{rows.one(Delivery).id}"
    assert "Given up" in pat.http.get(path).get_data(as_text=True)
    pat.send(f"{path}/resend", seen_at=path)
    assert (rows.one(Delivery).state, rows.one(Delivery).requested_by) == (
        "pending", "pat@example.edu",
    )  # fmt: skip
    pat.send(f"{path}/cancel", seen_at=path)
    assert rows.one(Delivery).state == "canceled"
    answer = pat.send(f"{path}/cancel", seen_at=path)
    assert "Only a delivery that waits" in pat.http.get(answer.headers["Location"]).text


def test_what_retention_took_is_not_sent_again(pat: Staff, ours: Department, rows: Rows) -> None:
    rows.add(delivery(ours, state=DeliveryState.DELIVERED, next_attempt_at=None, body=""))
    path = f"{HOME}/deliveries/{rows.one(Delivery).id}"
    page = pat.http.get(path).get_data(as_text=True)
    assert "its retention is over" in page
    assert "Send again" not in page


def test_how_endpoints_do_is_counted_with_few_queries(
    app: Flask, pat: Staff, ours: Department, rows: Rows
) -> None:
    states = [DeliveryState.DELIVERED] * 2 + [DeliveryState.EXHAUSTED, DeliveryState.PENDING]
    sent = [delivery(ours, n, state=state) for n, state in enumerate(states)]
    rows.add(*sent)
    rows.add(
        *[
            attempt(sent[n], n, duration_ms=ms, error=error)
            for n, (ms, error) in enumerate([(40, None), (1_250, None), (80, "http_status")])
        ]
    )
    counted: list[str] = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *given: counted.append(given[2]))
    page = pat.http.get(f"{HOME}/endpoints").get_data(as_text=True)
    assert "66 % taken" in page
    assert "95 % within 1.2 s" in page
    assert re.search(r"1, the oldest since today", page)
    assert len([one for one in counted if one.startswith("SELECT")]) <= 9, counted


def test_deliveries_come_page_by_page_and_by_state(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    rows.add(
        *[
            delivery(ours, n, created_at=utcnow() - timedelta(minutes=n),
                     state=DeliveryState.EXHAUSTED if n == 7 else DeliveryState.DELIVERED)
            for n in range(30)
        ]
    )  # fmt: skip
    first = pat.http.get(f"{HOME}/deliveries").get_data(as_text=True)
    assert first.count('data-label="About"') == 25
    older = re.search(r"before=(\w+)", first)
    assert older
    second = pat.http.get(f"{HOME}/deliveries?before={older[1]}").get_data(as_text=True)
    assert second.count('data-label="About"') == 5
    failed = pat.http.get(f"{HOME}/deliveries?state=exhausted").get_data(as_text=True)
    assert failed.count('data-label="About"') == 1
    assert pat.http.get(f"{HOME}/deliveries?before=nothing").status_code == 404


SEARCHES = {
    "a whole phone, as people write it": ("(319) 555-0150", {"E1", "E2"}),
    "a part of one": ("555-0151", {"E3"}),
    "nobody's": ("(319) 555-0199", set()),
    "words of an error": ("TIMED OUT", {"E4"}),
    "an event's id": ("msg_e3", {"E3"}),
}


@pytest.mark.parametrize(("wanted", "found"), SEARCHES.values(), ids=SEARCHES)
def test_deliveries_say_whom_they_are_about_and_are_found_by_it(
    wanted: str, found: set[str], pat: Staff, ours: Department, rows: Rows
) -> None:
    came = Incoming(
        client_id=ours.client.id, sender_id=ours.number.id, destination="sms", sid="SM1",
        from_="+13195550150", to=ours.number.address, body="Hi", outcome="forwarded",
        received_at=utcnow(),
    )  # fmt: skip
    texts = [
        Message(
            client_id=ours.client.id, sender_id=ours.number.id, destination="sms", to=to, body="x",
            credential_id=ours.credential.id, from_=ours.number.address,
        )
        for to in ("+13195550150", "+13195550151")
    ]  # fmt: skip
    rows.add(came, *texts)
    rows.add(
        delivery(ours, 1, incoming_id=came.id, event_id="msg_e1"),
        delivery(ours, 2, message_id=texts[0].id, event_id="msg_e2"),
        delivery(ours, 3, message_id=texts[1].id, event_id="msg_e3"),
        delivery(ours, 4, last_error="It timed out.", event_id="msg_e4"),
    )
    page = pat.http.get(f"{HOME}/deliveries", query_string={"q": wanted}).text
    events = {one.id: one.event_id for one in rows.all(Delivery)}
    listed = {events[id_] for id_ in re.findall(r'/deliveries/(\w{26})"', page)}
    assert listed == {f"msg_{one.lower()}" for one in found}
    whole = pat.http.get(f"{HOME}/deliveries").text
    assert whole.count(">Ann</a>") == 2, "a name stands wherever a list knows one"
    assert ">(319) 555-0151</a>" in whole
    one = next(id_ for id_, event in events.items() if event == "msg_e1")
    assert ">Ann</a>" in pat.http.get(f"{HOME}/deliveries/{one}").text


def test_only_what_is_unused_is_deleted(pat: Staff, ours: Department, rows: Rows) -> None:
    path = f"{HOME}/endpoints/{ours.endpoint.id}"
    rows.add(EndpointSecret(endpoint_id=ours.endpoint.id, secret="whsec_x"))
    rows.add(delivery(ours))
    pat.send(f"{path}/delete", seen_at="/staff/account")
    assert rows.count(Endpoint) == 1
    rows.change(Delivery.__table__.delete())
    pat.send(f"{path}/delete", seen_at="/staff/account")
    assert rows.count(Endpoint) == rows.count(EndpointSecret) == 0


def test_another_clients_deliveries_do_not_exist(pat: Staff, ours: Department, rows: Rows) -> None:
    theirs = department(rows, "bursar", "77")
    rows.add(delivery(theirs))
    sent = rows.one(Delivery)
    for path in (f"endpoints/{theirs.endpoint.id}", f"deliveries/{sent.id}",
                 f"deliveries/{sent.id}/attempts", f"deliveries?before={sent.id}"):  # fmt: skip
        assert pat.http.get(f"{HOME}/{path}").status_code == 404
    listed = pat.http.get(f"{HOME}/deliveries?to={theirs.endpoint.id}")
    assert 'data-label="About"' not in listed.get_data(as_text=True)
