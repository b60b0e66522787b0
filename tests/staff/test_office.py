"""Keys, credentials, settings, usage and history: who may do what, and nothing secret shown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.domain.clients.usage import month_of
from app.models.base import utcnow
from app.models.client import Client
from app.models.communication import Callback
from app.models.credential import ApiKey, Credential, SavedCredential, Scope
from app.models.delivery import Delivery
from app.models.house import AuditEntry, Usage
from app.models.number import TwilioRequest
from app.models.user import Role, User
from app.staff.office.usage import chart, months_until
from tests.staff.conftest import OF_CLIENTS, Staff
from tests.support.departments import Department, department
from tests.support.rows import Rows

HOME = "/staff/clients/registrar"
TOKEN = "a-secret-that-nobody-may-see"


@pytest.fixture
def ours(rows: Rows) -> Department:
    return department(rows, "registrar", "11")


@pytest.fixture
def someone(app: Flask, ours: Department, add_person: Callable[..., User]) -> Callable[..., Staff]:
    def sign_in(email: str, role: Role = Role.OWNER, support: bool = False) -> Staff:
        add_person(email, *([] if support else [ours.client]), role=role, support=support)
        person = Staff(app.test_client())
        person.sign_in(email)
        return person

    return sign_in


@pytest.fixture
def pat(someone: Callable[..., Staff]) -> Staff:
    return someone("pat@example.edu")


@pytest.fixture
def kim(someone: Callable[..., Staff]) -> Staff:
    return someone("kim@example.edu", Role.STAFF)


@pytest.fixture
def support(someone: Callable[..., Staff]) -> Staff:
    return someone("help@example.edu", support=True)


def test_a_key_is_made_shown_once_and_works(pat: Staff, ours: Department, rows: Rows) -> None:
    page = pat.send(f"{HOME}/keys", label="crm", scope="read", expires="2099-12-31").text
    made = rows.one(select(ApiKey).where(ApiKey.label == "crm"))
    key = page.split('value="')[-1].split('"')[0]
    assert hashlib.sha256(key.encode()).hexdigest() == made.key_sha256
    assert len(key) >= 32
    assert (made.scope, made.expires_at) == (Scope.READ, datetime(2100, 1, 1, 6, tzinfo=UTC))
    assert key not in pat.http.get(f"{HOME}/keys").text
    headers = {"x-dispatch-api-key": key}
    assert pat.http.get("/api/v1/client", headers=headers).status_code == 200
    pat.send(f"{HOME}/keys/{made.id}/revoke", seen_at=f"{HOME}/keys")
    assert pat.http.get("/api/v1/client", headers=headers).status_code == 401
    assert "Revoked" in pat.http.get(f"{HOME}/keys").text


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"label": ""}, "must not be empty"), ({"label": "sis"}, "already"),
     ({"scope": "all"}, "must be one of"), ({"expires": "2020-01-01"}, "has passed"),
     ({"expires": "soon"}, "Choose a day")],
    ids=["no label", "taken", "no scope", "past", "no day"],
)  # fmt: skip
def test_a_useless_key_is_refused(
    pat: Staff, rows: Rows, changes: dict[str, str], said: str
) -> None:
    answer = pat.send(f"{HOME}/keys", **{"label": "crm", "scope": "send"} | changes)
    assert answer.status_code == 422
    assert said in answer.text
    assert rows.count(ApiKey) == 1


ACCOUNT = {
    "name": "second", "account_sid": "AC" + "2" * 32, "auth_token": TOKEN,
    "api_key_sid": "SK" + "2" * 32, "api_key_secret": TOKEN + "2", "calls_per_second": "2",
}  # fmt: skip


def test_a_credential_is_written_but_never_read(pat: Staff, rows: Rows) -> None:
    answer = pat.send(f"{HOME}/credentials/new", **ACCOUNT)
    path = answer.headers["Location"]
    pages = pat.http.get(path).text + pat.http.get(f"{HOME}/credentials").text
    assert "AC" + "2" * 32 in pages
    assert TOKEN not in pages
    pat.send(path, **ACCOUNT | {"auth_token": "", "api_key_secret": "", "next_auth_token": "new"})
    kept = rows.one(select(Credential).where(Credential.name == "second"))
    assert (kept.auth_token, kept.next_auth_token) == (TOKEN, "new")
    assert kept.api_key_secret == TOKEN + "2"
    pat.send(f"{path}/finish", seen_at=path)
    kept = rows.one(select(Credential).where(Credential.name == "second"))
    assert kept.tokens == ("new",)
    pat.send(path, **ACCOUNT | {"auth_token": "", "webhook_key": "one", "next_webhook_key": "two"})
    kept = rows.one(select(Credential).where(Credential.name == "second"))
    assert kept.tokens == ("new", "one", "two")
    pat.send(f"{path}/finish", seen_at=path)
    kept = rows.one(select(Credential).where(Credential.name == "second"))
    assert kept.tokens == ("new", "two")
    history = pat.http.get(f"{HOME}/history").text
    assert "ended the old token of credential second" in history
    assert TOKEN not in history
    pat.send(f"{path}/delete", seen_at=path)
    assert rows.count(Credential) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"account_sid": "nonsense"}, "32 hexadecimal digits"), ({"name": "main"}, "already"),
     ({"api_key_secret": ""}, "belong together"), ({"calls_per_second": "0"}, "0.01"),
     ({"auth_token": ""}, "required")],
    ids=["no account", "taken", "half a key", "no pace", "no token"],
)  # fmt: skip
def test_a_broken_credential_is_refused(
    pat: Staff, rows: Rows, changes: dict[str, str], said: str
) -> None:
    answer = pat.send(f"{HOME}/credentials/new", **ACCOUNT | changes)
    assert answer.status_code == 422
    assert said in answer.text
    assert TOKEN not in answer.text
    assert rows.count(Credential) == 1


def test_a_stopped_account_goes_on_and_one_in_use_stays(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    rows.change(update(Credential).values(stopped_at=utcnow(), stopped_reason="No such password."))
    path = f"{HOME}/credentials/{ours.credential.id}"
    assert "No such password." in pat.http.get(path).text
    pat.send(f"{path}/mended", seen_at=path)
    assert rows.one(Credential).stopped_at is None
    answer = pat.send(f"{path}/delete", seen_at=path)
    assert "is used by" in pat.http.get(answer.headers["Location"]).text


def test_a_log_in_is_saved_and_its_password_stays(pat: Staff, rows: Rows) -> None:
    path = f"{HOME}/saved-credentials/new"
    pat.send(path, name="legacy", username="dispatch", password=TOKEN)
    saved = rows.one(SavedCredential)
    path = f"{HOME}/saved-credentials/{saved.id}"
    assert TOKEN not in pat.http.get(path).text
    pat.send(path, name="old", username="dispatch", password="")
    saved = rows.one(SavedCredential)
    assert (saved.name, saved.password) == ("old", TOKEN)
    assert pat.send(path, name="old", username="a:b").status_code == 422
    pat.send(f"{path}/delete", seen_at=path)
    assert rows.count(SavedCredential) == 0


def test_staff_see_no_credentials_and_change_nothing_of_owners(
    kim: Staff, ours: Department, rows: Rows
) -> None:
    home = kim.http.get(f"{HOME}/").text
    assert f"{HOME}/credentials" not in home
    assert "New key" not in kim.http.get(f"{HOME}/keys").text
    for path in ("credentials", f"credentials/{ours.credential.id}", "saved-credentials/new"):
        assert kim.http.get(f"{HOME}/{path}").status_code == 403
    key = rows.one(ApiKey)
    for path in ("keys", f"keys/{key.id}/revoke", "credentials/new", "settings",
                 f"credentials/{ours.credential.id}/finish"):  # fmt: skip
        assert kim.send(f"{HOME}/{path}", seen_at="/staff/account").status_code == 403
    assert rows.one(ApiKey).revoked_at is None


SETTINGS = {
    "owner_email": "boss@example.edu", "time_zone": "America/New_York", "quiet_from": "22:00",
    "quiet_to": "07:00", "retention_days": "30", "alert_segments": "5000",
    "alert_call_minutes": "", "callback-message_status": "endpoint:sis",
    "recipient_from": "09:00", "recipient_to": "20:00", "approval_above": "200",
    "line_type_lookup": "on",
}  # fmt: skip


def test_owners_set_up_their_client(pat: Staff, ours: Department, rows: Rows) -> None:
    pat.send(f"{HOME}/settings", **SETTINGS)
    client = rows.one(Client)
    assert (client.owner_email, client.time_zone) == ("boss@example.edu", "America/New_York")
    assert (client.quiet_from, client.quiet_to) == ("22:00", "07:00")
    assert (client.recipient_from, client.recipient_to) == ("09:00", "20:00")
    assert (client.approval_above, client.line_type_lookup) == (200, True)
    assert (client.retention_days, client.alert_segments) == (30, 5000)
    assert client.twilio_enabled
    assert rows.one(Callback).endpoint_id == ours.endpoint.id
    details = [
        entry.details for entry in rows.all(OF_CLIENTS) if entry.target == "client registrar"
    ]
    assert details[0]["retention_days"] == [45, 30]
    pat.send(f"{HOME}/settings", **SETTINGS | {"quiet_from": "", "quiet_to": "",
                                               "callback-message_status": ""})  # fmt: skip
    assert rows.one(Client).quiet_from is None
    assert rows.count(Callback) == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"owner_email": "nobody"}, "not an e-mail address"), ({"time_zone": "Iowa"}, "no time zone"),
     ({"quiet_to": ""}, "no time of day"), ({"quiet_to": "22:00"}, "are the same"),
     ({"recipient_to": "09:00"}, "are the same"), ({"recipient_from": ""}, "no time of day"),
     ({"approval_above": "some"}, "whole number"),
     ({"retention_days": "0"}, "1 or more"), ({"alert_segments": "many"}, "whole number"),
     ({"callback-complete": "url"}, "The end of a batch")],
    ids=["mail", "zone", "half quiet", "no quiet", "no hours", "half hours",
         "no people", "days", "no number", "callback"],
)  # fmt: skip
def test_a_wrong_setting_is_refused_and_nothing_saved(
    pat: Staff, rows: Rows, changes: dict[str, str], said: str
) -> None:
    answer = pat.send(f"{HOME}/settings", **SETTINGS | changes)
    assert answer.status_code == 422
    assert said in answer.text
    assert rows.one(Client).owner_email == "registrar@example.edu"


def test_only_support_enables_twilio_and_stops_all_sending(
    pat: Staff, support: Staff, rows: Rows
) -> None:
    rows.change(update(Client).values(twilio_enabled=False))
    pat.send(f"{HOME}/settings/twilio", seen_at=f"{HOME}/settings", reason="Snow days")
    assert rows.one(TwilioRequest).reason == "Snow days"
    assert "asked support for it" in pat.http.get(f"{HOME}/settings").text
    assert "Support only" not in pat.http.get(f"{HOME}/settings").text
    for path in ("support", "sending"):
        answer = pat.send(f"{HOME}/settings/{path}", seen_at="/staff/account", do="halt")
        assert answer.status_code == 403
    assert "Snow days" in support.http.get(f"{HOME}/settings").text
    support.send(
        f"{HOME}/settings/support", seen_at=f"{HOME}/settings", twilio_enabled="on", trial="on",
        allow_list="(319) 555-0142\n\n+13195550143\n",
        denied_networks="10.20.0.0/16\r\n\r\n::ffff:10.30.0.0/112\r\n",
    )  # fmt: skip
    client = rows.one(Client)
    assert (client.twilio_enabled, client.trial, client.international) == (True, True, False)
    assert client.allow_list == ["+13195550142", "+13195550143"]
    assert client.denied_networks == ["10.20.0.0/16", "10.30.0.0/16"]
    assert rows.one(TwilioRequest).granted_by == "help@example.edu"
    assert rows.count(Delivery) >= 1
    support.send(f"{HOME}/settings/sending", seen_at=f"{HOME}/settings", do="halt")
    assert rows.one(Client).halted_at is not None
    assert "Support stopped all sending" in pat.http.get(f"{HOME}/settings").text
    support.send(f"{HOME}/settings/sending", seen_at=f"{HOME}/settings", do="resume")
    assert rows.one(Client).halted_at is None
    wrong = support.send(f"{HOME}/settings/support", seen_at=f"{HOME}/settings", allow_list="12")
    assert wrong.status_code == 422
    for text in ("10.20.0.1/16", "campus", "10.20.0.0/33", "[", "1" * 70):
        wrong = support.send(
            f"{HOME}/settings/support", seen_at=f"{HOME}/settings", denied_networks=text
        )
        assert wrong.status_code == 422
        assert "Closed networks" in wrong.text
    assert rows.one(Client).denied_networks == ["10.20.0.0/16", "10.30.0.0/16"]


def test_owners_list_where_calls_may_go_on(pat: Staff, rows: Rows) -> None:
    here = f"{HOME}/settings"
    known = {"owner_email": "pat@example.edu", "time_zone": "UTC", "retention_days": "45"}
    pat.send(here, seen_at=here, **known, twiml_hosts="IVR.example.edu\r\n bücher.example:8443",
             sip_domains="pbx.example.edu.")  # fmt: skip
    client = rows.one(Client)
    assert client.twiml_hosts == ["ivr.example.edu", "xn--bcher-kva.example:8443"]
    assert client.sip_domains == ["pbx.example.edu"]
    assert "ivr.example.edu\nxn--bcher-kva.example:8443</textarea>" in pat.http.get(here).text
    for name, typed in (
        ("twiml_hosts", "https://evil.test/"),
        ("twiml_hosts", "*"),
        ("sip_domains", "sip:a@evil.test"),
        ("sip_domains", "evil.test:5060"),
    ):
        answer = pat.send(here, seen_at=here, **known, **{name: typed})
        assert answer.status_code == 422
        assert "is not the name of a host" in answer.text
    assert rows.one(Client).sip_domains == ["pbx.example.edu"]


def test_support_sets_limits_which_owners_see(pat: Staff, support: Staff, rows: Rows) -> None:
    shown = pat.http.get(f"{HOME}/settings").text
    assert "At most 10000 segments of texts an hour" in shown
    assert 'name="segments_per_hour"' not in shown
    support.send(
        f"{HOME}/settings/support", seen_at=f"{HOME}/settings", twilio_enabled="on",
        segments_per_hour="7", segments_per_day="", call_minutes_per_hour="90",
    )  # fmt: skip
    client = rows.one(Client)
    assert (client.limit_segments_hour, client.limit_segments_day) == (7, None)
    assert (client.limit_minutes_hour, client.limit_minutes_day) == (90, 3000)  # one left out stays
    shown = pat.http.get(f"{HOME}/settings").text
    assert "At most 7 segments of texts an hour" in shown
    assert "No limit: segments of texts a day" in shown
    for wrong in ("0", "-1", "1.5", "many", "9" * 12):
        answer = support.send(
            f"{HOME}/settings/support", seen_at=f"{HOME}/settings", twilio_enabled="on",
            segments_per_hour=wrong,
        )  # fmt: skip
        assert answer.status_code == 422
        assert "At most, segments of texts an hour" in answer.text
        assert f'value="{wrong}"' in answer.text
    assert rows.one(Client).limit_segments_hour == 7


def test_an_owner_lets_a_threshold_halt(pat: Staff, rows: Rows) -> None:
    pat.send(f"{HOME}/settings", **SETTINGS | {"alert_segments": "100", "alert_halts": "on"})
    assert rows.one(Client).alert_halts
    pat.send(f"{HOME}/settings", **SETTINGS | {"alert_segments": "100"})
    assert not rows.one(Client).alert_halts


def test_usage_is_drawn_against_the_threshold(pat: Staff, ours: Department, rows: Rows) -> None:
    rows.change(update(Client).values(alert_segments=1000))
    values: dict[str, Any] = {"client_id": ours.client.id, "month": month_of(utcnow())}
    rows.add(Usage(**values, segments_in=400, segments_out=900, messages_out=800, price=12.5))
    page = pat.http.get(f"{HOME}/usage").text
    assert "1,300" in page
    assert "130 % of 1,000" in page
    assert 'class="over"' in page
    assert "stroke-dasharray" in page
    assert 'style="' not in page


SCALES = {
    "no threshold": (None, 100, None),
    "one that was passed": (50, 100, 220 * (1 - 50 / 105)),
    "one that is near": (150, 150, 220 * (1 - 150 / 157.5)),
    "one far above": (10_000, 100, None),
}


@pytest.mark.parametrize(("threshold", "reaches", "line"), SCALES.values(), ids=SCALES)
def test_a_chart_is_scaled_to_what_is_there(
    threshold: int | None, reaches: int, line: float | None
) -> None:
    drawn = chart([("Oct", (0, 0)), ("Nov", (40, 60))], threshold)
    assert [bar.value for bar in drawn.bars] == [0, 100]
    low, high = drawn.bars[1].parts
    assert (low.height, high.height) == (
        pytest.approx(220 * 40 / (reaches * 1.05), abs=0.1),
        pytest.approx(220 * 60 / (reaches * 1.05), abs=0.1),
    )
    assert low.y == pytest.approx(220 - low.height, abs=0.1)
    assert high.y == pytest.approx(low.y - high.height, abs=0.2)
    assert drawn.threshold_y == (None if line is None else pytest.approx(line, abs=0.1))
    assert months_until("2026-03")[::11] == ["2025-04", "2026-03"]


def test_figures_stand_above_the_bars_and_in_beside_out(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    rows.add(
        Usage(
            client_id=ours.client.id, month=month_of(utcnow()), segments_in=340, segments_out=900,
            messages_in=300, messages_out=800, call_minutes=7,
        )
    )  # fmt: skip
    page = pat.http.get(f"{HOME}/usage").text
    assert ">1.2k</text>" in page
    assert ">7</text>" in page
    assert "(340 in, 900 out)" in page
    assert "segments, 340 in and 900 out" in page


def test_history_is_read_page_by_page_and_searched(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    other = department(rows, "bursar", "77")
    rows.add(
        *[
            AuditEntry(
                client_id=ours.client.id, actor="lee@example.edu", action="save",
                target=f"thing {n:02}", at=utcnow() - timedelta(days=1),
                details={"note": "<script>alert(1)</script>"},
            )
            for n in range(60)
        ],
        AuditEntry(client_id=other.client.id, actor="x", action="save", target="their secret"),
    )  # fmt: skip
    first = pat.http.get(f"{HOME}/history").text
    assert first.count('data-label="Who"') == 50
    assert "<script>alert" not in first
    assert "their secret" not in first
    older = first.split("before=")[1].split('"')[0]
    assert pat.http.get(f"{HOME}/history?before={older}").text.count('data-label="Who"') == 10
    assert pat.http.get(f"{HOME}/history?q=THING+07").text.count('data-label="Who"') == 1


BATCH = "01M8MCX9PN3AZ7JZQPWD5ZRB8S"
IN_WORDS: dict[str, tuple[tuple[str, str, dict[str, Any]], str]] = {
    "a start": (
        ("start", "batch of closing", {"batch": BATCH}), "started batch of closing the run",
    ),
    "a pause": (("paused", f"batch {BATCH}", {}), "paused a run –"),
    "a route by file": (
        ("create", "route +13195550100 voice", {"route": "Says “Hi”."}),
        "created what (319) 555-0100 does with calls Says “Hi”.",
    ),
    "a route by hand": (
        ("save", "sms of +13195550100", {"route": {"handler": "auto_reply"}, "said": "Answers."}),
        "saved what (319) 555-0100 does with texts Answers.",
    ),
    "sent again": (
        ("send again", f"message {BATCH}", {"sentAgainAs": BATCH}),
        "sent again a text or call what was sent in its place",
    ),
    "a change": (
        ("change", "client registrar", {"retention_days": [45, 30], "trial": True}),
        "changed client registrar retention days 45 → 30 trial yes",
    ),
    "read": (("read", "conversation with +13195550110", {}), "conversation with (319) 555-0110"),
}  # fmt: skip


@pytest.mark.parametrize(("entry", "words"), IN_WORDS.values(), ids=IN_WORDS)
def test_history_has_neither_ids_nor_machine_words(
    entry: tuple[str, str, dict[str, Any]], words: str, pat: Staff, ours: Department, rows: Rows
) -> None:
    action, target, details = entry
    rows.add(
        AuditEntry(
            client_id=ours.client.id, actor="flask apply", action=action, target=target,
            details=details,
        )
    )  # fmt: skip
    page = pat.http.get(f"{HOME}/history").text.split("<tbody>")[1].split("</tbody>")[0]
    told = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))
    assert words in told
    assert "support (configuration file)" in told
    assert BATCH not in told


def test_history_is_found_by_a_phone_as_it_is_shown(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    values = {"client_id": ours.client.id, "actor": "pat", "action": "read"}
    rows.add(AuditEntry(**values, target="conversation with +13195550110"))
    page = pat.http.get(f"{HOME}/history", query_string={"q": "(319) 555-0110"}).text
    assert page.count('data-label="Who"') == 1


def test_another_clients_secrets_do_not_exist(pat: Staff, rows: Rows) -> None:
    theirs = department(rows, "bursar", "77")
    key = rows.one(select(ApiKey).where(ApiKey.client_id == theirs.client.id))
    assert pat.http.get(f"{HOME}/credentials/{theirs.credential.id}").status_code == 404
    answer = pat.send(f"{HOME}/keys/{key.id}/revoke", seen_at="/staff/account")
    assert answer.status_code == 404
    assert pat.http.get("/staff/clients/bursar/settings").status_code == 404
