"""What is outside: Twilio, the people it reaches, and the department's system; each keeps records.

Whether something was lost, or came twice, is told by these records alone.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import requests

from tests.support.fake_twilio import Accepted, FakeTwilio
from tests.support.hostile import answering
from tests.support.twilio import ACCOUNT_SID, sid, signed, sms_parameters

REPLIES, FORWARDS = "+13195550100", "+13195550101"
FLOWS = ("reply", "forward", "text", "call")
KEY = "faults-key-of-at-least-32-characters"
TWIML = "<Response><Say>Hello.</Say></Response>"
PATIENCE = 30.0
"""Seconds for which the department's system tries again, and Twilio: it waits for 15, and as long
for the fallback, which is the same address."""
_ENDS = ("invalid_phone", "not_allowed", "refused", "failed", "canceled")


@dataclass
class Unit:
    """One text or call, from its beginning to what its flow promises."""

    flow: str
    phone: str
    began: float
    settled: float | None = None
    reached: int = 0
    """How often its person was reached by something that we sent through the API."""
    answered: bool = False
    """Whether Twilio took our TwiML as its reply; where it gave up waiting, a text of ours does."""
    told: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The ids of the events about it, by what they say."""

    def __str__(self) -> str:
        return (
            f"{self.flow} {self.phone}: began {self.began:.1f}, settled {self.settled},"
            f" reached {self.reached} times, told {dict(self.told)}"
        )

    @property
    def is_lost(self) -> bool:
        """Not come to its end; or said to have failed though its person was reached."""
        if self.settled is None:
            return True
        return bool(self.told["failed"]) and self.reached > 0

    @property
    def is_twice(self) -> bool:
        """Its person was reached twice, or its end told as two happenings."""
        most = 0 if self.flow == "forward" or self.answered else 1
        return self.reached > most or any(len(ids) > 1 for ids in self.told.values())


@dataclass(frozen=True)
class Answer:
    """What came of one request of Twilio's."""

    at: float
    """When it asked, by ``time.monotonic()``."""
    seconds: float
    served: bool
    """Whether it was answered, and not with a 5xx."""


class Outside:
    """Twilio's side, the department's side, and their records."""

    def __init__(self, base_url: str, fake: FakeTwilio) -> None:
        self.base_url = base_url
        self.fake = fake
        self.units: dict[str, Unit] = {}
        self.answers: list[Answer] = []
        self.batches: list[str] = []
        """Their addresses."""
        self.is_dead = False
        """Whether the department's system is down."""
        self._lock = threading.Lock()
        self.asking = threading.Lock()
        """Who holds it keeps the department from asking for anything."""
        fake.tells = self._twilio_took
        self.flows: dict[str, Callable[[Unit], None]] = {
            "reply": self._reply, "forward": self._forward,
            "text": self._text, "call": self._call,
        }  # fmt: skip

    def begin(self, flow: str, phone: str) -> None:
        """Let somebody text, or the department send, once."""
        unit = Unit(flow, phone, time.monotonic())
        with self._lock:
            self.units[phone] = unit
        self.flows[flow](unit)

    def expect(self, flow: str, phone: str) -> None:
        """Note that a batch is to reach somebody."""
        self.units[phone] = Unit(flow, phone, time.monotonic())

    def open(self) -> list[Unit]:
        """Return what has not come to its end."""
        return [unit for unit in list(self.units.values()) if unit.settled is None]

    # The department's system.

    def behave(self, connection: socket.socket, request: bytes) -> None:
        """Take an event, as the department's endpoint."""
        if self.is_dead:
            return
        head, _, body = request.partition(b"\r\n\r\n")
        headers = dict(
            line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if ": " in line
        )
        event = json.loads(body)
        self._told(event["type"], event["data"], headers["webhook-id"])
        answering()(connection, request)

    def _told(self, kind: str, data: dict[str, Any], id_: str) -> None:
        phone = data["from"] if kind == "sms.received" else data["to"]
        word = {
            "sms.received": "received", "message.status": data.get("status"),
            "message.problem": "failed" if data.get("reason") in _ENDS else data.get("reason"),
        }[kind]  # fmt: skip
        with self._lock:
            unit = self.units.get(phone)
            if unit is None:
                return
            unit.told[str(word)].add(id_)
        if word in ("received", "delivered", "completed", "failed"):
            self._settle(unit)

    def _text(self, unit: Unit) -> None:
        self._ask_for({"to": unit.phone, "from": REPLIES, "body": f"Hello {unit.phone}"})

    def _call(self, unit: Unit) -> None:
        self._ask_for({"to": unit.phone, "from": REPLIES, "twiml": TWIML})

    def start_batch(self, communication: str) -> None:
        """Start a communication for its population."""
        path = f"/api/v1/communications/{communication}/batches"
        answer = requests.post(
            self.base_url + path, headers={"x-dispatch-api-key": KEY}, json={}, timeout=10
        )
        assert answer.status_code == 202, answer.text
        self.batches.append(answer.headers["Location"])

    def states_of_batches(self) -> list[str]:
        """Ask how far the batches are."""
        headers = {"x-dispatch-api-key": KEY}
        return [
            requests.get(url, headers=headers, timeout=10).json()["state"] for url in self.batches
        ]

    def says_that_it_is_held(self) -> bool:
        """Ask whether anything is sent at all."""
        answer = requests.get(f"{self.base_url}/readyz", timeout=10)
        return answer.ok and answer.json()["sending"] != "ok"

    def _ask_for(self, message: dict[str, Any]) -> None:
        to = {"endpoint": "sis"}
        body = {**message, "callbacks": {"message_status": to, "message_problem": to}}
        headers = {"x-dispatch-api-key": KEY, "Idempotency-Key": message["to"]}
        with self.asking:
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                with contextlib.suppress(requests.RequestException):
                    url = f"{self.base_url}/api/v1/messages"
                    answer = requests.post(url, json=body, headers=headers, timeout=10)
                    if answer.status_code < 500 and answer.status_code != 409:
                        assert answer.status_code == 201, answer.text
                        return
                time.sleep(0.3)

    # Twilio.

    def _reply(self, unit: Unit) -> None:
        answer = self._person_texts(unit, REPLIES)
        said = ElementTree.fromstring(answer).find("Message") if answer else None
        if said is not None:
            unit.answered = True
            self._settle(unit)
            reply = self._in_log(REPLIES, unit.phone, "outbound-reply", said.text or "")
            self._report(reply, said.attrib["action"], "delivered")

    def _forward(self, unit: Unit) -> None:
        self._person_texts(unit, FORWARDS)

    def _person_texts(self, unit: Unit, to: str) -> str | None:
        """Let a text come in: it is in Twilio's log, whether we answer or not."""
        came = self._in_log(unit.phone, to, "inbound", "Hello")
        form = sms_parameters(MessageSid=came.sid, SmsSid=came.sid, From=unit.phone, To=to)
        return self._post(f"{self.base_url}/inbound/sms", form)

    def _in_log(self, sender: str, to: str, direction: str, body: str) -> Accepted:
        made = Accepted(
            sid=sid("SM"), to=to, sender=sender, body=body, at=time.time(), callback="",
            created=datetime.now(UTC), direction=direction, form={"_account": ACCOUNT_SID},
            status="received" if direction == "inbound" else "sent",
        )  # fmt: skip
        self.fake.accepted.append(made)
        return made

    def _twilio_took(self, made: Accepted) -> None:
        with self._lock:
            unit = self.units.get(made.to)
            if unit is not None:
                unit.reached += 1
        if unit is not None and unit.flow == "reply":
            self._settle(unit)
        about = {"To": made.to, "From": made.sender, "AccountSid": made.form["_account"]}
        if made.sid.startswith("CA"):
            call = {**about, "CallSid": made.sid, "Direction": "outbound-api"}
            for _ in range(2):  # Twilio repeats a request now and then
                heard = self._post(made.form["Url"], {**call, "CallStatus": "in-progress"})
                if unit is not None and heard is not None:
                    unit.told["heard"].add(heard)
            end = {"CallStatus": "completed", "SequenceNumber": "3", "CallDuration": "3"}
            made.status = "completed"
            self._post(made.callback, {**call, **end})
            return
        for word in ("sent", "delivered"):
            self._report(made, made.callback, word)

    def _report(self, made: Accepted, url: str, word: str) -> None:
        made.status = word
        sids = {"MessageSid": made.sid, "SmsSid": made.sid, "AccountSid": ACCOUNT_SID}
        words = {"MessageStatus": word, "SmsStatus": word}
        self._post(url, {"To": made.to, "From": made.sender, **sids, **words})

    def _post(self, url: str, form: dict[str, str]) -> str | None:
        """Post as Twilio does, again where nobody answers or with a 5xx."""
        form = {"ApiVersion": "2010-04-01", **form}
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            began = time.monotonic()
            text, served = None, False
            with contextlib.suppress(requests.RequestException):
                answer = requests.post(url, data=form, headers=signed(url, form), timeout=15)
                text, served = answer.text, answer.status_code < 500
            self.answers.append(Answer(began, time.monotonic() - began, served))
            if served:
                return text
            time.sleep(0.3)
        return None

    def _settle(self, unit: Unit) -> None:
        with self._lock:
            unit.settled = unit.settled or time.monotonic()
