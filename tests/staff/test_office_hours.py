"""Office hours: a week written down in a form, chosen for a number, closed for now."""

from __future__ import annotations

from io import BytesIO

import pytest
from time_machine import TimeMachineFixture

from app.models.client import Client
from app.models.hours import Hours
from app.models.route import Handler, Route
from app.models.sender import Sender
from app.models.template import Template, TemplateKind, TemplateVersion
from tests.staff.conftest import Staff
from tests.support.forms import route_fields
from tests.support.rows import Rows

HOME = "/staff/clients/registrar"
SATURDAY = "2026-11-28T12:00-06:00"
OFFICE = "08:00-12:00, 13:00-17:00"
CALENDAR = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\n"
    b"DTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:20201225\r\nRRULE:FREQ=YEARLY\r\n"
    b"END:VEVENT\r\nEND:VCALENDAR\r\n"
)


@pytest.fixture(autouse=True)
def at(time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(SATURDAY)


def text_of(pat: Staff, path: str) -> str:
    return pat.http.get(f"{HOME}/{path}").get_data(as_text=True)


def write(pat: Staff, path: str = "hours/new", **fields: object):
    days = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), OFFICE)
    data = {"csrf_token": pat.token(f"{HOME}/{path}"), "name": "office", **days, **fields}
    return pat.http.post(f"{HOME}/{path}", data=data)


def test_hours_are_written_and_say_what_they_are_now(pat: Staff, rows: Rows) -> None:
    calendar = (BytesIO(CALENDAR), "holidays.ics")
    dates = "2026-12-24 08:00-12:00\n2026-12-31 closed\n"
    assert write(pat, dates=dates, calendar=calendar).status_code == 302
    row = rows.one(Hours)
    assert row.week["mon"] == OFFICE.split(", ")
    assert row.dates == {"2026-12-24": ["08:00-12:00"], "2026-12-31": []}
    assert row.holidays[:2] == ["2026-12-25", "2027-12-25"]
    assert "closed, opens Monday 08:00" in text_of(pat, "hours")
    page = text_of(pat, f"hours/{row.id}")
    assert "2026-12-31 closed" in page
    assert f'value="{OFFICE}"' in page


def test_saving_again_keeps_the_calendar_until_it_is_taken_away(pat: Staff, rows: Rows) -> None:
    write(pat, calendar=(BytesIO(CALENDAR), "holidays.ics"))
    path = f"hours/{rows.one(Hours).id}"
    write(pat, path, sat="10:00-12:00")
    assert rows.one(Hours).holidays
    write(pat, path, no_calendar="1")
    assert rows.one(Hours).holidays == []


WRONG = {
    "no span": ({"mon": "8 to 12"}, "Monday: “8 to 12” is no span of a day"),
    "spans that overlap": ({"tue": "08:00-12:00, 11:00-13:00"}, "Tuesday: "),
    "no date": ({"dates": "Christmas closed"}, "begins with a date"),
    "no span of a date": ({"dates": "2026-12-24 morning"}, "2026-12-24: "),
    "no calendar": ({"calendar": (BytesIO(b"hello"), "x.ics")}, "cannot be read as a calendar"),
    "no name": ({"name": ""}, "ame"),
}


@pytest.mark.parametrize(("fields", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_and_what_was_typed_stays(
    fields: dict[str, object], sentence: str, pat: Staff, rows: Rows
) -> None:
    fields = {
        name: (BytesIO(b"hello"), "x.ics") if name == "calendar" else value
        for name, value in fields.items()
    }
    answer = write(pat, **fields)
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    assert "Not saved yet." in page
    assert sentence in page
    assert "Traceback" not in page
    assert f'value="{OFFICE}"' in page
    assert not rows.all(Hours)


def away(rows: Rows, client: Client, name: str, body: str) -> None:
    template = Template(client_id=client.id, name=name, kind=TemplateKind.REPLY)
    template.versions.append(TemplateVersion(number=1, body=body, created_by="test"))
    rows.add(template)


def choose(pat: Staff, number: Sender, destination: str, **fields: str):
    page = f"{HOME}/numbers/{number.id}"
    data = {"csrf_token": pat.token(page), "do": "save", **route_fields(**fields)}
    return pat.http.post(f"{page}/{destination}", data=data)


CALLS = {
    "handler": "hours", "hours": "office", "open_handler": "call_forward",
    "open_to": "(319) 555-0175", "closed_handler": "play_message", "closed_say": "We are closed.",
    "holiday_handler": "none",
}  # fmt: skip


def test_a_number_goes_by_hours_chosen_in_its_form(pat: Staff, number: Sender, rows: Rows) -> None:
    write(pat)
    assert choose(pat, number, "voice", **CALLS).status_code == 302
    outer = next(one for one in rows.all(Route) if one.handler is Handler.HOURS)
    inside = {one.place: one for one in rows.all(Route) if one.parent_id == outer.id}
    assert inside["open"].options["to"] == "+13195550175"
    assert inside["closed"].options["say"] == "We are closed."
    page = text_of(pat, f"numbers/{number.id}")
    assert "Now: closed, opens Monday 08:00" in page
    assert "By the hours “office”. Open: Forwards" in page
    assert "<Say>We are closed.</Say>" in page.replace("&lt;", "<").replace("&gt;", ">")


def test_texts_go_by_hours_too(pat: Staff, number: Sender, rows: Rows, registrar: Client) -> None:
    write(pat)
    away(rows, registrar, "away", "We are away.")
    away(rows, registrar, "closed", "We are closed.")
    answer = choose(
        pat, number, "sms", handler="hours", hours="office", open_handler="auto_reply",
        open_template="away", closed_handler="auto_reply", closed_template="closed",
    )  # fmt: skip
    assert answer.status_code == 302
    assert "We are closed." in text_of(pat, f"numbers/{number.id}")


WRONG_ROUTES = {
    "nothing chosen while closed": ({"closed_handler": "none"}, "Choose what is to be done."),
    "a phone that is none": ({"open_to": "911"}, "911"),
    "no hours": ({"hours": ""}, "ours"),
}


@pytest.mark.parametrize(("fields", "sentence"), WRONG_ROUTES.values(), ids=WRONG_ROUTES)
def test_a_mistake_inside_stands_at_its_field(
    fields: dict[str, str], sentence: str, pat: Staff, number: Sender
) -> None:
    write(pat)
    answer = choose(pat, number, "voice", **{**CALLS, **fields})
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    assert sentence in page
    assert 'class="error"' in page
    assert "We are closed." in page or "closed_handler" in fields


def test_what_has_a_box_of_its_own_stays_as_it_is(pat: Staff, number: Sender, rows: Rows) -> None:
    write(pat)
    deeper = (
        '{"handler": "hours", "hours": "office", "open": {"handler": "play_message", "say": "In."},'
        ' "closed": {"handler": "play_message", "say": "Out."}}'
    )
    fields = {**CALLS, "open_handler": "kept", "open_kept": deeper}
    assert choose(pat, number, "voice", **fields).status_code == 302
    page = text_of(pat, f"numbers/{number.id}")
    assert "It has a box of its own in the picture" in page
    assert sorted(one.place or "" for one in rows.all(Route) if one.parent_id) == [
        "closed", "closed", "open", "open",
    ]  # fmt: skip
    assert choose(pat, number, "voice", **{**fields, "open_kept": "{"}).status_code == 422


def test_everything_is_closed_for_now_and_opened_again(pat: Staff, number: Sender) -> None:
    write(pat, sat="10:00-16:00")
    choose(pat, number, "voice", **CALLS)
    for path, seen in (
        ("closed-until", "hours"),
        (f"numbers/{number.id}/closed-until", f"numbers/{number.id}"),
    ):
        send = {"seen_at": f"{HOME}/{seen}"}
        pat.send(f"{HOME}/{path}", **send, do="close", until="2026-11-28T15:00")
        assert "Now: closed until 15:00" in text_of(pat, f"numbers/{number.id}")
        assert "We are closed." in text_of(pat, f"numbers/{number.id}")
        pat.send(f"{HOME}/{path}", **send, do="open", until="")
        assert "Now: open, closes at 16:00" in text_of(pat, f"numbers/{number.id}")
        pat.send(f"{HOME}/{path}", **send, do="close", until="yesterday")
        assert "Choose a day and a time." in text_of(pat, seen)


def test_hours_in_use_are_not_deleted(pat: Staff, number: Sender, rows: Rows) -> None:
    write(pat)
    path = f"{HOME}/hours/{rows.one(Hours).id}"
    choose(pat, number, "voice", **CALLS)
    pat.send(f"{path}/delete", f"{path}")
    assert rows.all(Hours)
    assert f"the number {number.address}" in pat.http.get(path).get_data(as_text=True)
    choose(pat, number, "voice", handler="none")
    pat.send(f"{path}/delete", f"{path}")
    assert not rows.all(Hours)


def test_another_clients_hours_are_not_found(pat: Staff, rows: Rows) -> None:
    other = Client(name="library", owner_email="library@example.edu", twilio_enabled=True)
    rows.add(other)
    theirs = Hours(client_id=other.id, name="office")
    rows.add(theirs)
    assert pat.http.get(f"{HOME}/hours/{theirs.id}").status_code == 404
    assert write(pat, "hours/new", name="office").status_code == 302
    data = {"csrf_token": pat.token(f"{HOME}/hours"), "name": "x"}
    assert pat.http.post(f"{HOME}/hours/{theirs.id}", data=data).status_code == 404
    assert pat.http.post(f"{HOME}/hours/{theirs.id}/delete", data=data).status_code == 404
