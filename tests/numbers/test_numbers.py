"""Numbers come into service, are checked and repaired, and go: the commands, at the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from click.testing import Result
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import select, text, update

from app.domain.provisioning import verifications
from app.domain.provisioning.caller_ids import GONE
from app.domain.reach import Refusal
from app.extensions import unit_of_work
from app.models.client import Client
from app.models.credential import Credential
from app.models.delivery import Delivery
from app.models.house import AuditEntry, SetAside
from app.models.number import TwilioRequest, Verification, VerificationState
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender, SenderKind, SenderType
from app.twilio.client import NotSent, TwilioClient
from app.twilio.transport import Transport
from sandbox.settings import ACCOUNT_SID, AUTH_TOKEN
from tests.support.our_calls import queued
from tests.support.rows import Rows
from tests.support.sandbox import Running, eventually

SMS = "http://127.0.0.1:{port}/inbound/sms"
VOICE = "http://127.0.0.1:{port}/inbound/voice"


@pytest.fixture
def flask(flask_command: FlaskCliRunner) -> Any:
    def run(*arguments: str, fails: bool = False, **more: Any) -> Result:
        result = flask_command.invoke(args=arguments, **more)
        assert (result.exit_code != 0) is fails, result.output + repr(result.exception)
        return result

    return run


def seen_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> list[tuple[str, str, dict[str, list[str] | str]]]:
    """Return what is asked of Twilio from now on: method, path and the parameters given."""
    seen: list[tuple[str, str, dict[str, Any]]] = []
    request = Transport.request

    def noting(self: Transport, method: str, url: str, **more: Any) -> Any:
        given = {**(more.get("params") or {}), **(more.get("data") or {})}
        seen.append((method, urlsplit(url).path, given))
        return request(self, method, url, **more)

    monkeypatch.setattr(Transport, "request", noting)
    return seen


def expected(port: int) -> dict[str, str]:
    """What Twilio has to be told (Twilio, IncomingPhoneNumber resource; connection overrides)."""
    retries = "#rc=2&rp=5xx,ct,rt"
    return {
        "sms_url": SMS.format(port=port) + retries,
        "sms_method": "POST",
        "sms_fallback_url": SMS.format(port=port),
        "voice_url": VOICE.format(port=port) + retries,
        "voice_fallback_url": VOICE.format(port=port),
        "status_callback": VOICE.format(port=port) + "/status" + retries,
    }


def at_twilio(box: Running, phone: str) -> dict[str, str]:
    number = box.client().incoming_phone_numbers.list(phone_number=phone)[0]
    return {name: getattr(number, name) for name in expected(0)}


def test_numbers_of_the_institutions_area_come_first(flask: Any, registrar: Client) -> None:
    lines = flask("numbers", "search", "registrar").output.splitlines()
    assert all(line.startswith("+1319") and "Iowa City, IA" in line for line in lines)
    assert all("sms" in line and "voice" in line for line in lines)
    assert flask("numbers", "search", "registrar", "--area-code", "515").output.startswith("+1515")
    assert flask("numbers", "search", "registrar", "--toll-free").output.startswith("+1833")
    assert (
        "another area code"
        in flask("numbers", "search", "registrar", "--area-code", "533", fails=True).output
    )


def test_a_number_is_bought_and_set_up_in_one_request(
    flask: Any, registrar: Client, rows: Rows, box: Running, port: int
) -> None:
    phone = flask("numbers", "search", "registrar").output.split()[0]
    flask("numbers", "buy", "registrar", phone)
    sender = rows.one(Sender)
    assert (sender.address, sender.kind, sender.type) == (
        phone, SenderKind.TWILIO, SenderType.LONG_CODE,
    )  # fmt: skip
    assert sender.twilio_sid.startswith("PN")
    assert at_twilio(box, phone) == expected(port)
    assert "not available" in flask("numbers", "buy", "registrar", phone, fails=True).output.lower()
    assert rows.one(AuditEntry).action == "buy"


def test_another_clients_number_is_not_bought(
    flask: Any, registrar: Client, rows: Rows, box: Running
) -> None:
    phone = flask("numbers", "search", "registrar").output.split()[0]
    other = Client(name="library", owner_email="owner@example.edu", twilio_enabled=True)
    rows.add(other)
    rows.add(
        Sender(
            client_id=other.id, credential_id=rows.one(Credential).id, kind=SenderKind.TWILIO,
            address=phone, type=SenderType.LONG_CODE, rate=1, stopped_reason="given back",
        )
    )  # fmt: skip
    refused = flask("numbers", "buy", "registrar", phone, fails=True).output
    assert "another client" in refused
    assert "library" not in refused
    assert box.client().incoming_phone_numbers.list(phone_number=phone) == []


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ((), {"SmsEnabled", "VoiceEnabled"}),
        (("--can", "mms", "--can", "voice"), {"MmsEnabled", "VoiceEnabled"}),
    ],
    ids=["to text and call", "to send pictures and call"],
)
def test_numbers_are_searched_by_what_they_can(
    flask: Any, registrar: Client, monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...], asked: set[str],
) -> None:  # fmt: skip
    queries = seen_requests(monkeypatch)
    flask("numbers", "search", "registrar", *options)
    method, path, query = queries[0]
    assert (method, path.rpartition("/AvailablePhoneNumbers/")[2]) == ("GET", "US/Local.json")
    assert {name for name in query if name.endswith("Enabled")} == asked
    assert query["AreaCode"] == "319"


def test_a_client_without_twilio_gets_no_number(flask: Any, registrar: Client, rows: Rows) -> None:
    rows.change(update(Client).values(twilio_enabled=False))
    refused = flask("numbers", "buy", "registrar", "+13192000000", fails=True)
    assert "flask client enable registrar" in refused.output


def test_existing_numbers_are_taken_over_with_their_kind(
    flask: Any, registrar: Client, rows: Rows
) -> None:
    flask("numbers", "import", "registrar", "+13195550100", "+18885550104")
    assert {one.address: (one.type, one.rate) for one in rows.all(Sender)} == {
        "+13195550100": (SenderType.LONG_CODE, 1.0),
        "+18885550104": (SenderType.TOLL_FREE, 3.0),
    }
    flask("numbers", "import", "registrar")
    assert rows.count(Sender) == 5
    missing = flask("numbers", "import", "registrar", "+13195559999", fails=True)
    assert "+13195559999" in missing.output


def test_what_differs_at_twilio_is_shown_and_repaired(
    flask: Any, registrar: Client, rows: Rows, box: Running, port: int
) -> None:
    flask("numbers", "import", "registrar", "+13195550100", "+13195550101")
    assert "as it should be" in flask("numbers", "audit").output
    number = box.client().incoming_phone_numbers.list(phone_number="+13195550100")[0]
    number.update(sms_url="https://elsewhere.example.edu/", voice_method="GET")

    shown = flask("numbers", "audit", "registrar", fails=True).output
    assert "+13195550100 (registrar): sms_url is “https://elsewhere.example.edu/”" in shown
    assert "voice_method is “GET”" in shown
    assert "+13195550101" not in shown

    flask("numbers", "repair")
    assert at_twilio(box, "+13195550100") == expected(port)
    assert "as it should be" in flask("numbers", "audit").output
    assert "repair" in [entry.action for entry in rows.all(AuditEntry)]


def test_a_number_handled_by_the_client_points_at_its_own_url(
    flask: Any, registrar: Client, rows: Rows, box: Running, port: int
) -> None:
    flask("numbers", "import", "registrar", "+13195550100")
    own = "https://registrar.example.edu/twiml"
    rows.add(
        Route(
            client_id=registrar.id, sender_id=rows.one(Sender).id, destination=Destination.SMS,
            handler=Handler.HANDLE_YOURSELF, url=own, updated_by="test",
        )
    )  # fmt: skip
    assert own in flask("numbers", "audit", fails=True).output
    flask("numbers", "repair")
    assert at_twilio(box, "+13195550100") == {**expected(port), "sms_url": own}
    rows.change(update(Client).values(trial=True))  # then nobody else may answer
    assert own in flask("numbers", "audit", fails=True).output
    flask("numbers", "repair")
    assert at_twilio(box, "+13195550100") == expected(port)


def test_a_number_that_left_the_account_is_reported(
    flask: Any, registrar: Client, rows: Rows, box: Running
) -> None:
    flask("numbers", "import", "registrar", "+13195550100")
    box.client().incoming_phone_numbers.list(phone_number="+13195550100")[0].delete()
    assert "not in the Twilio account" in flask("numbers", "audit", fails=True).output
    assert "not in the Twilio account" in flask("numbers", "repair", fails=True).output


def test_when_twilio_cannot_be_asked_it_is_said(
    flask: Any, registrar: Client, rows: Rows, box: Running
) -> None:
    flask("numbers", "import", "registrar", "+13195550100")
    rows.change(update(Client).values(name="registrar"))
    box.box.store.accounts.clear()
    assert "could not be checked" in flask("numbers", "audit", fails=True).output


@pytest.mark.parametrize("command", ["audit", "repair"])
@pytest.mark.parametrize("stumbles", ["over what is stored", "over what Twilio says"])
def test_of_an_account_that_is_set_aside_nobody_says_that_all_is_well(
    flask: Any,
    registrar: Client,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    stumbles: str,
    command: str,
) -> None:
    flask("numbers", "import", "registrar", "+13195550100")
    if stumbles == "over what is stored":
        rows.change(text("UPDATE credential SET api_key_secret = 'not encrypted'"))
    else:
        monkeypatch.setattr(TwilioClient, "list_numbers", lambda _self: [None])
    shown = flask("numbers", command, fails=True).output
    assert "+13195550100 (registrar) could not be checked: Dispatch stumbled" in shown
    assert [one.loop for one in rows.all(SetAside)] == ["audit"]
    assert "as it should be" not in shown


def test_a_messaging_service_has_inbound_settings_of_its_own(
    flask: Any, registrar: Client, rows: Rows, box: Running, port: int
) -> None:
    flask("numbers", "import", "registrar", "+13195550100")
    flask("numbers", "service", "registrar", "outreach", "--add", "+13195550100")
    service = rows.one(select(Sender).filter_by(kind=SenderKind.MESSAGING_SERVICE))
    found = box.client().messaging.v1.services(service.address).fetch()
    assert found.inbound_request_url == expected(port)["sms_url"]
    assert found.fallback_url == expected(port)["sms_fallback_url"]
    assert found.use_inbound_webhook_on_number is False
    pool = box.client().messaging.v1.services(service.address).phone_numbers.list()
    assert [one.phone_number for one in pool] == ["+13195550100"]
    number = rows.one(select(Sender).filter_by(kind=SenderKind.TWILIO))
    assert number.service_id == service.id
    assert "as it should be" in flask("numbers", "audit").output

    found.update(use_inbound_webhook_on_number=True, inbound_request_url="")
    pool[0].delete()
    shown = flask("numbers", "audit", fails=True).output
    assert "use_inbound_webhook_on_number is “true”; it must be “false”" in shown
    assert f"is not in the service {service.address}" in shown
    flask("numbers", "repair")
    assert "as it should be" in flask("numbers", "audit").output


def test_a_service_whose_making_was_not_answered_is_found(
    flask: Any, registrar: Client, rows: Rows, box: Running
) -> None:
    box.put("faults", {"rest": [{"mode": "500-after", "times": 1, "when": "POST /v1/Services"}]})
    flask("numbers", "service", "registrar", "outreach")
    (made,) = [
        one for one in box.client().messaging.v1.services.list() if one.friendly_name == "outreach"
    ]
    assert rows.one(Sender).address == made.sid


def test_a_number_in_a_service_that_we_do_not_know_is_reported(
    flask: Any, registrar: Client, rows: Rows, box: Running
) -> None:
    flask("numbers", "import", "registrar", "+13195550100")
    services = box.client().messaging.v1.services
    strange = services.create(friendly_name="made in the console")
    services(strange.sid).phone_numbers.create(phone_number_sid=rows.one(Sender).twilio_sid)
    sentence = f"+13195550100 (registrar) is in the messaging service {strange.sid} at Twilio"
    assert sentence in flask("numbers", "audit", fails=True).output
    assert sentence in flask("numbers", "repair", fails=True).output
    strange.update(use_inbound_webhook_on_number=True)
    assert "as it should be" in flask("numbers", "audit").output


def test_what_twilio_will_not_put_right_is_said(
    flask: Any, registrar: Client, rows: Rows, box: Running
) -> None:
    flask("numbers", "import", "registrar", "+13195550100")
    flask("numbers", "service", "registrar", "ours")
    number = rows.one(select(Sender).filter_by(kind=SenderKind.TWILIO))
    services = box.client().messaging.v1.services
    theirs = services.create(friendly_name="theirs").sid
    services(theirs).phone_numbers.create(phone_number_sid=number.twilio_sid)
    failed = flask("numbers", "service", "registrar", "ours", "--add", number.address, fails=True)
    assert "Twilio:" in failed.output
    assert rows.one(select(Sender).filter_by(kind=SenderKind.TWILIO)).service_id is None
    ours = rows.one(select(Sender).filter_by(kind=SenderKind.MESSAGING_SERVICE)).id
    rows.change(update(Sender).where(Sender.id == number.id).values(service_id=ours))
    assert "could not be put right" in flask("numbers", "repair", fails=True).output


def test_what_may_not_send_is_still_looked_over(
    flask: Any, registrar: Client, rows: Rows, box: Running
) -> None:
    flask("numbers", "import", "registrar", "+13195550100")
    rows.change(update(Sender).values(stopped_at=registrar.created_at, stopped_reason="30034"))
    box.client().incoming_phone_numbers.list(phone_number="+13195550100")[0].update(
        sms_url="", sms_fallback_url=""
    )
    assert "sms_url is not set" in flask("numbers", "audit", fails=True).output


@pytest.mark.parametrize("command", ["audit", "repair"])
def test_a_client_that_is_not_there_is_not_well(flask: Any, command: str) -> None:
    assert "no client “nobody”" in flask("numbers", command, "nobody", fails=True).output


@pytest.mark.parametrize(
    ("mode", "stopped"),
    [("429", False), ("500-before", True), ("500-after", True)],
    ids=["surely kept", "nobody knows: kept", "nobody knows: gone"],
)
def test_a_release_that_fails_can_be_repeated(
    flask: Any, registrar: Client, rows: Rows, box: Running, mode: str, stopped: bool
) -> None:
    phone = "+13195550100"
    flask("numbers", "import", "registrar", phone)
    box.put("faults", {"rest": [{"mode": mode, "times": 1, "when": "DELETE"}]})
    flask("numbers", "release", "registrar", phone, "--confirm", phone, fails=True)
    half = rows.one(Sender)
    assert (half.stopped_at is not None) is stopped
    assert half.twilio_sid is not None
    flask("numbers", "release", "registrar", phone, "--confirm", phone)
    assert box.client().incoming_phone_numbers.list(phone_number=phone) == []
    gone = rows.one(Sender)
    assert (gone.twilio_sid, gone.stopped_reason) == (None, "it has been given back to Twilio")


def test_a_number_is_given_back_only_when_nothing_uses_it_and_it_was_typed_twice(
    flask: Any, registrar: Client, rows: Rows, box: Running
) -> None:
    phone = "+13195550100"
    flask("numbers", "import", "registrar", phone)
    refused = flask("numbers", "release", "registrar", phone, input="+13195550101\n", fails=True)
    assert "nothing was released" in refused.output
    flask("numbers", "release", "registrar", phone, input=f"{phone}\n")
    assert box.client().incoming_phone_numbers.list(phone_number=phone) == []
    released = rows.one(Sender)
    assert released.stopped_at is not None
    assert released.twilio_sid is None
    flask("numbers", "buy", "registrar", phone)
    assert rows.one(Sender).stopped_at is None


@pytest.mark.parametrize(
    ("typed", "state"),
    [(None, VerificationState.SUCCESS), ("000000", VerificationState.FAILED)],
    ids=["the code", "another code"],
)
def test_an_institutions_own_number_is_verified(
    flask: Any, registrar: Client, rows: Rows, box: Running, live: None,
    typed: str | None, state: VerificationState,
) -> None:  # fmt: skip
    phone = "+13193350123"
    box.put(f"phones/{phone}", {"name": "Front desk", "digits": typed})
    result = flask(
        "numbers", "verify", "registrar", phone, "--name", "Front desk", "--wait", "30",
        fails=state is VerificationState.FAILED,
    )  # fmt: skip
    assert "Type this code there: " in result.output
    verification = rows.one(Verification)
    assert verification.state is state
    assert verification.code is None
    senders = rows.all(Sender)
    if state is VerificationState.SUCCESS:
        (sender,) = senders
        assert (sender.address, sender.kind) == (phone, SenderKind.VERIFIED)
        assert sender.verified_at is not None
        assert sender.twilio_sid.startswith("PN")
    else:
        assert senders == []


def test_a_number_verified_before_is_taken_over(flask: Any, registrar: Client, rows: Rows) -> None:
    assert "is verified" in flask("numbers", "verify", "registrar", "+13193350000").output
    assert rows.one(Sender).kind is SenderKind.VERIFIED


OFFICE = "+13193350000"


def forget_office(box: Running) -> None:
    """Somebody deletes the caller ID in Twilio's console."""
    listed = f"{box.url}/2010-04-01/Accounts/{ACCOUNT_SID}/OutgoingCallerIds"
    auth = (ACCOUNT_SID, AUTH_TOKEN)
    answer = requests.get(f"{listed}.json", {"PhoneNumber": OFFICE}, auth=auth, timeout=5)
    (found,) = answer.json()["outgoing_caller_ids"]
    assert requests.delete(f"{listed}/{found['sid']}.json", auth=auth, timeout=5).ok


def test_a_caller_id_that_was_deleted_at_twilio_is_found_and_stopped_until_it_is_back(
    flask: Any, app: Flask, registrar: Client, rows: Rows, box: Running
) -> None:
    flask("numbers", "verify", "registrar", OFFICE)
    assert "as it should be" in flask("numbers", "audit").output
    told = rows.count(Delivery)
    forget_office(box)
    sick = flask("doctor", fails=True).output
    assert f"flask numbers verify registrar {OFFICE}" in sick
    assert rows.one(Sender).stopped_at is None  # a doctor looks and changes nothing
    for _ in range(2):
        found = flask("numbers", "audit", fails=True).output
        assert f"{OFFICE} (registrar) is not verified as a caller ID" in found
    assert rows.count(Delivery) == told + 2  # owner and support, once
    with app.app_context(), unit_of_work() as session:
        sender = session.scalars(select(Sender)).one()
        with pytest.raises(Refusal, match="verified again") as refused:
            queued(
                session, session.get_one(Client, registrar.id), sender, "+13195550150",
                source="<Response><Say>Hi</Say></Response>",
            )  # fmt: skip
    assert refused.value.code == "sender_stopped"


def test_a_caller_id_that_is_verified_again_calls_again(
    flask: Any, registrar: Client, rows: Rows, box: Running
) -> None:
    flask("numbers", "verify", "registrar", OFFICE)
    for again in ("verified here", "found by the audit"):
        rows.change(update(Sender).values(stopped_at=datetime.now(UTC), stopped_reason=GONE))
        if again == "verified here":
            flask("numbers", "verify", "registrar", OFFICE)
        else:
            flask("numbers", "audit")
        assert (rows.one(Sender).stopped_at, rows.one(Sender).stopped_reason) == (None, None)
    rows.change(update(Sender).values(stopped_at=datetime.now(UTC), stopped_reason="By support."))
    flask("numbers", "audit")
    assert rows.one(Sender).stopped_reason == "By support."


def test_caller_ids_that_cannot_be_asked_about_are_not_stopped(
    flask: Any, registrar: Client, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    flask("numbers", "verify", "registrar", OFFICE)

    def fail(_: TwilioClient) -> list[str]:
        raise NotSent("Twilio could not be reached.")

    monkeypatch.setattr(TwilioClient, "list_caller_ids", fail)
    assert "could not be checked" in flask("numbers", "audit", fails=True).output
    assert rows.one(Sender).stopped_at is None


def test_twilio_is_asked_for_granted_and_noted(flask: Any, registrar: Client, rows: Rows) -> None:
    rows.change(update(Client).values(twilio_enabled=False))
    flask("client", "request", "registrar", "--by", "pat@example.edu", "--reason", "Reminders")
    flask("client", "request", "registrar", "--by", "kim@example.edu")
    asked = rows.one(TwilioRequest)
    assert (asked.requested_by, asked.granted_at) == ("pat@example.edu", None)
    flask("client", "enable", "registrar", "--by", "support@example.edu")
    granted = rows.one(TwilioRequest)
    assert granted.granted_by == "support@example.edu"
    assert granted.granted_at is not None
    assert rows.one(Client).twilio_enabled
    assert [entry.action for entry in rows.all(AuditEntry)] == ["request", "enable"]
    mails = [delivery.body for delivery in rows.all(Delivery)]
    assert any("asks for Twilio" in mail for mail in mails)
    assert sum("can use Twilio now" in mail for mail in mails) == 2
    assert "granted by support@example.edu" in flask("client", "requests").output


def test_all_sending_of_a_client_is_halted_and_resumed(
    flask: Any, registrar: Client, rows: Rows
) -> None:
    flask("client", "halt", "registrar")
    assert rows.one(Client).halted_at is not None
    flask("client", "resume", "registrar")
    assert rows.one(Client).halted_at is None
    assert "no client" in flask("client", "halt", "nobody", fails=True).output


def test_a_forged_outcome_is_refused(
    flask: Any, registrar: Client, rows: Rows, live: None, port: int
) -> None:
    started = Verification(
        client_id=registrar.id, phone="+13193350123", started_by="test",
        credential_id=rows.one(Credential).id,
    )  # fmt: skip
    rows.add(started)
    url = f"{VOICE.format(port=port)}/verification/{started.id}"
    form = {"VerificationStatus": "success", "OutgoingCallerIdSid": "PN" + "0" * 32}
    assert requests.post(url, form, timeout=5).status_code == 403
    bad = {"X-Twilio-Signature": "AAAA"}
    assert requests.post(url, form, headers=bad, timeout=5).status_code == 403
    unknown = f"{VOICE.format(port=port)}/verification/{'0' * 26}"
    assert requests.post(unknown, form, headers=bad, timeout=5).status_code == 204
    assert eventually(lambda: rows.one(Verification).state is VerificationState.STARTING)


def test_a_verification_of_which_nothing_is_heard_has_failed_until_twilio_says_otherwise(
    app: Flask, registrar: Client, rows: Rows
) -> None:
    rows.add(
        Verification(
            client_id=registrar.id, phone="+13193350123", started_by="test", code="123456",
            credential_id=rows.one(Credential).id, state=VerificationState.PENDING,
            created_at=datetime.now(UTC) - timedelta(minutes=16),
        )
    )  # fmt: skip
    with app.app_context():
        assert (verifications.expire(), verifications.expire()) == (1, 0)
    given_up = rows.one(Verification)
    assert (given_up.state, given_up.code) == (VerificationState.FAILED, None)
    with app.app_context(), unit_of_work() as session:
        assert verifications.note_outcome(session, given_up.id, True, "PN" + "0" * 32)
    assert rows.one(Sender).kind is SenderKind.VERIFIED


def test_a_late_verification_leaves_a_number_alone_that_is_another_clients_by_now(
    app: Flask, registrar: Client, rows: Rows
) -> None:
    library = Client(name="library", owner_email="library@example.edu")
    rows.add(library)
    credential = rows.one(Credential).id
    started = Verification(
        client_id=registrar.id, phone="+13193350123", started_by="test",
        credential_id=credential, state=VerificationState.PENDING,
    )  # fmt: skip
    theirs = Sender(
        client_id=library.id, credential_id=credential, kind=SenderKind.TWILIO,
        address="+13193350123", type=SenderType.LONG_CODE, rate=1, twilio_sid="PN" + "1" * 32,
    )  # fmt: skip
    rows.add(started, theirs)
    with app.app_context(), unit_of_work() as session:
        assert verifications.note_outcome(session, started.id, True, "PN" + "0" * 32)
    sender = rows.one(Sender)
    assert (sender.client_id, sender.verified_at) == (library.id, None)
    assert sender.twilio_sid == "PN" + "1" * 32


def test_nobody_is_called_for_a_client_that_may_not_use_twilio(
    flask: Any, registrar: Client, rows: Rows
) -> None:
    rows.change(update(Client).values(twilio_enabled=False))
    said = flask("numbers", "verify", "registrar", "+13193350123", fails=True).output
    assert "Twilio is not enabled for registrar" in said
    assert rows.count(Verification) == 0
