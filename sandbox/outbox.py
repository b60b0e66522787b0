"""Texts on their way to people: checks, the sender's queue, statuses and their callbacks.

By Twilio's documentation 'Messages resource', 'Understanding Twilio rate limits and message
queues' and the error dictionary.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from . import pictures, segments
from .clock import utcnow
from .core import API_VERSION, Sandbox
from .errors import DELIVERY, RestError
from .orders import (
    Order,
    check_content,
    check_magic,
    check_recipient,
    find_sender,
    find_service,
    plan_counts,
)
from .records import Account, Message, Number, Service, new_sid

QUEUE_SECONDS = 36000.0
PRICE_PER_SEGMENT = 0.0079
PRICE_PER_MMS = 0.02
TRIAL_PREFIX = "Sent from your Twilio trial account - "


def create(
    box: Sandbox, account: Account, order: Order, direction: str = "outbound-api"
) -> Message:
    """Take a text for sending; raises RestError where Twilio would refuse it."""
    if account.test:
        return _test_message(account, order)
    check_content(order)
    service = find_service(box, account, order)
    sender = find_sender(box, account, order)
    check_recipient(box, account, order, sender, service)
    body = TRIAL_PREFIX + order.body if account.trial else order.body
    message = _record(account, order, body, sender, service, direction)
    with box.store.lock:
        overflow = None if order.send_at else _book(box, message, sender, service)
        if overflow and service is None:
            raise RestError(21611)
        box.store.add_message(message)
    box.store.arrivals.append(_arrival(message))
    box.store.touch()
    _plan(box, message, bool(overflow))
    return message


def _record(
    account: Account,
    order: Order,
    body: str,
    sender: Number | None,
    service: Service | None,
    direction: str,
) -> Message:
    status = "queued"
    if service is not None:
        status = "scheduled" if order.send_at else "accepted"
    return Message(
        account_sid=account.sid,
        to=order.to,
        from_=order.from_ or (None if service else sender.phone if sender else None),
        body=body,
        direction=direction,
        status=status,
        sid=new_sid("MM" if order.media_urls else "SM"),
        num_segments=1 if order.media_urls else segments.count(body),
        media_urls=list(order.media_urls),
        service_sid=service.sid if service else None,
        status_callback=order.status_callback or (service.status_callback if service else None),
        validity_period=order.validity_period,
        send_at=order.send_at,
        history=[status],
    )


def _test_message(account: Account, order: Order) -> Message:
    """Test credentials: nothing is sent and no callback follows."""
    check_magic(order)
    return _record(account, order, order.body, None, None, "outbound-api")


def _book(box: Sandbox, message: Message, sender: Number | None, service: Service | None) -> bool:
    """Take the next slot of the sender's queue; True if ten hours are waiting already."""
    if sender is None:
        return False
    if service is not None and message.from_ is None:
        pool = box.store.numbers_of(service.sid)
        sender = min(pool, key=lambda n: (n.next_slot_at, n.phone)) if pool else sender
    now = box.clock.now()
    start = max(now, sender.next_slot_at)
    if start - now > QUEUE_SECONDS:
        return True
    sender.next_slot_at = start + message.num_segments / sender.segments_per_second
    message.slot_at = start
    message.sender = sender.phone
    return False


def _arrival(message: Message) -> dict[str, object]:
    return {
        "sid": message.sid,
        "to": message.to,
        "from": message.from_,
        "service": message.service_sid,
        "segments": message.num_segments,
        "body": message.body,
        "at": time.time(),
    }


def _plan(box: Sandbox, message: Message, overflow: bool) -> None:
    """Arrange everything that will happen to a text that was taken."""
    if message.status == "scheduled" and message.send_at is not None:
        wait = (message.send_at - datetime.now(UTC)).total_seconds()
        box.scheduler.after(wait, lambda: _release(box, message))
        return
    if overflow:
        box.scheduler.after(box.delays.sent, lambda: finish(box, message, "failed", 30001))
        return
    if box.faults.chance(box.faults.webhooks.early_callbacks):
        _sent(box, message, wait=True)
        return
    if message.service_sid:
        box.scheduler.after(0, lambda: _advance(box, message, "queued"))
    wait = message.slot_at - box.clock.now()
    if wait > message.validity_period:
        box.scheduler.after(message.validity_period, lambda: finish(box, message, "failed", 30001))
        return
    box.scheduler.after(wait + box.delays.sent, lambda: _leave(box, message))


def _leave(box: Sandbox, message: Message) -> None:
    """Its turn has come. The files of an MMS are fetched first, as Twilio does."""
    if not message.media_urls:
        _sent(box, message)
        return

    def fetch() -> None:
        problem = pictures.problem(box, message)
        if problem:
            finish(box, message, "failed", problem)
        else:
            _sent(box, message)

    box.submit(fetch)


def _release(box: Sandbox, message: Message) -> None:
    if message.status != "scheduled":
        return
    service = box.store.services.get(message.service_sid or "")
    pool = box.store.numbers_of(service.sid) if service else []
    if not pool:
        finish(box, message, "failed", 30008)
        return
    _advance(box, message, "accepted")
    with box.store.lock:
        overflow = _book(box, message, pool[0], service)
    _plan(box, message, overflow)


def _sent(box: Sandbox, message: Message, wait: bool = False) -> None:
    if message.status in ("canceled", "failed"):
        return
    if message.sender:
        box.store.assign_sender(message, message.sender)
    plan = box.store.phone(message.to)
    outcome, code = "delivered", None
    if plan.outcome != "delivered" and plan_counts(box, message.to):
        outcome, code = plan.outcome, plan.error_code
    if outcome == "failed":
        finish(box, message, "failed", code or 30008)
        return
    message.date_sent = utcnow()
    shuffle = box.faults.chance(box.faults.webhooks.shuffle_callbacks)
    later = box.delays.delivered
    hold = later + box.faults.uniform(0.2, 1.0) if shuffle else 0.0
    _advance(box, message, "sent", hold, wait)
    if outcome != "sent":
        box.scheduler.after(later, lambda: finish(box, message, outcome, code))
    box.scheduler.after(later + box.delays.price, lambda: _price(message))


def finish(box: Sandbox, message: Message, status: str, code: int | None = None) -> None:
    """Give a text its last status, with Twilio's error code where there is one."""
    if message.status == "canceled":
        return
    if status != "delivered":
        message.error_code = code
        message.error_message = DELIVERY.get(code or 0, "Unknown error") if code else None
    _advance(box, message, status)


def _price(message: Message) -> None:
    if message.price is None:
        each = PRICE_PER_MMS if message.media_urls else PRICE_PER_SEGMENT
        message.price = f"-{each * message.num_segments:.5f}"


def _advance(
    box: Sandbox, message: Message, status: str, hold: float = 0.0, wait: bool = False
) -> None:
    message.status = status
    message.history.append(status)
    message.date_updated = utcnow()
    box.store.touch()
    if not message.status_callback or status == "accepted":
        return
    params = callback_params(message, status)
    account = box.account(message.account_sid)
    url = message.status_callback

    def post() -> None:
        box.notify(account, url, "POST", params, "message status", message.sid)

    if wait:
        post()
    elif hold:
        box.later(hold, post)
    else:
        box.submit(post)


def callback_params(message: Message, status: str) -> list[tuple[str, str]]:
    """The form of a status callback; ErrorCode only for failed and undelivered."""
    params = [
        ("SmsSid", message.sid),
        ("SmsStatus", status),
        ("MessageStatus", status),
        ("To", message.to),
        ("MessageSid", message.sid),
        ("AccountSid", message.account_sid),
        ("From", message.from_ or ""),
        ("ApiVersion", API_VERSION),
    ]
    if message.service_sid:
        params.append(("MessagingServiceSid", message.service_sid))
    if status in ("failed", "undelivered") and message.error_code:
        params.append(("ErrorCode", str(message.error_code)))
    if status in ("delivered", "undelivered"):
        params.append(("RawDlrDoneDate", utcnow().strftime("%y%m%d%H%M")))
    return params


def change(box: Sandbox, message: Message, form: Mapping[str, str]) -> None:
    """Redact (`Body=`) or cancel (`Status=canceled`) a text; raises RestError."""
    cancel = form.get("Status") == "canceled"
    redact = "Body" in form
    if cancel and redact:
        raise RestError(30400)
    if cancel:
        with box.store.lock:
            if message.status != "scheduled":
                raise RestError(30409, status=409)
            message.status = "canceled"
        _advance(box, message, "canceled")
    elif redact:
        message.body = form["Body"]
        message.date_updated = utcnow()
