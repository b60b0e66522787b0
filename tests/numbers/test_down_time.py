"""Down for a while, with real processes: what came meanwhile is in the log, and forwarded once."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
import requests
from sqlalchemy import func, select, update

from app.models.base import new_id
from app.models.client import Client
from app.models.credential import Credential
from app.models.delivery import Delivery, DeliveryState
from app.models.endpoint import Endpoint, EndpointKind
from app.models.incoming import Incoming, Outcome
from app.models.message import Message
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender, SenderKind
from app.models.template import Template, TemplateKind, TemplateVersion
from tests.support.processes import Processes, wait_until
from tests.support.relay import Receiver, receiving
from tests.support.rows import Rows
from tests.support.sandbox import PERSON, Running

FORWARDED, ANSWERED = "+13195550100", "+13195550101"
PICTURE = {"contentType": "image/png", "data": b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()}
AWAY = timedelta(minutes=10)
pytestmark = [
    pytest.mark.processes,
    pytest.mark.database("postgresql"),
    pytest.mark.timeout(180),
]


@pytest.fixture
def endpoint() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def house(processes: Processes, port: int) -> Processes:
    """Processes that listen where the sandbox's numbers point."""
    address = {"PORT": f"{port}", "BIND": f"127.0.0.1:{port}"}
    processes.env |= address | {
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    return processes


@pytest.fixture
def routes(registrar: Client, rows: Rows, endpoint: Receiver) -> None:
    """One number forwards to the endpoint, another answers by itself."""
    template = Template(client_id=registrar.id, name="away", kind=TemplateKind.REPLY)
    template.versions.append(TemplateVersion(number=1, body="We are away.", created_by="test"))
    hooks = Endpoint(
        client_id=registrar.id, kind=EndpointKind.WEBHOOK, name="sis", url=endpoint.url()
    )
    rows.add(template, hooks)
    rows.change(update(Credential).values(created_at=registrar.created_at - timedelta(days=1)))
    for address, handler in (
        (FORWARDED, Handler.FORWARD_TO_WEBHOOK), (ANSWERED, Handler.AUTO_REPLY),
    ):  # fmt: skip
        sender = Sender(
            id=new_id(), client_id=registrar.id, credential_id=rows.one(Credential).id,
            kind=SenderKind.TWILIO, address=address, rate=1,
        )  # fmt: skip
        rows.add(sender)
        rows.add(
            Route(
                client_id=registrar.id, sender_id=sender.id, destination=Destination.SMS,
                handler=handler,
                endpoint_id=hooks.id if handler is Handler.FORWARD_TO_WEBHOOK else None,
                template_id=template.id if handler is Handler.AUTO_REPLY else None,
                updated_by="test",
            )
        )  # fmt: skip


def grow_old(box: Running) -> None:
    """Let all that Twilio has of texts and calls have come in some minutes ago."""
    for text in list(box.box.store.messages.values()):
        text.date_created -= AWAY
        text.date_sent = text.date_created
    for call in list(box.box.store.calls.values()):
        call.date_created -= AWAY
        call.start_time = call.date_created


def test_what_came_while_nobody_listened_is_found_and_forwarded_once(
    house: Processes, routes: None, rows: Rows, box: Running, endpoint: Receiver, port: int
) -> None:
    web = house.web()
    relay = house.procfile("worker-relay")
    first = box.text("before", FORWARDED)
    wait_until(lambda: rows.count(Incoming) == 1, "the text is taken in by its webhook")
    assert web.stop() == 0

    missed = [box.text(f"Text {index}", FORWARDED, media=[PICTURE]) for index in range(12)]
    asked = box.text("Anybody there?", ANSWERED)
    call = box.post("calls", {"from": PERSON, "to": FORWARDED})["sid"]
    wait_until(
        lambda: box.get(f"calls/{call}")["status"] not in ("queued", "ringing", "in-progress"),
        "the caller gives up",
    )
    grow_old(box)

    house.web()
    requests.put(f"{box.url}/sandbox/faults", json={"latency_ms": 150}, timeout=5)
    dying, clock = house.procfile("worker-house"), house.procfile("clock")
    wait_until(lambda: rows.count(Incoming) > 3, "recovery is under way", 40)
    dying.kill()
    clock.kill()
    assert rows.count(Incoming) < 1 + len(missed) + 2, "it was over before it was killed"
    requests.put(f"{box.url}/sandbox/faults", json={"latency_ms": 0}, timeout=5)
    house.procfile("worker-house")
    house.procfile("clock")
    everything = {first, *missed, asked, call}
    wait_until(lambda: rows.count(Incoming) == len(everything), "all is in the log", 40)
    wait_until(lambda: rows.one(delivered()) == 1 + len(missed), "all is delivered once", 40)

    again = house.flask("recover", "--since", "2026-01-01")
    assert "Took in 0 texts and 0 calls." in again.stdout, again.stderr
    logged = {one.sid: one for one in rows.all(Incoming)}
    assert set(logged) == everything
    assert [one.sid for one in rows.all(in_order()) if one.sid in missed] == missed
    assert logged[asked].outcome is Outcome.TOO_LATE
    assert rows.count(Message) == 0
    events = Counter(request.event["data"]["messageSid"] for request in endpoint.received)
    assert events == Counter([first, *missed])
    assert rows.count(Delivery) == 1 + len(missed)
    assert relay.process.poll() is None


def delivered() -> object:
    return select(func.count()).where(Delivery.state == DeliveryState.DELIVERED)


def in_order() -> object:
    return select(Incoming).order_by(Incoming.received_at, Incoming.id)
