"""Breaking the staff pages: hostile words in every column, every form, every address."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import JSON, Enum, String, Text, inspect, select

from app.extensions import Base, db
from app.models.base import utcnow
from app.models.batch import Batch, BatchState
from app.models.delivery import AttemptTrigger, Delivery, DeliveryAttempt, DeliveryState, EventType
from app.models.house import AuditEntry
from app.models.incoming import Incoming, Outcome
from app.models.link import Link
from app.models.media import Media, MediaSource, Recording
from app.models.message import Message, MessageReport, MessageState
from app.models.route import Destination
from app.models.suppression import SuppressionEntry, SuppressionSource
from app.models.user import User
from app.models.voicemail import TranscriptionState, Voicemail, VoicemailState
from tests.staff.conftest import Staff
from tests.staff.test_everybody import everything_of, keys_of, paths, rules
from tests.support.departments import Department, department
from tests.support.forms import Form, families, forms
from tests.support.rows import Rows

HOME = "/staff/clients/registrar"
MARKUP = "<img src=x onerror=alert(1)>"
QUOTES = '" onmouseover="alert(2)" x=\''
HOSTILE = MARKUP + QUOTES
AddPerson = Callable[..., User]


@pytest.fixture
def ours(rows: Rows) -> Department:
    return department(rows, "registrar", "11")


@pytest.fixture
def pat(app: Flask, ours: Department, add_person: AddPerson) -> Staff:
    add_person("pat@example.edu", ours.client)
    pat = Staff(app.test_client())
    pat.sign_in("pat@example.edu")
    return pat


def fill(rows: Rows, ours: Department) -> None:
    """Write one of each thing that comes and goes."""
    own = {"client_id": ours.client.id}
    sent = {"sender_id": ours.number.id, "destination": Destination.SMS}
    now = utcnow()
    batch = Batch(
        **own,
        communication_id=ours.texts.id,
        state=BatchState.PAUSED,
        total=1,
        plan={},
        created_by="pat",
        scheduled_at=now,
        lane_key="x",
        reason="why",
    )
    media = Media(
        **own,
        source=MediaSource.STORED,
        content_type="audio/mpeg",
        filename="a.mp3",
        size=1,
        content=b"x",
    )
    rows.add(batch, media)
    message = Message(
        **own,
        **sent,
        credential_id=ours.credential.id,
        to="+13195550150",
        from_="+13195550111",
        body="Hello",
        media=["https://example.edu/a.png"],
        member={"toName": "Ann", "other": "x"},
        batch_id=batch.id,
        communication_id=ours.texts.id,
        position=0,
        error_message="why",
        state=MessageState.FAILED,
    )
    incoming = Incoming(
        **own,
        **sent,
        sid="SM1",
        from_="+13195550150",
        to="+13195550111",
        body="Hi",
        outcome=Outcome.FAILED,
        error="why",
        parameters={"FromCity": "IOWA CITY"},
    )
    rows.add(message, incoming, Recording(**own, name="closed", media_code=media.code, sha256="0"))
    call = Incoming(
        **own,
        **{**sent, "destination": Destination.VOICE},
        sid="CA1",
        from_="+13195550150",
        to="+13195550111",
        outcome=Outcome.PLAYED,
    )
    rows.add(call)
    rows.add(
        Voicemail(
            **own,
            incoming_id=call.id,
            recording_sid="RE1",
            state=VoicemailState.LOST,
            error="why",
            path=["1"],
            transcription_state=TranscriptionState.DONE,
            transcription="said",
            language="en",
        )
    )
    delivery = Delivery(
        **own,
        endpoint_id=ours.endpoint.id,
        type=EventType.MESSAGE_STATUS,
        sequence=1,
        occurred_at=now,
        body='{"a": 1}',
        give_up_at=now + timedelta(days=1),
        state=DeliveryState.PENDING,
        failures=1,
        next_attempt_at=now,
        last_error="why",
        message_id=message.id,
        incoming_id=incoming.id,
        requested_by="pat",
    )
    rows.add(delivery)
    rows.add(
        DeliveryAttempt(
            delivery_id=delivery.id,
            endpoint_id=ours.endpoint.id,
            number=1,
            status=500,
            trigger=AttemptTrigger.MANUAL,
            requested_by="pat",
            started_at=now,
            duration_ms=1,
            url="https://x/",
            address="1.2.3.4",
            error="connection",
            detail="why",
            request_headers={"a": "b"},
            response_headers={"c": "d"},
            response_body="e",
        ),
        MessageReport(message_id=message.id, status="failed", source="callback", details={"a": 1}),
        Link(**own, code="abcdefghij", message_id=message.id, url="https://example.edu/"),
        SuppressionEntry(
            list_id=ours.suppression.id,
            phone="+13195550150",
            since=now,
            source=SuppressionSource.MANUAL,
        ),
        AuditEntry(**own, actor="pat", action="save", target="x", details={"a": ["b", "c"]}),
    )


KEPT = {
    ("client", "name"), ("client", "time_zone"), ("user", "email"), ("user", "password_hash"),
    ("campaign", "options"), ("batch", "plan"), ("message", "options"), ("route", "options"),
    ("delivery", "context"), ("template_version", "body"), ("communication", "callbacks"),
    ("client", "quiet_from"), ("client", "quiet_to"), ("usage", "month"), ("sender", "twilio_sid"),
    ("client", "recipient_from"), ("client", "recipient_to"),
    ("client", "denied_networks"), ("route", "place"),
    ("member", "roll"), ("population", "roll"),
    ("hours", "week"), ("hours", "dates"), ("hours", "holidays"),
}  # fmt: skip
"""Columns that nobody writes freely: they are checked when they are written."""


def poison(app: Flask) -> int:
    """Add hostile words to every column that people, phones or systems fill; return how many."""
    count = 0
    with app.app_context(), db.engine.begin() as connection:
        for table in Base.metadata.sorted_tables:
            for column in table.columns:
                if column.primary_key or column.foreign_keys or (table.name, column.name) in KEPT:
                    continue
                worse: Any
                if isinstance(column.type, JSON):
                    worse = _worse(table.name, column.name)
                elif isinstance(column.type, String | Text) and not isinstance(column.type, Enum):
                    worse = column + HOSTILE
                else:
                    continue
                connection.execute(
                    table.update().where(column.is_not(None)).values({column: worse})
                )
                count += 1
    return count


def _worse(table: str, column: str) -> Any:
    if column == "media":
        return (
            [{"url": HOSTILE, "contentType": HOSTILE, "code": HOSTILE}]
            if table == "incoming"
            else [HOSTILE]
        )
    if column in ("allow_list", "details"):
        return [HOSTILE] if column == "allow_list" else {HOSTILE: [HOSTILE, HOSTILE]}
    return {HOSTILE: HOSTILE, "toName": HOSTILE, "toPhone": HOSTILE, "toAddress": HOSTILE}


@pytest.mark.database("sqlite")
def test_what_strangers_wrote_is_never_markup(
    app: Flask, rows: Rows, ours: Department, pat: Staff
) -> None:
    fill(rows, ours)
    assert poison(app) > 60
    with app.app_context():
        members = [
            str(inspect(row).identity[0])
            for mapper in Base.registry.mappers
            for row in db.session.scalars(select(mapper.class_))
        ]
    shown = ""
    for rule, method in rules(app):
        if method == "GET" and rule.endpoint != "staff.accept_invitation":
            for path in dict.fromkeys(paths(rule, ["registrar"], members)):
                answer = pat.http.get(path)
                assert answer.status_code < 500, path
                if answer.mimetype == "text/html":
                    page = answer.get_data(as_text=True)
                    assert "<img src=x" not in page, path
                    assert '" onmouseover="' not in page, path
                    shown += page
    assert shown.count("&lt;img src=x onerror=alert(1)&gt;") > 100


def own_forms(app: Flask, pat: Staff, ours: Department) -> list[Form]:
    """Return every form that the client's pages show, once."""
    found = {}
    keys = keys_of(app, ours.client)
    for rule, method in rules(app):
        if method == "GET" and rule.endpoint.startswith("client."):
            for path in dict.fromkeys(paths(rule, ["registrar"], keys)):
                for form in forms(path, pat.http.get(path).get_data(as_text=True)):
                    if form.method == "post" and not form.action.endswith(("/delete", "/logout")):
                        found[form.action, *sorted(form.fields)] = form
    return list(found.values())


@pytest.mark.database("sqlite")
@pytest.mark.timeout(240)  # some thousand forms
def test_no_form_takes_another_clients_things(
    app: Flask, rows: Rows, ours: Department, pat: Staff
) -> None:
    """Each choice of each form is sent with another client's ids and names."""
    zebra = department(rows, "zebra", "77")
    for thing in ("endpoint", "population", "suppression", "reply", "reminder", "closing"):
        model = type(getattr(zebra, thing))
        own = {"name": f"zebra-{thing}"}
        rows.change(
            model.__table__.update()
            .where(model.__table__.c.id == getattr(zebra, thing).id)
            .values(own)
        )
    before = everything_of(app, zebra.client)
    theirs = keys_of(app, zebra.client)
    names = [f"zebra-{one}" for one in ("endpoint", "population", "suppression", "reply")]
    token = pat.token("/staff/account")
    for form in own_forms(app, pat, ours):
        choices = form.selects | ({"scope", "held"} & set(form.fields))
        for name in {one[0] for one in families(form) if one[0] in choices}:
            for value in [*theirs, *names]:
                fields = {**form.fields, name: value, "csrf_token": token}
                answer = pat.http.post(form.action, data=fields)
                assert answer.status_code < 500, (form.action, name)
    assert everything_of(app, zebra.client) == before
    for table, rows_of in everything_of(app, ours.client).items():
        assert not [row for row in rows_of for key in theirs if key in row], table


WORDS = {
    "a number": "9" * 30,
    "the first day": "0001-01-01T00:00",
    "the last day": "9999-12-31T23:59",
    "no address": "https://[::1",
    "a script": "javascript:alert(1)",
    "markup": HOSTILE,
}


@pytest.mark.timeout(240)  # some thousand forms
@pytest.mark.database("postgresql")  # the stricter one: it refuses what does not fit a column
@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_no_form_fails_whatever_is_typed(
    app: Flask, ours: Department, pat: Staff, word: str
) -> None:
    token = pat.token("/staff/account")
    for form in own_forms(app, pat, ours):
        fields = dict.fromkeys(form.fields, word)
        for typed in (fields, *({**form.fields, one[0]: word} for one in families(form))):
            answer = pat.http.post(form.action, data={**typed, "csrf_token": token})
            page = answer.get_data(as_text=True)
            assert answer.status_code < 500, (form.action, typed)
            assert 'href="javascript:' not in page, form.action
            assert "<img src=x" not in page, form.action


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/keys", {"label": "sis", "scope": "read", "expires": "9999-12-31"}),
        (
            "/endpoints/{endpoint}/replay",
            {"since": "0001-01-01T00:00", "until": "9999-12-31T23:59"},
        ),
        ("/communications/{texts}/start", {"when": "later", "at": "9999-12-31T23:59", "runs": "0"}),
    ],
    ids=["a key's end", "a range", "a start"],
)
def test_times_at_the_ends_of_the_calendar_are_refused(
    pat: Staff, ours: Department, path: str, fields: dict[str, str]
) -> None:
    where = HOME + path.format(endpoint=ours.endpoint.id, texts=ours.texts.id)
    assert pat.send(where, seen_at="/staff/account", **fields).status_code == 422


@pytest.mark.parametrize("path", ["/templates/{0}/restore/{1}", "/populations/{2}/people/{1}"])
def test_numbers_too_large_for_any_table_are_not_found(
    pat: Staff, ours: Department, path: str
) -> None:
    filled = path.format(ours.reply.id, "9" * 30, ours.population.id)
    answer = pat.send(HOME + filled, seen_at="/staff/account")
    assert answer.status_code in (302, 404, 422)


@pytest.mark.parametrize(
    "wanted",
    ["/staff/%0d%0aX-Evil: yes", "/staff/%09//evil.example", "/staff/..//evil.example/",
     "/staff/%5cevil.example", "//evil.example", "https:/staff/", "/%2fstaff/"],
)  # fmt: skip
def test_sign_in_never_leads_elsewhere(
    app: Flask, ours: Department, add_person: AddPerson, wanted: str
) -> None:
    add_person("kim@example.edu", ours.client)
    kim = Staff(app.test_client())
    token = kim.token("/staff/login")
    fields = {"csrf_token": token, "email": "kim@example.edu", "password": "four plain words here"}
    answer = kim.http.post(f"/staff/login?next={wanted}", data=fields)
    assert answer.status_code == 302
    assert re.match(r"/staff/(?!.*[\\\r\n\t])", answer.headers["Location"])
    assert "X-Evil" not in answer.headers


def test_no_other_host_of_the_institution_can_plant_a_session(pat: Staff, ours: Department) -> None:
    """A cookie called __Host-… is taken from this very host only, over https (RFC 6265bis)."""
    answer = pat.send("/staff/account/sessions", seen_at="/staff/account")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-dispatch_session=")
    for part in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
        assert part in cookie
    assert "Domain" not in cookie


def test_a_password_is_not_guessed_from_within(pat: Staff, ours: Department) -> None:
    """Whoever finds a browser left open may not try passwords for ever."""
    fields = {"current": "wrong", "new": "another good password", "again": "another good password"}
    answers = [pat.send("/staff/account", **fields).status_code for _ in range(11)]
    assert answers == [422] * 10 + [429]


def test_links_are_asked_for_in_moderation(app: Flask, ours: Department) -> None:
    stranger = Staff(app.test_client())
    answers = {
        stranger.send("/staff/forgotten", email="x@example.edu").status_code for _ in range(20)
    }
    assert answers == {302}
    assert stranger.send("/staff/forgotten", email="x@example.edu").status_code == 429
