"""The local Twilio and the real application together, over HTTP only."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from app.models.incoming import Incoming
from app.models.route import Destination, Handler, Route
from embedded.process import free_port
from sandbox import smtp
from sandbox.settings import ACCOUNT_SID, AUTH_TOKEN
from tests.support.inbound import AWAY, NUMBER, Department
from tests.support.processes import Processes
from tests.support.rows import Rows
from tests.support.sandbox import PERSON, Running, eventually

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPj/HwADBwIAMCbHYQAAAABJRU5ErkJg"
    "gg=="
)

pytestmark = [pytest.mark.processes, pytest.mark.database("sqlite")]


@pytest.fixture
def department(rows: Rows) -> Department:
    return Department(rows, account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN)


@pytest.fixture
def served(running: Running, processes: Processes) -> Running:
    """The sandbox, with its demo numbers pointing at a running web process."""
    processes.env["TWILIO_API_BASE_URL"] = running.url
    processes.web()
    for phone in list(running.box.store.numbers):
        running.put(f"numbers/{phone}", {"app_url": processes.base_url})
    return running


def bodies(running: Running) -> list[str]:
    return [b["body"] for b in running.bubbles() if not b["mine"] and not b["automatic"]]


def heard(running: Running, sid: str) -> list[str]:
    def done() -> Any:
        call = running.get(f"calls/{sid}")
        return not call["live"] and call

    return [h["text"] for h in eventually(done, seconds=20)["heard"] if h["kind"] == "say"]


def test_a_text_is_answered_and_its_fate_comes_back(
    department: Department, served: Running
) -> None:
    department.auto_reply()
    served.text("Are you open?")
    assert bodies(served) == [AWAY]
    reply = served.client().messages.list(to=PERSON)[0]
    assert reply.direction == "outbound-reply"
    eventually(
        lambda: (
            [
                e["status"]
                for e in served.get("exchanges")["items"]
                if e["kind"] == "message status" and dict(e["params"])["SmsStatus"] == "delivered"
            ]
            == [204]
        )
    )
    assert served.get("alerts")["items"] == []


def test_stop_is_answered_by_twilio_alone(department: Department, served: Running) -> None:
    department.auto_reply(suppression_list_id=department.suppression_list().id)
    served.text("STOP")
    served.text("Hello?")
    assert bodies(served) == []
    assert served.get("alerts")["items"] == []
    served.text("START")
    served.text("Hello?")
    assert bodies(served) == [AWAY]


def test_a_call_is_answered(department: Department, served: Running) -> None:
    sender = department.number()
    department.route(
        sender, Handler.PLAY_MESSAGE, Destination.VOICE, options={"say": "We are closed."}
    )
    sid = served.post("calls", {"from": PERSON, "to": NUMBER})["sid"]
    assert heard(served, sid) == ["We are closed."]
    eventually(
        lambda: [
            e["status"] for e in served.get("exchanges")["items"] if e["kind"] == "call status"
        ]
    )
    assert served.get("alerts")["items"] == []


@pytest.mark.parametrize("answers", ["person", "no-answer"])
def test_a_call_is_forwarded(department: Department, served: Running, answers: str) -> None:
    sender = department.number()
    served.put("phones/+13195550111", {"answers": answers, "talks": 2})
    options = {
        "to": "+13195550111",
        "timeout": 5,
        "caller_id": "number",
        "no_answer_say": "Nobody is here.",
    }
    department.route(sender, Handler.CALL_FORWARD, Destination.VOICE, options=options)
    sid = served.post("calls", {"from": PERSON, "to": NUMBER})["sid"]
    assert heard(served, sid) == ([] if answers == "person" else ["Nobody is here."])
    assert served.get("alerts")["items"] == []


def rings(department: Department, served: Running, *, taken: bool) -> str:
    """Let a number ring somebody's mailbox and then somebody; return the SID of a call to it."""
    served.put("phones/+13195550113", {"answers": "machine"})
    digits = "1" if taken else "2"
    served.put("phones/+13195550112", {"answers": "person", "talks": 2, "digits": digits})
    route = department.route(
        department.number(), Handler.RING, Destination.VOICE,
        options={"people": [{"to": one, "seconds": 20} for one in RUNG]},
    )  # fmt: skip
    department.rows.add(
        Route(
            client_id=route.client_id, sender_id=route.sender_id, destination=Destination.VOICE,
            parent_id=route.id, place="otherwise", handler=Handler.PLAY_MESSAGE, updated_by="test",
            options={"say": "Nobody is here."},
        )
    )  # fmt: skip
    return str(served.post("calls", {"from": PERSON, "to": NUMBER})["sid"])


RUNG = ["+13195550113", "+13195550112"]


@pytest.mark.parametrize("taken", [True, False])
def test_a_mailbox_is_passed_over_and_whoever_presses_1_has_the_call(
    department: Department, served: Running, rows: Rows, taken: bool
) -> None:
    served.put("time", {"speed": 10})
    sid = rings(department, served, taken=taken)
    assert heard(served, sid) == ([] if taken else ["Nobody is here."])
    legs = [one for one in served.box.store.calls.values() if one.parent_call_sid == sid]
    assert [one.to for one in legs] == RUNG
    assert ["connected" in [step["kind"] for step in one.heard] for one in legs] == [False, taken]
    assert all("To take it, press 1." in str(one.heard) for one in legs)
    assert served.get("alerts")["items"] == []
    assert rows.one(Incoming).dial_status == ("completed" if taken else "no-answer")


def test_the_wrong_token_is_refused(department: Department, served: Running) -> None:
    department.auto_reply()
    served.box.account(ACCOUNT_SID).auth_token = "0" * 32
    served.text("Hi")
    assert bodies(served) == []
    assert [e["status"] for e in served.get("exchanges")["items"]] == [403, 403]


@pytest.mark.settings(ENVIRONMENT="development", WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8")
def test_the_demonstration_forwards_to_the_endpoint_and_by_mail(
    running: Running, processes: Processes
) -> None:
    processes.env |= {
        "TWILIO_API_BASE_URL": running.url,
        "SANDBOX_PUBLIC_URL": running.url,
        "SMTP_URL": f"smtp://127.0.0.1:{(port := free_port())}",
    }
    mailbox = smtp.start(running.box, "127.0.0.1", port)
    try:
        applied = processes.flask("apply", "sandbox/demo.yaml")
        assert applied.returncode == 0, applied.stdout + applied.stderr
        processes.web()
        processes.procfile("worker-relay")
        processes.procfile("clock")
        for phone in list(running.box.store.numbers):
            running.put(f"numbers/{phone}", {"app_url": processes.base_url})
        service = running.box.store.services[running.box.settings.service_sid]
        service.inbound_request_url = f"{processes.base_url}/inbound/sms"
        picture = {"contentType": "image/png", "data": base64.b64encode(PIXEL).decode()}
        running.text("To the system", "+13195550101", media=[picture])
        running.text("To the help desk", "+13195550102", media=[picture])
        hit = eventually(lambda: running.get("endpoints/demo")["items"], seconds=30)[0]
        assert hit["signature"] == "valid"
        assert json.loads(hit["body"])["data"]["body"] == "To the system"
        mail = eventually(lambda: running.get("mails")["items"], seconds=30)[0]
        assert "To the help desk" in mail["text"]
        assert [a["contentType"] for a in mail["attachments"]] == ["image/png"]
        assert running.get("alerts")["items"] == []
    finally:
        mailbox.stop()
