"""The web process dies, kill -9, between each two steps of a call: the caller goes on."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from app.domain.routing import routes
from app.domain.routing.handlers import parse
from app.extensions import unit_of_work
from app.models.incoming import Incoming
from app.models.route import Destination
from app.models.sender import Sender
from app.models.voicemail import Voicemail
from sandbox.settings import ACCOUNT_SID, AUTH_TOKEN
from tests.support.inbound import NUMBER, Department
from tests.support.processes import Processes
from tests.support.rows import Rows
from tests.support.sandbox import PERSON, Running, eventually

pytestmark = [pytest.mark.processes, pytest.mark.database("sqlite"), pytest.mark.timeout(120)]

RUNG = "+13195550112"
ROUTE: dict[str, Any] = {
    "handler": "menu", "say": "Press 1.", "timeout": 60,
    "keys": {
        "1": {
            "handler": "menu", "say": "Press 2.", "timeout": 60,
            "keys": {
                "2": {
                    "handler": "ring", "people": [{"to": RUNG, "name": "Chi", "seconds": 20}],
                    "otherwise": {"handler": "voicemail", "say": "Leave a message."},
                }
            },
        }
    },
}  # fmt: skip


class Call:
    """Somebody at a phone of the local Twilio, while the web process comes and goes."""

    def __init__(self, running: Running, processes: Processes) -> None:
        self.running, self.processes = running, processes
        self.web = processes.web()
        running.put("time", {"speed": 2})  # 20 seconds of ringing last as long as a new start
        self.sid = running.post("calls", {"from": PERSON, "to": NUMBER, "attended": True})["sid"]

    def hears(self, words: str) -> None:
        eventually(lambda: words in str(self.state()["heard"]), seconds=20)

    def state(self) -> dict[str, Any]:
        return self.running.get(f"calls/{self.sid}")

    def does(self, act: str, **data: str) -> None:
        self.running.post(f"calls/{self.sid}/{act}", data)

    def dies(self) -> None:
        self.web.kill()
        self.web = self.processes.web()


@pytest.fixture
def call(app: Flask, rows: Rows, running: Running, processes: Processes) -> Call:
    department = Department(rows, account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN)
    number = department.number()
    with app.app_context(), unit_of_work() as session:
        sender = session.get_one(Sender, number.id)
        spec = parse(Destination.VOICE, ROUTE)
        routes.save_route(session, sender, Destination.VOICE, spec, "test")
    processes.env["TWILIO_API_BASE_URL"] = running.url
    for phone in list(running.box.store.numbers):
        running.put(f"numbers/{phone}", {"app_url": processes.base_url})
    running.put(f"phones/{RUNG}", {"answers": "no-answer"})
    return Call(running, processes)


def test_the_caller_goes_on_after_each_step(call: Call, running: Running, rows: Rows) -> None:
    call.hears("Press 1.")
    call.dies()
    call.does("digits", digits="1")
    call.hears("Press 2.")
    call.dies()
    call.does("digits", digits="2")
    call.hears(f"Calling {RUNG}")
    call.dies()
    call.hears("Recording.")
    call.dies()
    call.does("digits", digits="#")
    call.hears("Thank you. Goodbye.")
    eventually(lambda: not call.state()["live"])
    assert rows.one(Incoming).path == ["1", "2"]
    assert rows.one(Incoming).dial_status == "no-answer"
    assert rows.one(Voicemail).recording_sid
    assert running.get("alerts")["items"] == []
