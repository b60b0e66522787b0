"""Caller IDs: numbers of others, verified by a call, that may be shown as caller."""

from __future__ import annotations

import re
import secrets
from typing import Any

from flask import Flask, Response, request

from .. import verification
from ..clock import rfc2822
from ..core import API_VERSION, Sandbox
from ..errors import RestError
from ..records import Account, CallerId, new_sid
from .base import page_2010, reply, signed_in
from .numbers import pretty

ACCOUNT = f"/{API_VERSION}/Accounts/<account_sid>"


def register(app: Flask, box: Sandbox) -> None:
    """Verify, list, fetch, rename, delete."""

    def shown_id(caller: CallerId) -> dict[str, Any]:
        return {
            "sid": caller.sid,
            "account_sid": caller.account_sid,
            "phone_number": caller.phone,
            "friendly_name": caller.friendly_name,
            "date_created": rfc2822(caller.date_created),
            "date_updated": rfc2822(caller.date_created),
            "uri": f"/{API_VERSION}/Accounts/{caller.account_sid}/OutgoingCallerIds/"
            f"{caller.sid}.json",
        }

    def find(account: Account, sid: str) -> CallerId:
        caller = box.store.caller_ids.get(sid)
        if caller is None or caller.account_sid != account.sid:
            raise RestError(20404, path=request.path)
        return caller

    @app.get(f"{ACCOUNT}/OutgoingCallerIds.json", endpoint="caller_ids.list")
    @signed_in(box)
    def listing(account: Account) -> Response:
        phone, name = request.args.get("PhoneNumber"), request.args.get("FriendlyName")
        rows = [
            c
            for c in list(box.store.caller_ids.values())
            if c.account_sid == account.sid
            and (not phone or c.phone == phone)
            and (not name or c.friendly_name == name)
        ]
        return page_2010("outgoing_caller_ids", rows, lambda c: c.sid, shown_id)

    @app.post(f"{ACCOUNT}/OutgoingCallerIds.json", endpoint="caller_ids.verify")
    @signed_in(box)
    def verify(account: Account) -> Response:
        phone = request.form.get("PhoneNumber", "")
        if not re.fullmatch(r"\+[1-9]\d{7,14}", phone):
            raise RestError(21217, to=phone)
        if any(
            c.phone == phone and c.account_sid == account.sid
            for c in list(box.store.caller_ids.values())
        ):
            raise RestError(21450, to=phone)
        code = f"{secrets.randbelow(10**6):06d}"
        plan = verification.Plan(
            account=account,
            phone=phone,
            friendly_name=request.form.get("FriendlyName", "") or pretty(phone),
            code=code,
            delay=float(request.form.get("CallDelay", "0") or 0),
            callback=request.form.get("StatusCallback") or None,
            method=request.form.get("StatusCallbackMethod", "POST"),
            call_sid=new_sid("CA"),
        )
        verification.begin(box, plan)
        return reply(
            {
                "account_sid": account.sid,
                "call_sid": plan.call_sid,
                "friendly_name": plan.friendly_name,
                "phone_number": phone,
                "validation_code": code,
            }
        )

    @app.get(f"{ACCOUNT}/OutgoingCallerIds/<sid>.json", endpoint="caller_ids.fetch")
    @signed_in(box)
    def fetch(account: Account, sid: str) -> Response:
        return reply(shown_id(find(account, sid)))

    @app.post(f"{ACCOUNT}/OutgoingCallerIds/<sid>.json", endpoint="caller_ids.update")
    @signed_in(box)
    def update(account: Account, sid: str) -> Response:
        caller = find(account, sid)
        caller.friendly_name = request.form.get("FriendlyName", caller.friendly_name)
        return reply(shown_id(caller))

    @app.delete(f"{ACCOUNT}/OutgoingCallerIds/<sid>.json", endpoint="caller_ids.delete")
    @signed_in(box)
    def delete(account: Account, sid: str) -> Response:
        del box.store.caller_ids[find(account, sid).sid]
        return Response(status=204)
