"""Calls: create, fetch, list, update, delete."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from flask import Flask, Response, request

from ..clock import rfc2822
from ..core import API_VERSION, Sandbox
from ..errors import RestError
from ..records import Account, Call
from ..voice import outgoing
from ..voice.line import ENDS
from .base import reply, signed_in
from .numbers import pretty
from .resource import ACCOUNT, Resource, add


def shown(call: Call) -> dict[str, Any]:
    """A call as Twilio's JSON."""
    uri = f"/{API_VERSION}/Accounts/{call.account_sid}/Calls/{call.sid}"
    return {
        "sid": call.sid,
        "account_sid": call.account_sid,
        "api_version": API_VERSION,
        "status": call.status,
        "direction": call.direction,
        "from": call.from_,
        "from_formatted": pretty(call.from_),
        "to": call.to,
        "to_formatted": pretty(call.to),
        "date_created": rfc2822(call.date_created),
        "date_updated": rfc2822(call.date_updated),
        "start_time": rfc2822(call.start_time),
        "end_time": rfc2822(call.end_time),
        "duration": None if call.duration is None else str(call.duration),
        "price": call.price,
        "price_unit": "USD",
        "answered_by": call.answered_by,
        "parent_call_sid": call.parent_call_sid,
        "phone_number_sid": call.phone_number_sid,
        "forwarded_from": None,
        "caller_name": None,
        "group_sid": None,
        "queue_time": "0",
        "trunk_sid": None,
        "annotation": None,
        "subresource_uris": {"recordings": f"{uri}/Recordings.json"},
        "uri": f"{uri}.json",
    }


def register(app: Flask, box: Sandbox) -> None:
    """Add the resource."""

    def remove(call: Call) -> None:
        if call.status not in ENDS:
            raise RestError(20009)
        del box.store.calls[call.sid]

    @app.post(f"{ACCOUNT}/Calls.json", endpoint="Calls.create")
    @signed_in(box, test_allowed=True)
    def create(account: Account) -> Response:
        outgoing.check(box, account, request.form)
        events = " ".join(request.form.getlist("StatusCallbackEvent")).split()
        call = outgoing.record(account, request.form, events)
        if not account.test:
            outgoing.enqueue(box, account, call)
        return reply(shown(call), 201)

    calls = Resource(
        "Calls", "calls", box.store.calls.get, partial(_matching, box), shown,
        change=lambda call: outgoing.update(box, call, request.form), remove=remove,
    )  # fmt: skip
    add(app, box, calls)


def _matching(box: Sandbox, account: Account) -> Iterator[Call]:
    args = request.args
    for call in reversed(list(box.store.calls.values())):
        if call.account_sid != account.sid:
            continue
        if args.get("To") not in (None, "", call.to):
            continue
        if args.get("From") not in (None, "", call.from_):
            continue
        if args.get("Status") not in (None, "", call.status):
            continue
        if args.get("ParentCallSid") not in (None, "", call.parent_call_sid):
            continue
        if all(
            _within(moment, args.get(name + op), op)
            for name, moment in (("StartTime", call.start_time), ("EndTime", call.end_time))
            for op in ("", "<", ">")
        ):
            yield call


def _within(moment: datetime | None, text: str | None, op: str) -> bool:
    """StartTime and EndTime filters; a day, or a moment, GMT, both bounds included."""
    if not text:
        return True
    if moment is None:
        return False
    try:
        if len(text) == 10:
            day, bound_day = moment.astimezone(UTC).date(), date.fromisoformat(text)
            return (
                day == bound_day if not op else day <= bound_day if op == "<" else day >= bound_day
            )
        bound = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise RestError(20001) from error
    bound = bound if bound.tzinfo else bound.replace(tzinfo=UTC)
    if not op:  # the libraries write a day as its midnight
        return moment.astimezone(UTC).date() == bound.astimezone(UTC).date()
    return moment <= bound if op == "<" else moment >= bound
