"""What a number needs beside its routes: a name, a list, sending again, what it did before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.models.base import utcnow
from app.models.breaker import Breaker
from app.models.client import Client
from app.models.house import AuditEntry
from app.models.number import TwilioRequest, Verification
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender
from app.models.suppression import SuppressionList
from app.models.user import Role, User
from tests.staff.conftest import OF_CLIENTS, Staff
from tests.support.rows import Rows

HOME = "/staff/clients/registrar"
AddPerson = Callable[..., User]


def stop(rows: Rows, reason: str) -> None:
    rows.change(update(Sender).values(stopped_at=utcnow(), stopped_reason=reason))


def test_a_number_gets_a_name_and_a_list(
    pat: Staff, number: Sender, registrar: Client, rows: Rows
) -> None:
    rows.add(SuppressionList(client_id=registrar.id, name="opted-out"))
    path = f"{HOME}/numbers/{number.id}"
    pat.send(f"{path}/about", seen_at=path, name="Front desk", suppression_list="opted-out")
    saved = rows.one(Sender)
    assert (saved.name, bool(saved.suppression_list_id)) == ("Front desk", True)
    assert [*rows.one(OF_CLIENTS).details] == ["name", "suppression_list"]
    pat.send(f"{path}/about", seen_at=path, name="Front desk", suppression_list="opted-out")
    assert len(rows.all(OF_CLIENTS)) == 1
    pat.send(f"{path}/about", seen_at=path, name="", suppression_list="")
    assert (rows.one(Sender).name, rows.one(Sender).suppression_list_id) == (None, None)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "x" * 101}, "longer than 100 characters"),
        ({"suppression_list": "nowhere"}, "nowhere"),
        ({"suppression_list": "opted-out"}, "cannot be combined"),
    ],
    ids=["long name", "unknown list", "list beside one's own system"],
)
def test_what_does_not_fit_is_refused(
    pat: Staff, number: Sender, registrar: Client, rows: Rows, fields: dict[str, str], said: str
) -> None:
    rows.add(
        SuppressionList(client_id=registrar.id, name="opted-out"),
        Route(
            client_id=registrar.id, sender_id=number.id, destination=Destination.SMS,
            updated_by="x",
            handler=Handler.HANDLE_YOURSELF, url="https://sis.example.edu/",
        ),
    )  # fmt: skip
    path = f"{HOME}/numbers/{number.id}"
    pat.send(f"{path}/about", seen_at=path, **{"name": "", "suppression_list": "", **fields})
    assert said in pat.http.get(path).text
    assert (rows.one(Sender).name, rows.one(Sender).suppression_list_id) == (None, None)


def test_an_owner_lets_a_stopped_number_send_again(
    pat: Staff, number: Sender, rows: Rows, add_person: AddPerson, registrar: Client, app: Flask
) -> None:
    stop(rows, "The number is not registered.")
    add_person("lee@example.edu", registrar, role=Role.STAFF)
    lee = Staff(app.test_client())
    lee.sign_in("lee@example.edu")
    path = f"{HOME}/numbers/{number.id}"
    assert lee.send(f"{path}/resume", seen_at="/staff/account").status_code == 403
    assert rows.one(Sender).stopped_at is not None
    assert "The number is not registered." in pat.http.get(path).text
    pat.send(f"{path}/resume", seen_at=path)
    assert (rows.one(Sender).stopped_at, rows.one(Sender).stopped_reason) == (None, None)
    assert rows.one(OF_CLIENTS).action == "resume"


@pytest.mark.parametrize(("key", "what"), [("sms", "Texts"), ("voice", "Calls")])
def test_what_is_held_says_why_and_is_tried_with_one(
    key: str, what: str, app: Flask, pat: Staff, number: Sender, registrar: Client, rows: Rows,
    add_person: AddPerson,
) -> None:  # fmt: skip
    rows.add(
        Breaker(
            key=f"{key}:{number.id}", sender_id=number.id, code=99999, tripped_at=utcnow(),
            reason="Twilio refused the same for 5 people in a row (error 99999).",
        )
    )  # fmt: skip
    path = f"{HOME}/numbers/{number.id}"
    shown = pat.http.get(path).text
    assert f"{what} are held since" in shown
    assert "for 5 people in a row (error 99999)." in shown
    add_person("lee@example.edu", registrar, role=Role.STAFF)
    lee = Staff(app.test_client())
    lee.sign_in("lee@example.edu")
    lee.send(f"{path}/try-one", seen_at=path)
    assert rows.one(Breaker).trial_at is not None
    assert lee.send(f"{path}/resume", seen_at="/staff/account").status_code == 403
    pat.send(f"{path}/resume", seen_at=path)
    assert rows.one(Breaker).tripped_at is None
    assert [one.action for one in rows.all(OF_CLIENTS)] == ["try with one", "release"]
    assert "are held since" not in pat.http.get(path).text


def test_what_was_given_back_does_not_send_again(pat: Staff, number: Sender, rows: Rows) -> None:
    stop(rows, "it has been given back to Twilio")
    path = f"{HOME}/numbers/{number.id}"
    pat.send(f"{path}/resume", seen_at=path)
    assert rows.one(Sender).stopped_at is not None
    assert "cannot send any more" in pat.http.get(path).text


def test_a_look_at_nothing_changes_nothing(
    pat: Staff, number: Sender, registrar: Client, rows: Rows
) -> None:
    rows.add(
        Route(
            client_id=registrar.id, sender_id=number.id, destination=Destination.VOICE,
            updated_by="x",
            handler=Handler.PLAY_MESSAGE, options={"say": "We are closed."},
        )
    )  # fmt: skip
    path = f"{HOME}/numbers/{number.id}"
    page = pat.send(f"{path}/voice", seen_at=path, handler="none", do="preview").text
    assert "callers hear a short sentence" in page
    assert rows.count(Route) == 1


def test_what_a_number_did_before_is_one_click_away(pat: Staff, number: Sender, rows: Rows) -> None:
    path = f"{HOME}/numbers/{number.id}"
    for words in ("One.", "Two.", "Two."):
        said = {"handler": "play_message", "play_message.say": words}
        pat.send(f"{path}/voice", seen_at=path, **said)
    _signed_in, first, second = rows.all(select(AuditEntry).order_by(AuditEntry.id))
    assert second.details["said"] == "Says “Two.”"
    pat.send(f"{path}/voice/restore/{first.id}", seen_at=path)
    assert rows.one(Route).options["say"] == "One."
    page = pat.http.get(path).text
    assert page.count(">in use<") == 1, "said twice, but what the number does now is one of them"
    assert page.index(">in use<") < page.index("Use it again: Says “Two.”")
    token = pat.token(path)
    for wrong in (f"{path}/sms/restore/{first.id}", f"{path}/voice/restore/999"):
        assert pat.http.post(wrong, data={"csrf_token": token}).status_code == 404


def test_support_sees_who_asks_for_twilio(
    staff: Staff, registrar: Client, rows: Rows, add_person: AddPerson
) -> None:
    rows.change(update(Client).values(twilio_enabled=False))
    asked = TwilioRequest(client_id=registrar.id, requested_by="pat@example.edu", reason="Snow")
    rows.add(asked)
    add_person("help@example.edu", support=True)
    staff.sign_in("help@example.edu")
    page = staff.http.get("/staff/clients").text
    assert "pat@example.edu asks for Twilio: Snow" in page
    assert "Twilio not enabled" in page


def test_a_verification_that_cannot_begin_says_why(pat: Staff, number: Sender) -> None:
    path = f"{HOME}/verifications/new"
    for phone, said in (("12", "digits"), ("+13195550100", "needs no verification")):
        answer = pat.send(f"{HOME}/verifications", seen_at=path, phone=phone)
        assert (answer.status_code, said in answer.text) == (422, True), answer.text
    answer = pat.send(f"{HOME}/verifications", seen_at=path, phone="319-335-0000")
    assert "Twilio was not asked to call." in answer.text, "nobody listens at Twilio's address"


def test_nobody_is_called_before_twilio_is_enabled(pat: Staff, rows: Rows) -> None:
    rows.change(update(Client).values(twilio_enabled=False))
    path = f"{HOME}/verifications/new"
    answer = pat.send(f"{HOME}/verifications", seen_at=path, phone="319-335-0000")
    assert (answer.status_code, "Ask for it under Settings" in answer.text) == (422, True)
    assert rows.count(Verification) == 0
