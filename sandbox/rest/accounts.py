"""The account itself, its balance, and what it has used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flask import Flask, Response, request

from ..clock import iso8601, rfc2822, utcnow
from ..core import API_VERSION, Sandbox
from ..errors import RestError
from ..records import Account, Call, Message
from .base import page_2010, reply, signed_in
from .resource import ACCOUNT

STARTED_WITH = 100.0
"""What a demo account has before it sends anything, in US dollars."""
_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
_MONTHLY = {"long_code": 1.15, "toll_free": 2.15, "short_code": 1000.0}


def shown(account: Account) -> dict[str, Any]:
    """An account as Twilio's JSON."""
    uri = f"/{API_VERSION}/Accounts/{account.sid}"
    return {
        "sid": account.sid,
        "owner_account_sid": account.parent_sid or account.sid,
        "friendly_name": account.friendly_name,
        "auth_token": account.auth_token,
        "status": "active",
        "type": "Trial" if account.trial else "Full",
        "date_created": rfc2822(_SINCE),
        "date_updated": rfc2822(_SINCE),
        "subresource_uris": {
            "balance": f"{uri}/Balance.json",
            "calls": f"{uri}/Calls.json",
            "messages": f"{uri}/Messages.json",
            "incoming_phone_numbers": f"{uri}/IncomingPhoneNumbers.json",
        },
        "uri": f"{uri}.json",
    }


def register(app: Flask, box: Sandbox) -> None:
    """Fetch the account, its balance, its usage by category."""

    @app.get(f"{ACCOUNT}.json", endpoint="Accounts.fetch")
    @signed_in(box)
    def fetch(account: Account) -> Response:
        return reply(shown(account))

    @app.get(f"{ACCOUNT}/Balance.json", endpoint="Accounts.balance")
    @signed_in(box)
    def balance(account: Account) -> Response:
        spent = sum(-float(one.price) for one in _log(box, account) if one.price)
        text = f"{STARTED_WITH - spent:.2f}"
        return reply({"account_sid": account.sid, "balance": text, "currency": "USD"})

    @app.get(f"{ACCOUNT}/Usage/Records.json", endpoint="Accounts.usage")
    @app.get(f"{ACCOUNT}/Usage/Records/ThisMonth.json", endpoint="Accounts.this_month")
    @signed_in(box)
    def usage(account: Account) -> Response:
        begin = utcnow().date().replace(day=1) if request.path.endswith("ThisMonth.json") else None
        rows = list(_records(box, account, begin))
        return page_2010("usage_records", rows, lambda row: str(row["category"]), lambda row: row)


def _log(box: Sandbox, account: Account) -> Iterator[Message | Call]:
    rows: list[Message | Call] = [*box.store.messages.values()]
    for one in [*rows, *box.store.calls.values()]:
        if one.account_sid == account.sid:
            yield one


def _records(box: Sandbox, account: Account, begin: date | None) -> Iterator[dict[str, Any]]:
    first = _day("StartDate") or begin or _SINCE.date()
    last = _day("EndDate") or utcnow().date()
    asked = request.args.get("Category")
    rows = [one for one in _log(box, account) if first <= one.date_created.date() <= last]
    texts = [one for one in rows if isinstance(one, Message)]
    calls = [one for one in rows if isinstance(one, Call)]
    sms = [one for one in texts if not one.media and not one.media_urls]
    incoming, outgoing = _ways(sms)
    media = [one for one in texts if one.media or one.media_urls]
    minutes = sum(-(-(one.duration or 0) // 60) for one in calls)
    own = [n for n in list(box.store.numbers.values()) if n.account_sid == account.sid]
    monthly = sum(_MONTHLY[number.kind] for number in own)
    found: list[tuple[str, str, int, float, float]] = [
        ("sms", "segments", len(sms), _segments(sms), _price(sms)),
        ("sms-inbound", "segments", len(incoming), _segments(incoming), _price(incoming)),
        ("sms-outbound", "segments", len(outgoing), _segments(outgoing), _price(outgoing)),
        ("mms", "messages", len(media), len(media), _price(media)),
        ("calls", "minutes", len(calls), minutes, _price(calls)),
        ("phonenumbers", "numbers", len(own), len(own), monthly),
        ("totalprice", "usd", 0, _price(rows) + monthly, _price(rows) + monthly),
    ]
    for category, unit, count, used, price in found:
        if asked in (None, "", category):
            yield {
                "account_sid": account.sid,
                "api_version": API_VERSION,
                "as_of": iso8601(utcnow()),
                "category": category,
                "description": category,
                "count": str(count),
                "count_unit": unit,
                "usage": f"{used:g}",
                "usage_unit": unit,
                "price": f"{price:.5f}",
                "price_unit": "usd",
                "start_date": first.isoformat(),
                "end_date": last.isoformat(),
                "subresource_uris": {},
                "uri": f"{request.path}?Category={category}",
            }


def _ways(texts: list[Message]) -> tuple[list[Message], list[Message]]:
    incoming = [one for one in texts if one.direction == "inbound"]
    return incoming, [one for one in texts if one.direction != "inbound"]


def _segments(texts: list[Message]) -> int:
    return sum(one.num_segments for one in texts)


def _price(rows: Iterable[Message | Call]) -> float:
    return sum(-float(one.price) for one in rows if one.price)


def _day(name: str) -> date | None:
    """A bound of the time asked for: `2026-11-21`, or days from today such as `-30days`."""
    text = request.args.get(name, "")
    try:
        if text.endswith("days"):
            return utcnow().date() + timedelta(days=int(text.removesuffix("days")))
        return date.fromisoformat(text) if text else None
    except (ValueError, OverflowError) as error:
        raise RestError(20001) from error
