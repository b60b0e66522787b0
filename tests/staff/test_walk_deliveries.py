"""Endpoints and deliveries as staff use them: in a browser, with the relay and a real receiver."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import select, update
from standardwebhooks import Webhook

from app.models.base import utcnow
from app.models.delivery import (
    AttemptTrigger,
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    EventType,
)
from app.models.endpoint import DisabledReason, Endpoint, EndpointKind, EndpointState
from app.models.user import User
from tests.staff.conftest import OF_CLIENTS, PASSWORD
from tests.support.departments import Department, department
from tests.support.hostile import answering
from tests.support.looks import look
from tests.support.processes import Processes, wait_until
from tests.support.relay import Receiver, receiving
from tests.support.rows import Rows

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.database("sqlite"),
    pytest.mark.settings(WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8"),
    pytest.mark.timeout(180),
]
HOME = "/staff/clients/registrar"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as listening:
        yield listening


@pytest.fixture
def ours(rows: Rows, add_person: Callable[..., User]) -> Department:
    ours = department(rows, "registrar", "11")
    add_person("pat@example.edu", ours.client)
    return ours


@pytest.fixture
def site(processes: Processes, ours: Department) -> Processes:
    processes.web(workers=2)
    return processes


def sign_in(page: Page, site: Processes) -> None:
    page.goto(f"{site.base_url}/staff/")
    page.get_by_label("E-mail address").fill("pat@example.edu")
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign in")


def press(page: Page, name: str | re.Pattern[str]) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def said(page: Page, words: str) -> None:
    expect(page.get_by_role("status").first).to_contain_text(words)


def shows(page: Page, javascript: bool, there: Callable[[], Locator]) -> None:
    """Wait for something: with JavaScript the page looks by itself, without it people reload."""
    if javascript:
        expect(there().first).to_be_visible(timeout=20_000)
        return

    def reloaded() -> bool:
        page.reload()
        return there().count() > 0

    wait_until(reloaded, "the page shows it")


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without"])
def test_staff_mend_what_is_broken(
    browser: Browser, site: Processes, receiver: Receiver, rows: Rows, javascript: bool
) -> None:
    site.procfile("worker-relay")
    with browser.new_context(java_script_enabled=javascript) as context:
        context.set_default_timeout(15_000)
        page = context.new_page()
        sign_in(page, site)
        first = set_up(page, receiver)
        receiver.behave(answering("500 Oops", body=b"<h1>no such table</h1>"))
        ping(page, javascript, "It answered with an error (500)", "<h1>no such table</h1>")
        receiver.behave(answering(body=b"thank you"))
        ping(page, javascript, "Taken (200)", "thank you")
        expect(page.locator("#health")).to_contain_text("50 % of the latest 2 were taken")
        send_again(page, javascript, receiver)
        second = change_secret(page)
        ping(page, javascript, "Taken (200)", "thank you")
        latest = receiver.received[-1]
        for secret in (first, second):
            Webhook(secret).verify(latest.body, latest.headers)
        press(page, "End that now")
        said(page, "Only the new secret signs now.")
        pause_and_replay(page, javascript, rows, receiver)
    done = {one.action for one in rows.all(OF_CLIENTS)}
    assert {"create", "ping", "resend", "rotate secret", "retire old secret", "pause", "resume",
            "replay", "cancel"} <= done  # fmt: skip


def set_up(page: Page, receiver: Receiver) -> str:
    """Set an endpoint up, and return the secret that is shown this once."""
    page.get_by_role("link", name="Endpoints").click()
    page.get_by_label("Name").fill("crm")
    page.get_by_label("Web address").fill("nowhere")
    press(page, "Set it up")
    expect(page.get_by_role("alert")).to_contain_text("nowhere")
    page.get_by_label("Web address").fill(receiver.url())
    press(page, "Set it up")
    said(page, "“crm” is set up.")
    secret = page.get_by_label("Copy it now").input_value()
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("crm")
    return secret


def ping(page: Page, javascript: bool, outcome: str, answer: str) -> None:
    """Send a test, see how it went, and go back to the endpoint."""
    press(page, "Send a test")
    expect(page.get_by_role("heading", name="What became of it")).to_be_visible()
    shows(page, javascript, lambda: page.get_by_text(outcome, exact=True))
    page.get_by_text("Request and answer").first.click()
    expect(page.get_by_text("webhook-signature").first).to_be_visible()
    expect(page.locator("pre").filter(has_text=answer).first).to_be_visible()
    page.get_by_role("link", name="crm").click()


def send_again(page: Page, javascript: bool, receiver: Receiver) -> None:
    page.get_by_role("link", name="All its deliveries").click()
    page.get_by_role("link", name="A test").last.click()  # the one that failed
    press(page, re.compile("Send again|Try now"))
    said(page, "It goes out again at once.")
    shows(page, javascript, lambda: page.get_by_text("Taken (200)", exact=True))
    expect(page.get_by_text("sent again by pat@example.edu")).to_be_visible()
    assert receiver.received[-1].id == receiver.received[0].id, "the same event"
    page.get_by_role("link", name="crm").click()


def change_secret(page: Page) -> str:
    press(page, "Make a new secret")
    secret = page.get_by_label("Copy it now").input_value()
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_text("It signs as well until")).to_be_visible()
    return secret


def pause_and_replay(page: Page, javascript: bool, rows: Rows, receiver: Receiver) -> None:
    endpoint = rows.one(select(Endpoint).filter_by(name="crm"))
    rows.add(*[event(endpoint, n, state=DeliveryState.EXHAUSTED) for n in range(1, 4)])
    press(page, "Pause")
    said(page, "Paused.")
    page.get_by_role("link", name="Send a range again").click()
    press(page, "Count first")
    said(page, "3 deliveries go out again if you go on.")
    press(page, "Send 3 again")
    said(page, "3 deliveries go out again.")
    expect(page.locator("#health")).to_contain_text("3, the oldest since")
    page.get_by_role("link", name="All its deliveries").click()
    page.get_by_label("State").select_option("Waiting")
    press(page, "Show")
    page.get_by_role("link", name="A message changed").first.click()
    press(page, "Cancel")
    said(page, "Canceled.")
    page.get_by_role("link", name="crm").click()
    press(page, "Resume")
    said(page, "It goes on; what waited goes out now.")
    shows(page, False, lambda: page.locator("#health").filter(has_text="Waitingnothing"))
    told = [one.event["data"]["n"] for one in receiver.received if '"n":' in one.body]
    assert len(told) == 2


def event(endpoint: Endpoint, number: int, **columns: Any) -> Delivery:
    """Make a delivery of something that happened."""
    at = utcnow() - timedelta(minutes=30 - number)
    values: dict[str, Any] = {
        "client_id": endpoint.client_id, "endpoint_id": endpoint.id, "occurred_at": at,
        "type": EventType.MESSAGE_STATUS, "sequence": number, "created_at": at,
        "body": f'{{"type": "message.status", "data": {{"n":{number}}}}}',
        "give_up_at": at + timedelta(days=4),
    } | columns  # fmt: skip
    return Delivery(**values)


def tried(delivery: Delivery, number: int, **columns: Any) -> DeliveryAttempt:
    """Make a try that went wrong, with long words in it."""
    values: dict[str, Any] = {
        "delivery_id": delivery.id, "endpoint_id": delivery.endpoint_id, "number": number,
        "trigger": AttemptTrigger.AUTO, "started_at": utcnow(), "duration_ms": 10_004,
        "url": "https://registrar.example.edu/hooks?" + "x" * 300, "address": "198.51.100.7",
        "request_headers": {"webhook-id": delivery.event_id, "webhook-signature": "v1," + "A" * 44},
        "status": 500, "error": "http_status", "detail": "The endpoint answered 500: " + "y" * 200,
        "response_headers": {"Server": "nginx"}, "response_body": "<html>" + "z" * 900,
    } | columns  # fmt: skip
    return DeliveryAttempt(**values)


def test_the_pages_look_right_and_lock_nobody_out(
    browser: Browser, page: Page, site: Processes, ours: Department, rows: Rows
) -> None:
    broken = {"state": EndpointState.DISABLED, "disabled_reason": DisabledReason.GONE,
              "changed_at": utcnow()}  # fmt: skip
    gone = Endpoint(
        client_id=ours.client.id, kind=EndpointKind.WEBHOOK, name="library-" + "a" * 60,
        url="https://library.example.edu/" + "b" * 200, **broken,
    )  # fmt: skip
    mailed = Endpoint(
        client_id=ours.client.id, kind=EndpointKind.EMAIL, name="digest", url="desk@example.edu"
    )
    rows.add(gone, mailed)
    rows.change(
        update(Endpoint)
        .where(Endpoint.id == ours.endpoint.id)
        .values(consecutive_failures=3, first_failure_at=utcnow())
    )
    sent = [event(ours.endpoint, n, state=DeliveryState.DELIVERED) for n in range(30)]
    failed = event(
        ours.endpoint, 31, state=DeliveryState.PENDING, attempts=3, failures=3, last_status=500,
        last_error="The endpoint answered 500.", next_attempt_at=utcnow() + timedelta(hours=2),
    )  # fmt: skip
    held = [event(gone, n, state=DeliveryState.HELD) for n in range(2)]
    rows.add(*sent, failed, *held)
    rows.add(*[tried(failed, n) for n in range(1, 4)])
    rows.add(*[tried(one, 1, status=204, error=None, detail=None, duration_ms=80) for one in sent])
    sign_in(page, site)
    expect(page.get_by_role("heading", level=1)).to_have_text("registrar")
    paths = [
        f"{HOME}/endpoints",
        f"{HOME}/endpoints/{ours.endpoint.id}",
        f"{HOME}/endpoints/{gone.id}",
        f"{HOME}/endpoints/{ours.endpoint.id}/replay",
        f"{HOME}/deliveries",
        f"{HOME}/deliveries/{failed.id}",
        f"{HOME}/history",
        f"{HOME}/api-keys",
        "/staff/nowhere",
    ]
    wrong = look(browser, page.context.storage_state(), site.base_url, paths)
    assert [one for one in wrong if "404 (" not in one] == []
