"""The house under fault: all its processes, and everything they stand on."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import redis
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from app.extensions import db
from app.models.audience import Member
from app.models.base import new_id, utcnow
from app.models.client import Client
from app.models.communication import Callback, CallbackEvent, Communication
from app.models.credential import Credential, Scope
from app.models.delivery import Delivery, DeliveryState
from app.models.endpoint import Endpoint, EndpointKind, EndpointSecret
from app.models.message import Lane, Message, MessageState
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender, SenderKind
from app.models.template import Template, TemplateKind, TemplateVersion
from embedded import valkey
from embedded.supervisor import read_procfile
from tests.faults.outside import FLOWS, FORWARDS, KEY, REPLIES, TWIML, Outside
from tests.faults.wire import Wire
from tests.support import house as support
from tests.support.clients import SECRET
from tests.support.departments import api_key
from tests.support.processes import ROOT, Processes, Running, wait_until
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, AUTH_TOKEN

PER_SECOND = {"reply": 1.0, "forward": 1.0, "text": 1.0, "call": 0.7}
HURRY_SECONDS = 0.5
MEMBERS = 40


class Redis:
    """A server of this house's own, which may lose everything, go away or fall silent."""

    def __init__(self, folder: Path) -> None:
        """:param folder: of a short name: beside a long one there is no room for a socket, and it
        would come back elsewhere."""
        self._folder = folder
        self._server = valkey.start(folder)
        self.url = self._server.url

    @property
    def pid(self) -> int:
        assert self._server.process is not None
        return self._server.process.pid

    def flush(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server = valkey.start(self._folder)


@dataclass
class House:
    """What a fault can happen to."""

    processes: Processes
    outside: Outside
    rows: Rows
    redis: Redis
    wire: Wire | None
    """Between the processes and PostgreSQL; None on SQLite."""
    folder: Path
    database_url: str
    """Past the wire, for those who look from outside."""
    clock_file: Path
    chance: random.Random
    running: dict[str, Running] = field(default_factory=dict)
    _number: int = 0

    def start(self) -> None:
        """Start every process and wait until each flow has come through once."""
        self.start_processes()
        for flow in FLOWS:
            self.outside.begin(flow, self.phone())
        try:
            wait_until(lambda: not self.outside.open(), "each flow comes through once", 60)
        except AssertionError as error:
            error.add_note("\n".join(map(str, self.outside.open())))
            raise

    def start_processes(self) -> None:
        """Start what the Procfile lists, and wait until the web answers."""
        for name in sorted(read_procfile(ROOT / "Procfile"), key="web".__eq__):
            self.restart(name)

    def restart(self, name: str) -> None:
        """Start a process of the Procfile, in the place of one that was killed."""
        if name == "web":
            self.running[name] = self.processes.web(workers=2, seconds=60)
        else:
            self.running[name] = self.processes.procfile(name)

    def let_go(self) -> None:
        """Hold the database open no longer."""
        with self.rows.app.app_context():
            db.engine.dispose()

    def send_to_many(self) -> None:
        """Start a batch of texts and one of calls: each member is a person to be reached once."""
        for made, flow in zip(self.rows.all(Communication), ("text", "call"), strict=True):
            people = [self.phone() for _ in range(MEMBERS)]
            for phone in people:
                self.outside.expect(flow, phone)
            members = [Member(roll=made.population_id, attributes={"toPhone": phone})
                       for phone in people]  # fmt: skip
            self.rows.add(*members)
            self.outside.start_batch(made.id)

    def phone(self) -> str:
        """Return a phone that nobody else has."""
        self._number += 1
        return f"+1319556{self._number:04}"

    @contextmanager
    def traffic(self) -> Iterator[None]:
        """Let texts and calls come and go, in all flows, until the end of the block."""
        over = threading.Event()

        def go_on(flow: str) -> None:
            begun = []
            while not over.wait(self.chance.uniform(0.5, 1.5) / PER_SECOND[flow]):
                one = threading.Thread(target=self.outside.begin, args=(flow, self.phone()))
                one.start()
                begun.append(one)
            for one in begun:
                one.join()

        flows = [threading.Thread(target=go_on, args=(flow,)) for flow in FLOWS]
        for flow in flows:
            flow.start()
        try:
            yield
        finally:
            over.set()
            for flow in flows:
                flow.join()

    def settle(self, seconds: float) -> bool:
        """Wait until all is at its end; half an hour of asking Twilio takes a second here."""
        end = time.monotonic() + seconds
        while self.outside.open() and time.monotonic() < end:
            self.hurry()
            time.sleep(HURRY_SECONDS)
        return not self.outside.open()

    def hurry(self) -> None:
        """Have Twilio asked for the last time about what is of unknown fate."""
        self.change(
            update(Message)
            .where(Message.state == MessageState.UNKNOWN, Message.checks < 4)
            .values(check_at=utcnow(), checks=3)
        )

    def abandon(self) -> None:
        """Let the claims and leases of processes that are surely dead, or stand still, run out.

        What one that stands still has locked stays as it is.
        """
        late = utcnow() - timedelta(seconds=1)
        for key, held, values in (
            (Message.id, Message.state == MessageState.CLAIMED, {"check_at": late}),
            (Lane.key, Lane.lease_until.is_not(None), {"lease_until": late}),
            (Delivery.id, Delivery.state == DeliveryState.IN_FLIGHT, {"lease_until": late}),
        ):
            free = select(key).where(held).with_for_update(skip_locked=True)
            self.change(update(key.class_).where(key.in_(free), held).values(**values))

    def change(self, statement: Any) -> None:
        """Write to the database from outside, past a wire that is cut; again while it recovers."""
        end = time.monotonic() + 30
        while True:
            try:
                self.rows.change(statement)
            except DBAPIError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.3)
            else:
                return

    def is_locked(self) -> bool:
        """Tell whether somebody holds SQLite's only writer's lock, and does not let it go."""
        if self.wire is not None:
            return False
        path = self.database_url.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(path, timeout=1.0)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            connection.rollback()
            return False

    def locks(self) -> str:
        """Say who waits in PostgreSQL for whom, and for how long each transaction has been open."""
        if self.wire is None:
            return ""
        with psycopg.connect(self.database_url) as connection:
            found = connection.execute(
                "SELECT pid, pg_blocking_pids(pid), state, now() - xact_start, left(query, 300)"
                " FROM pg_stat_activity WHERE xact_start < now() - interval '2 seconds'"
                " AND backend_type = 'client backend'"
            )
            return "\n".join(str(row) for row in found)

    def eventually(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something has come about that the fault is about."""
        wait_until(condition, what, 60)


def furnish(rows: Rows, endpoint_url: str) -> None:
    """Write a department with two numbers, an endpoint and an API key."""
    client = Client(name="registrar", owner_email="owner@example.edu", twilio_enabled=True)
    rows.add(client)
    credential = Credential(
        client_id=client.id, name="main", account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN,
        calls_per_second=20,
    )  # fmt: skip
    endpoint = Endpoint(
        client_id=client.id, kind=EndpointKind.WEBHOOK, name="sis", url=endpoint_url
    )
    template = Template(client_id=client.id, name="away", kind=TemplateKind.REPLY)
    template.versions.append(TemplateVersion(number=1, body="We are away.", created_by="pat"))
    rows.add(credential, endpoint, template, api_key(client, KEY, scope=Scope.ADMIN))
    rows.add(EndpointSecret(endpoint_id=endpoint.id, secret=SECRET))
    for address, route in (
        (REPLIES, {"handler": Handler.AUTO_REPLY, "template_id": template.id}),
        (FORWARDS, {"handler": Handler.FORWARD_TO_WEBHOOK, "endpoint_id": endpoint.id}),
    ):
        sender = Sender(
            id=new_id(), client_id=client.id, credential_id=credential.id, address=address,
            kind=SenderKind.TWILIO, rate=20,
        )  # fmt: skip
        rows.add(sender)
        rows.add(
            Route(
                client_id=client.id, sender_id=sender.id, destination=Destination.SMS,
                updated_by="pat", **route,
            )
        )  # fmt: skip
        if address == REPLIES:
            _communications(rows, client, credential, sender)


def _communications(rows: Rows, client: Client, credential: Credential, sender: Sender) -> None:
    house = support.House(client, credential, sender)
    endpoint = rows.one(Endpoint)
    for body, destination in (("Hello", Destination.SMS), (TWIML, Destination.VOICE)):
        made = support.communication(rows, house, body, destination=destination)
        rows.add(
            *(
                Callback(
                    client_id=client.id, communication_id=made.id, event=event,
                    endpoint_id=endpoint.id,
                )
                for event in (CallbackEvent.MESSAGE_STATUS, CallbackEvent.MESSAGE_PROBLEM)
            )
        )  # fmt: skip


def others(rows: Rows) -> None:
    """Write another department whose next text nobody can send: its secrets cannot be read."""
    client = Client(name="bursar", owner_email="bursar@example.edu", twilio_enabled=True)
    rows.add(client)
    credential = Credential(
        client_id=client.id, name="main", account_sid="AC" + "9" * 32, auth_token=AUTH_TOKEN
    )
    rows.add(credential)
    sender = Sender(
        client_id=client.id, credential_id=credential.id, address="+13195550109",
        kind=SenderKind.TWILIO, rate=20,
    )  # fmt: skip
    rows.add(sender)
    lane = Lane(key=f"sms:{sender.id}", rate=20)
    rows.add(lane)
    rows.add(
        Message(
            client_id=client.id, destination=Destination.SMS, sender_id=sender.id,
            credential_id=credential.id, to="+13195569999", from_=sender.address, body="Hello",
            segments=1, state=MessageState.WAITING, lane_key=lane.key, due_at=utcnow(),
        )
    )  # fmt: skip
    table = Credential.__table__
    rows.change(
        update(table).where(table.c.id == credential.id).values(auth_token="no cipher text")  # type: ignore[arg-type]
    )
