"""What became of a batch: as a picture by reason, live, filtered by it, and sent again."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from app.models.base import utcnow
from app.models.batch import Batch, BatchState
from app.models.link import Click, Link
from app.models.message import Message, MessageState
from app.models.route import Destination
from app.models.suppression import SuppressionEntry, SuppressionSource
from tests.staff.conftest import Staff
from tests.staff.of_department import ours as ours
from tests.staff.of_department import pat as pat
from tests.support.departments import Department
from tests.support.rows import Rows

HOME = "/staff/clients/registrar"
LONG_AGO = utcnow() - timedelta(hours=5)
ACCEPTED = MessageState.ACCEPTED


def run(
    rows: Rows, ours: Department, endings: list[dict[str, Any]], **columns: Any
) -> tuple[Batch, list[Message]]:
    """Add a batch that has ended; each of its people got a message with these columns."""
    is_call = columns.get("plan", {}).get("destination") == "voice"
    batch = Batch(
        client_id=ours.client.id, communication_id=(ours.calls if is_call else ours.texts).id,
        scheduled_at=LONG_AGO, started_at=LONG_AGO, lane_key=f"sms:{ours.number.id}",
        total=len(endings), prepared=len(endings), created_by="pat@example.edu",
        **{"state": BatchState.COMPLETE, "ended_at": LONG_AGO, "plan": {}} | columns,
    )  # fmt: skip
    rows.add(batch)
    made = [
        Message(
            client_id=ours.client.id, sender_id=ours.number.id, batch_id=batch.id,
            destination=Destination.VOICE if is_call else Destination.SMS, segments=1,
            credential_id=ours.credential.id, from_=ours.number.address,
            to=f"+1319555{at:04}", body="Hi!", member={"toName": f"Person {at}"},
            communication_id=batch.communication_id, updated_at=LONG_AGO,
            **{"state": ACCEPTED, "sid": f"SM{at:032x}", "position": at} | ending,
        )
        for at, ending in enumerate(endings)
    ]  # fmt: skip
    rows.add(*made)
    return batch, made


def said(page: str, part: str = "results") -> str:
    """Return the words of a part of the page, without its tags."""
    inside = page.split(f'id="{part}"')[1].split('id="one-by-one"')[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", inside))


OFF = {"status": "undelivered", "error_code": 30003}
LANDLINE = {"status": "undelivered", "error_code": 30006}
REFUSED = {"state": MessageState.REFUSED, "reason": "invalid_phone", "sid": None}
OPTED_OUT = {"state": MessageState.SUPPRESSED, "reason": "suppressed", "sid": None}


def test_texts_are_shown_by_what_became_of_them_and_why(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    delivered = [{"status": "delivered"}] * 4
    batch, _ = run(rows, ours, [*delivered, OFF, OFF, LANDLINE, REFUSED, OPTED_OUT, OPTED_OUT])
    page = pat.http.get(f"{HOME}/batches/{batch.id}").text
    words = said(page)
    for expected in (
        "Delivered 4 40 %", "Not delivered 2 20 %", "(30003)", "Not delivered 1 10 %", "(30006)",
        "Not sent: refused 1 10 % no valid phone", "Not sent: opted out 2 20 %",
    ):  # fmt: skip
        assert expected in words, words
    assert page.count('<rect width="20.0"') == 2


def test_calls_are_shown_by_who_took_them_and_how_long(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    person = {"status": "completed", "answered_by": "human", "call_duration": 30}
    machine = {"status": "completed", "answered_by": "machine_start", "call_duration": 4}
    plan = {"destination": "voice", "options": {"machineDetection": "hang_up"}}
    hung_up = {**machine, "options": {"machineDetection": "hang_up"}}
    batch, _ = run(
        rows, ours, [person, {**person, "call_duration": 50}, hung_up, {"status": "busy"},
                     {"status": "no-answer"}], plan=plan,
    )  # fmt: skip
    page = pat.http.get(f"{HOME}/batches/{batch.id}").text
    words = said(page)
    assert "A person answered 2 40 % 40 seconds on average" in words
    assert "A machine answered; we hung up 1 20 %" in words
    assert "Busy 1 20 %" in words
    assert "Not answered 1 20 %" in words
    assert "Completed" not in page


NARROWED = {
    "by state": ("status=undelivered", ["Person 1", "Person 2"]),
    "by Twilio's code": ("status=undelivered&why=30006", ["Person 2"]),
    "by our own reason": ("status=refused&why=invalid_phone", ["Person 3"]),
    "by who answered": ("by=machine", []),
    "by nonsense": ("why=9999999999999999999999&by=robot", []),
}


@pytest.mark.parametrize(("asked", "people"), NARROWED.values(), ids=NARROWED)
def test_the_people_are_narrowed_by_what_is_in_the_picture(
    asked: str, people: list[str], pat: Staff, ours: Department, rows: Rows
) -> None:
    batch, _ = run(rows, ours, [{"status": "delivered"}, OFF, LANDLINE, REFUSED])
    page = pat.http.get(f"{HOME}/batches/{batch.id}?{asked}").text.split('id="rows"')[1]
    assert re.findall(r"Person \d", page) == people
    lines = pat.http.get(f"{HOME}/batches/{batch.id}.csv?{asked}").text.splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == people


def test_one_sees_when_links_were_opened(pat: Staff, ours: Department, rows: Rows) -> None:
    batch, (message,) = run(rows, ours, [{"status": "delivered"}], plan={"link_tracking": True})
    rows.add(
        Link(code="aB3dE", client_id=ours.client.id, message_id=message.id, url="https://x.edu")
    )
    for hours, is_preview in ((0.5, False), (0.6, False), (3.2, False), (0.0, True)):
        at = LONG_AGO + timedelta(hours=hours)
        rows.add(Click(code="aB3dE", batch_id=batch.id, at=at, is_preview=is_preview))
    page = pat.http.get(f"{HOME}/batches/{batch.id}").text
    assert "Links opened by people 3 times, by hour" in page
    counts = re.findall(r"<title>[^<]*: (\d+)</title>", page)
    assert counts[:4] == ["2", "0", "0", "1"]


def test_the_picture_and_the_people_are_live(pat: Staff, ours: Department, rows: Rows) -> None:
    batch, _ = run(
        rows, ours, [{"status": "sent"}, {"state": MessageState.WAITING, "sid": None}],
        state=BatchState.RUNNING, ended_at=None,
    )  # fmt: skip
    page = pat.http.get(f"{HOME}/batches/{batch.id}").text
    news = re.search(rf'hx-get="({HOME}/batches/{batch.id}/results[^"]*)"', page)
    assert news
    address = news[1].replace("&amp;", "&")
    assert pat.http.get(address).status_code == 204
    rows.change(update(Message).values(status="delivered").where(Message.status == "sent"))
    fresh = pat.http.get(address).text
    assert "Delivered 1 50 %" in said(fresh)
    assert '<div id="rows" hx-swap-oob="true">' in fresh


def test_the_open_page_of_a_long_run_costs_less_than_a_statement_a_second(
    pat: Staff, ours: Department, rows: Rows, statements: list[str]
) -> None:
    batch, _ = run(
        rows, ours, [OFF, LANDLINE, OPTED_OUT, {"state": MessageState.WAITING, "sid": None}],
        state=BatchState.RUNNING, ended_at=None, plan={"link_tracking": True},
    )  # fmt: skip
    page = pat.http.get(f"{HOME}/batches/{batch.id}").text
    looks = re.findall(r'hx-get="([^"]+)" hx-trigger="every (\d+)s"', page)
    assert len(looks) == 2
    cost = 0.0
    for address, seconds in looks:
        statements.clear()
        assert pat.http.get(address.replace("&amp;", "&")).status_code in (200, 204)
        asked = [one for one in statements if not one.startswith(("BEGIN", "ROLLBACK"))]
        cost += len(asked) / int(seconds)
    assert cost <= 1.0


def test_a_run_is_canceled_only_after_a_question(pat: Staff, ours: Department, rows: Rows) -> None:
    batch, _ = run(
        rows, ours, [{"status": "delivered"}, {"state": MessageState.WAITING, "sid": None}],
        state=BatchState.PAUSED, ended_at=None,
    )  # fmt: skip
    path = f"{HOME}/batches/{batch.id}"
    page = pat.http.get(path).text
    assert f'action="{path}/cancel"' not in page
    assert f'href="{path}/cancel"' in page
    question = pat.http.get(f"{path}/cancel").text
    assert "1 person would not get it any more; 1 is done with" in question
    assert rows.one(Batch).state == "paused"
    pat.send(f"{path}/cancel")
    assert rows.one(Batch).state == "canceled"


def test_whoever_can_still_be_reached_gets_it_again_once(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    lost = {"state": MessageState.FAILED, "sid": None}
    batch, made = run(
        rows, ours, [{"status": "delivered"}, OFF, LANDLINE, lost, OPTED_OUT, REFUSED]
    )
    path = f"{HOME}/batches/{batch.id}/again"
    assert f'href="{path}"' in pat.http.get(f"{HOME}/batches/{batch.id}").text
    question = pat.http.get(path).text
    assert "2 people were not reached" in question
    assert rows.count(Message) == 6, "nothing goes out before a page has asked"
    pat.send(path)
    again = [one for one in rows.all(Message) if one.batch_id is None]
    assert sorted(one.to for one in again) == [made[1].to, made[3].to]
    assert {one.state for one in again} == {MessageState.WAITING}
    answer = pat.send(path, seen_at="/staff/account")
    assert "Nobody is left" in pat.http.get(answer.headers["Location"]).text
    assert rows.count(Message) == 8
    assert f'href="{path}"' not in pat.http.get(f"{HOME}/batches/{batch.id}").text


def test_who_has_opted_out_meanwhile_gets_nothing_again(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    listed = {"suppression_list_id": ours.suppression.id}
    batch, made = run(rows, ours, [OFF | listed, OFF | listed])
    rows.add(
        SuppressionEntry(
            list_id=ours.suppression.id,
            phone=made[0].to,
            source=SuppressionSource.KEYWORD,
            since=LONG_AGO,
        )
    )
    answer = pat.send(f"{HOME}/batches/{batch.id}/again")
    page = pat.http.get(answer.headers["Location"]).text
    assert "1 is on the way again." in page
    assert "Not sent to 1:" in page
    assert [one.to for one in rows.all(Message) if one.batch_id is None] == [made[1].to]


def test_calls_that_nobody_took_are_placed_again_but_not_those_placed_before(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    plan = {"destination": "voice"}
    busy = {"status": "busy"}
    batch, made = run(
        rows, ours, [busy, busy | {"position": 7}, busy | {"position": 7, "step": 1},
                     {"status": "completed"}], plan=plan,
    )  # fmt: skip
    assert "2 people were not reached" in pat.http.get(f"{HOME}/batches/{batch.id}/again").text
    pat.send(f"{HOME}/batches/{batch.id}/again")
    again = [one.to for one in rows.all(Message) if one.batch_id is None]
    assert sorted(again) == [made[0].to, made[2].to]
