"""What a create asks for, and what Twilio refuses at once.

By Twilio's documentation 'Messages resource', 'Test credentials' and the error dictionary.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from .core import Sandbox
from .errors import RestError
from .records import Account, Number, Service

_PHONE = re.compile(r"\+[1-9]\d{7,14}")
_MAGIC_FROM = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
_MAGIC_TO = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}


@dataclass
class Order:
    """The parameters of a create, as they came."""

    to: str = ""
    from_: str = ""
    service_sid: str = ""
    body: str = ""
    media_urls: list[str] = field(default_factory=list)
    status_callback: str | None = None
    validity_period: int = 36000
    send_at: datetime | None = None


def check_content(order: Order) -> None:
    """Refuse what no account may ask for; raises RestError."""
    if not order.to:
        raise RestError(21604)
    if not order.from_ and not order.service_sid:
        raise RestError(21603)
    if not order.body and not order.media_urls:
        raise RestError(21602)
    if len(order.body.encode("utf-16-le")) // 2 > 1600:
        raise RestError(21617)
    if len(order.media_urls) > 10:
        raise RestError(21623)
    if any(not u.startswith(("http://", "https://")) for u in order.media_urls):
        raise RestError(21620)
    if order.status_callback and not _good_url(order.status_callback):
        raise RestError(21609, url=order.status_callback)
    if not 1 <= order.validity_period <= 36000:
        raise RestError(21624)
    if order.send_at is not None:
        _check_schedule(order.send_at, bool(order.service_sid))


def _check_schedule(send_at: datetime, has_service: bool) -> None:
    if not has_service:
        raise RestError(35118)
    wait = send_at - datetime.now(UTC)
    if wait <= timedelta(seconds=300):
        raise RestError(35114)
    if wait > timedelta(days=35):
        raise RestError(35115)


def _good_url(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "_" not in parts.netloc


def find_service(box: Sandbox, account: Account, order: Order) -> Service | None:
    """The messaging service of the order; None without one. Raises 21701."""
    if not order.service_sid:
        return None
    service = box.store.services.get(order.service_sid)
    if service is None or service.account_sid != account.sid:
        raise RestError(21701)
    return service


def find_sender(box: Sandbox, account: Account, order: Order) -> Number | None:
    """The number that sends; any of the pool for a service. Raises RestError."""
    if order.from_:
        number = box.store.numbers.get(order.from_)
        if number is None:
            valid = _PHONE.fullmatch(order.from_) or re.fullmatch(r"\d{5,6}", order.from_)
            raise RestError(21606 if valid else 21212, from_=order.from_)
        if number.account_sid != account.sid:
            raise RestError(21660, from_=order.from_, account=account.sid)
        return number
    pool = box.store.numbers_of(order.service_sid)
    if not pool:
        raise RestError(21704)
    return min(pool, key=lambda n: (n.next_slot_at, n.phone))


def check_recipient(
    box: Sandbox, account: Account, order: Order, sender: Number | None, service: Service | None
) -> None:
    """Refuse a recipient who cannot or must not be texted; raises RestError."""
    if re.fullmatch(r"\d{3,6}", order.to):
        raise RestError(21265, to=order.to)
    if not _PHONE.fullmatch(order.to):
        raise RestError(21211, to=order.to)
    if sender and sender.phone == order.to:
        raise RestError(21266, to=order.to)
    if account.trial and order.to not in _verified(box, account):
        raise RestError(21608, to=order.to)
    scope = service.sid if service else None
    number = sender.phone if sender and not service else None
    if box.store.is_opted_out(order.to, number or order.from_ or None, scope):
        raise RestError(21610)
    plan = box.store.phones.get(order.to)
    if plan and plan.create_error and plan_counts(box, order.to):
        raise RestError(plan.create_error, to=order.to, from_=order.from_)


def _verified(box: Sandbox, account: Account) -> set[str]:
    ids = list(box.store.caller_ids.values())
    return {c.phone for c in ids if c.account_sid == account.sid}


def plan_counts(box: Sandbox, phone: str) -> bool:
    """Whether the plan of this phone applies once more (`times`)."""
    plan = box.store.phone(phone)
    with box.store.lock:
        if plan.times is None:
            return True
        if plan.times <= 0:
            return False
        plan.times -= 1
        return True


def check_magic(order: Order) -> None:
    """The magic numbers of test credentials; raises RestError as they ask for."""
    if order.from_ != "+15005550006":
        raise RestError(_MAGIC_FROM.get(order.from_, 21606), from_=order.from_)
    if order.to in _MAGIC_TO:
        raise RestError(_MAGIC_TO[order.to], to=order.to)
    check_content(order)
    if not _PHONE.fullmatch(order.to):
        raise RestError(21211, to=order.to)
