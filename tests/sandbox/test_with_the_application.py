"""The local Twilio and the real application together, over HTTP only."""

from __future__ import annotations

from typing import Any

import pytest

from app.models.route import Channel, Handler
from sandbox.settings import ACCOUNT_SID, AUTH_TOKEN
from tests.support.inbound import AWAY, NUMBER, Department
from tests.support.processes import Processes
from tests.support.rows import Rows
from tests.support.sandbox import PERSON, Running, eventually

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
    department.route(sender, Handler.PLAY_MESSAGE, Channel.VOICE, options={"say": "We are closed."})
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
    department.route(sender, Handler.CALL_FORWARD, Channel.VOICE, options=options)
    sid = served.post("calls", {"from": PERSON, "to": NUMBER})["sid"]
    assert heard(served, sid) == ([] if answers == "person" else ["Nobody is here."])
    assert served.get("alerts")["items"] == []


def test_the_wrong_token_is_refused(department: Department, served: Running) -> None:
    department.auto_reply()
    served.box.account(ACCOUNT_SID).auth_token = "0" * 32
    served.text("Hi")
    assert bodies(served) == []
    assert [e["status"] for e in served.get("exchanges")["items"]] == [403, 403]
