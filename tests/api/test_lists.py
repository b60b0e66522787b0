"""Long lists: a page at a time, nothing missed and nothing repeated while others write."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

from app.extensions import db, unit_of_work
from app.models.delivery import Delivery, DeliveryState, EventType
from app.models.incoming import Incoming, OptOut, Outcome
from app.models.link import Click, Link
from app.models.message import Message, MessageReport, MessageState
from app.models.route import Destination, Handler
from tests.support.departments import Caller, Department
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.rows import Rows
from tests.support.twilio import sid

API = f"{PUBLIC_BASE_URL}/api/v1"


def message(of: Department, to: str = "+13195550150", **more: Any) -> Message:
    return Message(
        client_id=of.client.id, sender_id=of.number.id, credential_id=of.credential.id, to=to,
        from_=of.number.address,
        **{"destination": Destination.SMS, "body": "Hi", "segments": 1, **more},
    )  # fmt: skip


def incoming(of: Department, **more: Any) -> Incoming:
    return Incoming(
        client_id=of.client.id, sender_id=of.number.id, to=of.number.address,
        **{
            "destination": Destination.SMS, "sid": sid("SM"), "from_": "+13195550150",
            "body": "Hello", "outcome": Outcome.REPLIED, **more,
        },
    )  # fmt: skip


def follow(api: Caller, url: str) -> list[list[dict[str, Any]]]:
    """Return every page from ``url`` on."""
    pages = []
    following: str | None = url
    while following:
        answer = api.get(following)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json["items"])
        following = answer.json["next"]
    return pages


def test_pages_follow_each_other_oldest_first(
    api: Caller, rows: Rows, registrar: Department, library: Department
) -> None:
    mine = [message(registrar) for _ in range(7)]
    for one in mine:
        rows.add(one, message(library))
    pages = follow(api, "messages?limit=3")
    assert [[one["id"] for one in page] for page in pages] == [
        [one.id for one in mine[:3]], [one.id for one in mine[3:6]], [mine[6].id],
    ]  # fmt: skip
    first = api.get("messages?limit=3&to=%2B13195550150").json["next"]
    assert first.startswith(f"{API}/messages?")
    assert parse_qs(urlsplit(first).query)["to"] == ["+13195550150"]


def test_a_list_that_ends_with_a_full_page_has_no_next(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    rows.add(message(registrar), message(registrar))
    answer = api.get("messages?limit=2").json
    assert len(answer["items"]) == 2
    assert answer["next"] is None


def test_one_can_look_for_more_later(api: Caller, rows: Rows, registrar: Department) -> None:
    rows.add(message(registrar))
    (seen,) = api.get("messages").json["items"]
    assert api.get(f"messages?after={seen['id']}").json == {"items": [], "next": None}
    newer = message(registrar)
    rows.add(newer)
    assert [one["id"] for one in api.get(f"messages?after={seen['id']}").json["items"]] == [
        newer.id
    ]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=many", "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=", "cursor"),
        ("cursor=WzEsIjAxIl0.AAAA", "cursor"),
        ("after=nonsense", "after"),
        ("after=01ARZ3NDEKTSV4RRFFQ69G5FAV", "after"),
        ("to=nobody", "to"),
        ("status=lost", "status"),
        ("statsu=sent", "statsu"),
        ("limit=1&limit=2", "limit"),
        ("to=a%00b", "to"),
    ],
)
def test_a_bad_question_is_422(api: Caller, query: str, field: str) -> None:
    answer = api.get(f"messages?{query}")
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json["errors"]] == [field]


def test_all_that_is_wrong_with_a_question_is_told_at_once(api: Caller) -> None:
    answer = api.get("messages?limit=many&to=nobody&from=12&status=lost&statsu=sent")
    assert answer.status_code == 422
    assert {one["field"]: one["code"] for one in answer.json["errors"]} == {
        "limit": "int_parsing", "to": "invalid_phone", "from": "invalid_phone",
        "status": "literal_error", "statsu": "extra_forbidden",
    }  # fmt: skip


@pytest.mark.parametrize("writing", ["%2B13195550111", "+13195550111", "(319) 555-0111"])
def test_messages_are_found_by_sender_in_any_writing(
    api: Caller, rows: Rows, registrar: Department, writing: str
) -> None:
    rows.add(message(registrar))
    assert len(api.get(f"messages?from={writing}").json["items"]) == 1


def test_a_cursor_of_another_list_is_refused(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    rows.add(message(registrar), message(registrar))
    following = api.get("messages?limit=1").json["next"]
    assert api.get(following.replace("/messages?", "/inbound?")).status_code == 422


STATUSES = [
    (MessageState.WAITING, None, "queued"),
    (MessageState.CLAIMED, None, "queued"),
    (MessageState.ACCEPTED, None, "queued"),
    (MessageState.ACCEPTED, "accepted", "accepted"),
    (MessageState.ACCEPTED, "delivered", "delivered"),
    (MessageState.ACCEPTED, "failed", "failed"),
    (MessageState.SUPPRESSED, "failed", "suppressed"),
    (MessageState.UNKNOWN, None, "unknown"),
    (MessageState.REFUSED, None, "refused"),
    (MessageState.FAILED, None, "failed"),
    (MessageState.CANCELED, None, "canceled"),
]


def test_a_status_is_twilios_last_word_or_our_own_end(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    for state, status, _ in STATUSES:
        rows.add(message(registrar, state=state, status=status))
    shown = [one["status"] for one in api.get("messages").json["items"]]
    assert shown == [public for _, _, public in STATUSES]
    for public in {public for _, _, public in STATUSES}:
        found = api.get(f"messages?status={public}").json["items"]
        assert [one["status"] for one in found] == [public] * shown.count(public)


def test_messages_are_found_by_phone_in_any_writing(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    rows.add(message(registrar), message(registrar, to="+13195550151"))
    for written in ("%2B13195550151", "+13195550151", "3195550151", "(319) 555-0151"):
        found = api.get(f"messages?to={written}").json["items"]
        assert [one["to"] for one in found] == ["+13195550151"]


def test_a_message_has_every_field_of_the_contract(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    at = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    one = message(
        registrar, state=MessageState.ACCEPTED, status="undelivered", sid=sid("SM"),
        error_code=30005, error_message="Unknown destination handset", price=0.0083,
        price_unit="USD", sent_at=at, communication_id=registrar.texts.id,
    )  # fmt: skip
    rows.add(one)
    rows.add(
        MessageReport(message_id=one.id, status="queued", source="response", at=at),
        MessageReport(
            message_id=one.id, status="undelivered", source="callback",
            at=at + timedelta(seconds=3), error_code=30005,
        ),
        Link(client_id=registrar.client.id, code="abc", message_id=one.id, url="https://e.edu/"),
    )  # fmt: skip
    rows.add(Click(code="abc", is_preview=False), Click(code="abc", is_preview=True))
    rows.add(Click(code="abc", is_preview=True))
    shown = api.get(f"messages/{one.id}").json
    assert list(shown) == [
        "id", "destination", "direction", "status", "sid", "to", "from", "body", "segments",
        "errorCode", "errorMessage", "explanation", "price", "createdAt", "sendAt", "sentAt",
        "updatedAt", "communication", "batch", "answeredBy", "callDuration", "recordingUrl",
        "digits", "speech", "twilioLog", "clicks", "history",
    ]  # fmt: skip
    assert shown["destination"] == "sms"
    assert shown["direction"] == "outbound-api"
    assert shown["errorCode"] == 30005
    assert shown["explanation"]
    assert shown["price"] == pytest.approx(0.0083)
    assert shown["sentAt"] == "2026-11-21T12:00:00Z"
    assert shown["communication"] == registrar.texts.id
    assert shown["batch"] is None
    assert shown["clicks"] == {"people": 1, "previews": 2}
    assert shown["history"] == [
        {"status": "queued", "at": "2026-11-21T12:00:00Z", "source": "response"},
        {"status": "undelivered", "at": "2026-11-21T12:00:03Z", "source": "callback"},
    ]


def test_what_came_in_is_listed(api: Caller, rows: Rows, registrar: Department) -> None:
    reply = message(registrar)
    rows.add(reply)
    rows.add(
        incoming(
            registrar, handler=Handler.AUTO_REPLY, opt_out=OptOut.STOP, reply_id=reply.id,
            media=[{"url": "https://api.twilio.com/x", "contentType": "image/png", "code": "abc"}],
        )
    )  # fmt: skip
    (shown,) = api.get("inbound?from=%2B13195550150").json["items"]
    assert list(shown) == [
        "id", "destination", "sid", "from", "to", "body", "media", "receivedAt", "channel",
        "reaction", "handler", "optOut", "outcome", "reply", "path", "voicemails",
        "status", "callDuration", "dialCallStatus", "takenBy", "steps",
    ]  # fmt: skip
    assert shown["reply"] == reply.id
    assert shown["optOut"] == "STOP"
    assert (shown["status"], shown["takenBy"], shown["steps"]) == (None, None, [])
    assert shown["media"] == [{"url": f"{PUBLIC_BASE_URL}/media/abc", "contentType": "image/png"}]
    assert api.get("inbound?from=%2B13195550199").json == {"items": [], "next": None}


def test_deliveries_are_listed(api: Caller, rows: Rows, registrar: Department) -> None:
    now = datetime.now(UTC)
    rows.add(
        Delivery(
            client_id=registrar.client.id, type=EventType.SMS_RECEIVED, body="{}", sequence=1,
            endpoint_id=registrar.endpoint.id, occurred_at=now, give_up_at=now,
            state=DeliveryState.EXHAUSTED, attempts=9, last_status=500, last_error="HTTP 500",
        )
    )  # fmt: skip
    (shown,) = api.get("deliveries?state=exhausted").json["items"]
    assert list(shown) == [
        "id", "event", "type", "endpoint", "state", "attempts", "nextAttemptAt", "lastStatus",
        "lastError", "createdAt", "deliveredAt",
    ]  # fmt: skip
    assert shown["event"].startswith("msg_")
    assert shown["endpoint"] == registrar.endpoint.id
    assert api.get("deliveries?state=pending").json["items"] == []


@pytest.mark.parametrize("path", ["messages", "inbound", "deliveries"])
def test_the_number_of_queries_does_not_grow_with_the_page(
    api: Caller, rows: Rows, registrar: Department, path: str
) -> None:
    assert api.get(path).status_code == 200  # notes the key's use
    counts = []
    for _ in range(2):
        with api.http.application.app_context():
            statements = _watch(db.engine)
        api.get(path)
        counts.append(len(statements))
        for _ in range(5):
            rows.add(message(registrar), incoming(registrar))
    assert counts[0] == counts[1] <= 6


def _watch(engine: Any) -> list[str]:
    from sqlalchemy import event

    seen: list[str] = []
    event.listen(
        engine, "before_cursor_execute", lambda _c, _cur, statement, *_: seen.append(statement)
    )
    return seen


def test_following_next_during_a_thousand_writes_misses_and_repeats_nothing(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    """Eight writers, whose transactions take different times, so that they overlap."""
    total, writers = 1000, 8
    app = api.http.application
    done = threading.Event()
    read: list[str] = []

    def write(writer: int) -> None:
        for number in range(total // writers):
            with app.app_context(), unit_of_work() as session:
                session.add(message(registrar, body=f"{writer}-{number}"))
                session.flush()
                if number % 5 == 0 and db.engine.dialect.name == "postgresql":
                    session.execute(text(f"SELECT pg_sleep({(writer + 1) / 1000})"))

    def follow_until_done() -> None:
        last: str | None = None
        while True:
            ended = done.is_set()
            following: str | None = "messages?limit=20" + (f"&after={last}" if last else "")
            while following:
                answer = api.get(following).json
                read.extend(one["id"] for one in answer["items"])
                following = answer["next"]
            last = read[-1] if read else None
            if ended:
                return

    with ThreadPoolExecutor(writers + 1) as pool:
        reader = pool.submit(follow_until_done)
        for future in [pool.submit(write, number) for number in range(writers)]:
            future.result(60)
        done.set()
        reader.result(60)
    assert len(read) == len(set(read)) == total
    assert set(read) == {one.id for one in rows.all(Message)}
