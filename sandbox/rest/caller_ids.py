"""Caller IDs: numbers of others, verified by a call, that may be shown as caller."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from functools import partial
from typing import Any

from flask import Flask, Response, request

from .. import verification
from ..clock import rfc2822
from ..core import API_VERSION, Sandbox
from ..errors import RestError
from ..records import Account, CallerId, new_sid
from .base import reply, signed_in
from .numbers import pretty
from .resource import ACCOUNT, Resource, add


def shown(caller: CallerId) -> dict[str, Any]:
    """A verified number as Twilio's JSON."""
    return {
        "sid": caller.sid,
        "account_sid": caller.account_sid,
        "phone_number": caller.phone,
        "friendly_name": caller.friendly_name,
        "date_created": rfc2822(caller.date_created),
        "date_updated": rfc2822(caller.date_created),
        "uri": f"/{API_VERSION}/Accounts/{caller.account_sid}/OutgoingCallerIds/{caller.sid}.json",
    }


def register(app: Flask, box: Sandbox) -> None:
    """Verify, list, fetch, rename, delete."""

    @app.post(f"{ACCOUNT}/OutgoingCallerIds.json", endpoint="OutgoingCallerIds.verify")
    @signed_in(box)
    def verify(account: Account) -> Response:
        plan = _plan(box, account)
        verification.begin(box, plan)
        return reply(
            {
                "account_sid": account.sid,
                "call_sid": plan.call_sid,
                "friendly_name": plan.friendly_name,
                "phone_number": plan.phone,
                "validation_code": plan.code,
            }
        )

    def rename(caller: CallerId) -> None:
        caller.friendly_name = request.form.get("FriendlyName", caller.friendly_name)

    caller_ids = Resource(
        "OutgoingCallerIds", "outgoing_caller_ids", box.store.caller_ids.get,
        partial(_matching, box), shown, rename, lambda one: box.store.caller_ids.pop(one.sid),
    )  # fmt: skip
    add(app, box, caller_ids)


def _matching(box: Sandbox, account: Account) -> Iterator[CallerId]:
    phone, name = request.args.get("PhoneNumber"), request.args.get("FriendlyName")
    for caller in list(box.store.caller_ids.values()):
        if (
            caller.account_sid == account.sid
            and (not phone or caller.phone == phone)
            and (not name or caller.friendly_name == name)
        ):
            yield caller


def _plan(box: Sandbox, account: Account) -> verification.Plan:
    """Read what is to be verified and how; raises 21217 and 21450."""
    phone = request.form.get("PhoneNumber", "")
    if not re.fullmatch(r"\+[1-9]\d{7,14}", phone):
        raise RestError(21217, to=phone)
    known = list(box.store.caller_ids.values())
    if any(one.phone == phone and one.account_sid == account.sid for one in known):
        raise RestError(21450, to=phone)
    return verification.Plan(
        account=account,
        phone=phone,
        friendly_name=request.form.get("FriendlyName", "") or pretty(phone),
        code=f"{secrets.randbelow(10**6):06d}",
        delay=float(request.form.get("CallDelay", "0") or 0),
        callback=request.form.get("StatusCallback") or None,
        method=request.form.get("StatusCallbackMethod", "POST"),
        call_sid=new_sid("CA"),
    )
