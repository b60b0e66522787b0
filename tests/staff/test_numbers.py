"""Routes: chosen, seen before they are saved, refused in sentences."""

from __future__ import annotations

from typing import get_args

import pytest
from markupsafe import escape
from sqlalchemy import update

from app.domain.routing.handlers import offered
from app.domain.routing.handlers.base import Shown, note, own_fields
from app.models.client import Client
from app.models.credential import Credential
from app.models.media import Media, MediaSource, Recording
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender, SenderKind
from app.models.template import Template, TemplateKind, TemplateVersion
from tests.staff.conftest import OF_CLIENTS, Staff
from tests.support.forms import route_fields
from tests.support.rows import Rows

HOME = "/staff/clients/registrar"


@pytest.fixture(autouse=True)
def two_replies(rows: Rows, registrar: Client) -> None:
    for name in ("away", "hours"):
        template = Template(client_id=registrar.id, name=name, kind=TemplateKind.REPLY)
        rows.add(template)
        rows.add(
            TemplateVersion(
                template_id=template.id, number=1, body=f"The {name} text", created_by="x"
            )
        )


def save(staff: Staff, number: Sender, destination: str, **fields: object):
    path = f"{HOME}/numbers/{number.id}"
    data = {"csrf_token": staff.token(path), **route_fields(**fields)}
    return staff.http.post(f"{path}/{destination}", data=data)


def test_a_reply_with_keywords_is_chosen(pat: Staff, number: Sender, rows: Rows) -> None:
    answer = save(
        pat, number, "sms", handler="auto_reply", template="away",
        **{"keywords-match": ["hours", "", ""], "keywords-template": ["hours", "away", "away"]},
    )  # fmt: skip
    assert answer.status_code == 302
    route = rows.one(Route)
    assert (route.handler, route.updated_by) == (Handler.AUTO_REPLY, "pat@example.edu")
    assert [rule.match for rule in route.keywords] == ["HOURS"]
    page = pat.http.get(f"{HOME}/numbers").get_data(as_text=True)
    assert "Answers each text with the template “away”; HOURS with “hours”." in page
    assert rows.one(OF_CLIENTS).actor == "pat@example.edu"


def test_a_look_shows_sentence_and_twiml_and_saves_nothing(
    pat: Staff, number: Sender, rows: Rows
) -> None:
    answer = save(
        pat, number, "voice", handler="play_message", say="We are closed.", voice="Polly.Joanna",
        do="preview",
    )  # fmt: skip
    page = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert "Says “We are closed.”" in page
    assert "&lt;Say" in page
    assert "Polly.Joanna" in page
    assert rows.count(Route) == 0
    assert len(rows.all(OF_CLIENTS)) == 0


@pytest.mark.parametrize(
    ("destination", "fields", "said"),
    [
        ("sms", {"handler": "auto_reply"}, "“template” is required"),
        ("sms", {"handler": "auto_reply", "template": "gone"}, "gone"),
        ("sms", {"handler": "play_message", "say": "x"}, "Choose what is to be done"),
        ("sms", {"handler": "handle_yourself", "url": "http://example.com/"}, "https"),
        ("voice", {"handler": "play_message"}, "exactly one"),
        ("voice", {"handler": "call_forward", "to": "911"}, ""),
        ("voice", {"handler": "call_forward", "to": "+13195550100"}, "own"),
        ("voice", {"handler": "call_forward", "to": "+442079460000"}, ""),
        ("voice", {"handler": "call_forward", "to": "+13195550142", "timeout": "2"}, "5"),
        ("voice", {"handler": "play_message", "say": "x", "loop": "often"}, "whole number"),
    ],
    ids=[
        "no template", "unknown template", "handler of calls", "not https", "nothing to play",
        "emergency", "own number", "international", "too short", "no number",
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_in_words(
    pat: Staff, number: Sender, rows: Rows, destination: str, fields: dict[str, str], said: str
) -> None:
    answer = save(pat, number, destination, **fields)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422, page
    assert "Not saved yet" in page
    assert said in page
    assert rows.count(Route) == 0


def test_a_recording_is_played(pat: Staff, number: Sender, rows: Rows, registrar: Client) -> None:
    media = Media(
        client_id=registrar.id, source=MediaSource.STORED, content_type="audio/mpeg", size=3,
        content=b"ID3",
    )  # fmt: skip
    rows.add(media)
    rows.add(
        Recording(client_id=registrar.id, name="closed", media_code=media.code, sha256="0" * 64)
    )
    answer = save(pat, number, "voice", handler="play_message", recording="closed", do="preview")
    assert f"/media/{media.code}" in answer.get_data(as_text=True)


def test_nothing_is_a_choice_too(pat: Staff, number: Sender, rows: Rows) -> None:
    save(pat, number, "sms", handler="auto_reply", template="away")
    save(pat, number, "sms", handler="none")
    assert rows.count(Route) == 0


def test_a_verified_number_has_no_routes(
    pat: Staff, number: Sender, rows: Rows, registrar: Client
) -> None:
    verified = Sender(
        client_id=registrar.id, credential_id=number.credential_id, kind=SenderKind.VERIFIED,
        address="+13193350000", rate=1.0,
    )  # fmt: skip
    rows.add(verified)
    page = pat.http.get(f"{HOME}/numbers/{verified.id}").get_data(as_text=True)
    assert "for outgoing calls" in page
    assert 'name="handler"' not in page
    data = {"csrf_token": pat.token("/staff/account"), "handler": "none"}
    path = f"{HOME}/numbers/{verified.id}/{Destination.SMS.value}"
    assert pat.http.post(path, data=data).status_code == 404


def test_another_clients_number_does_not_exist(pat: Staff, number: Sender, rows: Rows) -> None:
    other = Client(name="bursar", owner_email="bursar@example.edu")
    rows.add(other)
    credential = Credential(
        client_id=other.id, name="main", account_sid="AC" + "1" * 32, auth_token="secret"
    )
    rows.add(credential)
    theirs = Sender(
        client_id=other.id, credential_id=credential.id, kind=SenderKind.TWILIO,
        address="+13195550177", rate=1.0,
    )  # fmt: skip
    rows.add(theirs)
    assert pat.http.get(f"{HOME}/numbers/{theirs.id}").status_code == 404
    data = {"csrf_token": pat.token("/staff/account"), "handler": "none"}
    assert pat.http.post(f"{HOME}/numbers/{theirs.id}/sms", data=data).status_code == 404
    assert "0177" not in pat.http.get(f"{HOME}/numbers").get_data(as_text=True)


def test_a_number_in_a_service_does_what_the_service_does(
    pat: Staff, number: Sender, rows: Rows, registrar: Client
) -> None:
    service = Sender(
        client_id=registrar.id, credential_id=number.credential_id, rate=1.0, name="outreach",
        kind=SenderKind.MESSAGING_SERVICE, address="MG" + "0" * 32,
    )  # fmt: skip
    rows.add(service)
    rows.change(update(Sender).where(Sender.id == number.id).values(service_id=service.id))
    save(pat, service, "sms", handler="auto_reply", template="away")
    page = pat.http.get(f"{HOME}/numbers").get_data(as_text=True)
    assert "As the messaging service “outreach”: Answers each text" in page


def test_the_form_has_every_field_of_every_handler(pat: Staff, number: Sender) -> None:
    page = pat.http.get(f"{HOME}/numbers/{number.id}").get_data(as_text=True)
    for destination in Destination:
        for spec in offered(destination):
            assert f'value="{spec.name()}"' in page
            assert spec.label in page
            for name, field in own_fields(spec):
                shown = note(field, Shown)
                assert shown is not None
                assert escape(shown.label) in page
                items = get_args(field.annotation) if shown.kind == "rows" else ()
                parts = {
                    "rows": [f"-{one}" for item in items for one, _ in own_fields(item)],
                    "route": ["-handler"],
                    "routes": ["-0-key", "-0-handler"],
                }.get(shown.kind, [""])
                inputs = [f"{name}{part}" for part in parts]
                named = [f'name="{spec.name()}.{one}"' for one in inputs]
                assert [one for one in named if one not in page] == []
