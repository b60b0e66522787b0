"""`/sandbox/…`: what the page, tests and benches use to act as people and to switch faults.

JSON in and out. A mistake is answered with 400 and a sentence under `error`.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException

from . import texts, views
from .core import Delays, Sandbox
from .records import Account, Number, Phone
from .rest.base import is_rest, reply
from .rest.numbers import kind_of
from .seed import point_at
from .voice import incoming

LONG_POLL_SECONDS = 20.0
OUTCOMES = {"delivered", "undelivered", "failed", "sent"}
ANSWERS = {"ask", "person", "machine", "fax", "busy", "no-answer", "failed", "unknown"}


class Mistake(Exception):
    """A control request that makes no sense; the text says why."""


def body() -> dict[str, Any]:
    """The JSON object of a control request (the content type is required, so that no form on
    another site can send one)."""
    data = request.get_json(silent=True)
    if not isinstance(data, dict):
        raise Mistake("Send a JSON object with Content-Type: application/json.")
    return data


def text(data: dict[str, Any], name: str, default: str | None = None) -> str:
    """A string of a control request."""
    value = data.get(name, default)
    if not isinstance(value, str):
        raise Mistake(f"{name} must be a string.")
    return value


def register(app: Flask, box: Sandbox) -> None:
    """Add the control routes."""

    @app.errorhandler(Mistake)
    def mistaken(error: Mistake) -> Response:
        return reply({"error": str(error)}, 400)

    @app.errorhandler(HTTPException)
    def plain(error: HTTPException) -> Response:
        status, words = error.code or 500, error.description or error.name
        if not is_rest(request.path):
            return reply({"error": words}, status)
        missing = f"The requested resource {request.path} was not found"
        code, message = (20404, missing) if status == 404 else (20001, words)
        return reply({"code": code, "message": message, "status": status}, status)

    _register_people(app, box)
    _register_state(app, box)
    _register_switches(app, box)
    _register_accounts(app, box)


def _register_people(app: Flask, box: Sandbox) -> None:
    @app.post("/sandbox/texts")
    def send_text() -> Response:
        """A person texts a number: from, to, body, media [{contentType, data}], wait."""
        data = body()
        try:
            message, visit = texts.receive(
                box, text(data, "from"), text(data, "to"), text(data, "body", ""), _media(data)
            )
        except LookupError as error:
            raise Mistake(str(error)) from error
        if visit is None or message is None:
            return reply({"sid": None, "note": "The service has no inbound URL."}, 201)
        run = visit
        if data.get("wait"):
            texts.run(box, run)
        else:
            box.submit(lambda: texts.run(box, run))
        return reply({"sid": message.sid}, 201)

    @app.post("/sandbox/calls")
    def place_call() -> Response:
        """A person calls a number: from, to, attended (the page hangs up, not the plan)."""
        data = body()
        try:
            call = incoming.place(
                box, text(data, "from"), text(data, "to"), bool(data.get("attended"))
            )
        except LookupError as error:
            raise Mistake(str(error)) from error
        return reply(views.call(call), 201)

    @app.get("/sandbox/calls/<sid>")
    def see_call(sid: str) -> Response:
        call = box.store.calls.get(sid)
        return reply(views.call(call)) if call else reply({"error": "No such call."}, 404)

    @app.post("/sandbox/calls/<sid>/<act>")
    def act_on_call(sid: str, act: str) -> Response:
        """digits {digits}, speech {text}, hangup, answer {as}."""
        inbox = box.inboxes.get(sid)
        if inbox is None:
            raise Mistake("This call has ended.")
        inbox.put(_act(act, request.get_json(silent=True) or {}))
        return reply({"ok": True})

    @app.put("/sandbox/phones/<phone>")
    def plan_phone(phone: str) -> Response:
        """How a phone answers calls and what becomes of texts to it (see README)."""
        return reply(_changed(body(), lambda data: _plan(box, phone, data)))


def _act(act: str, data: dict[str, Any]) -> tuple[str, str]:
    """What somebody does on the telephone, as the call's line hears it."""
    if act not in ("digits", "speech", "answer", "hangup"):
        abort(404)
    if act == "digits":
        digits = text(data, "digits")
        if not digits or set(digits) - set("0123456789*#"):
            raise Mistake("digits are 0 to 9, * and #.")
        return "digits", digits
    if act == "speech":
        return "speech", text(data, "text")
    if act == "answer":
        how = text(data, "as", "person")
        if how not in ANSWERS - {"ask"}:
            raise Mistake(f"as is one of {', '.join(sorted(ANSWERS - {'ask'}))}.")
        return "answer", how
    return "hangup", "caller"


def _media(data: dict[str, Any]) -> list[tuple[str, bytes]]:
    files = []
    for item in data.get("media") or []:
        try:
            content = base64.b64decode(item["data"], validate=True)
            files.append((str(item["contentType"]), content))
        except (KeyError, TypeError, binascii.Error) as error:
            raise Mistake("media is a list of {contentType, data in base64}.") from error
    return files


def _changed(data: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> object:
    try:
        return change(data)
    except (TypeError, ValueError) as error:
        raise Mistake(str(error)) from error


def _plan(box: Sandbox, phone: str, data: dict[str, Any]) -> dict[str, Any]:
    known = set(Phone.__dataclass_fields__) - {"phone"}
    if set(data) - known:
        raise Mistake(f"A phone has {', '.join(sorted(known))}.")
    if data.get("answers", "ask") not in ANSWERS:
        raise Mistake(f"answers is one of {', '.join(sorted(ANSWERS))}.")
    if data.get("outcome", "delivered") not in OUTCOMES:
        raise Mistake(f"outcome is one of {', '.join(sorted(OUTCOMES))}.")
    if data.get("machine_ends", "beep") not in ("beep", "silence", "other"):
        raise Mistake("machine_ends is beep, silence or other.")
    plan = box.store.phone(phone)
    for name, value in data.items():
        setattr(plan, name, value)
    box.store.touch()
    return vars(plan)


def _register_state(app: Flask, box: Sandbox) -> None:
    @app.get("/sandbox/feed")
    def feed() -> Response:
        """All that the page shows for one phone; waits for a change after `since`."""
        phone = request.args.get("phone", "")
        since = request.args.get("since", "")
        if phone:
            box.store.watched[phone] = time.monotonic()
        if since.isdigit():
            box.store.wait_for_change(int(since), LONG_POLL_SECONDS / 4)
        if phone:
            box.store.watched[phone] = time.monotonic()
        return reply(views.feed(box, phone))

    @app.get("/sandbox/arrivals")
    def arrivals() -> Response:
        """Every text and call that the REST API accepted, in order, with epoch seconds."""
        start = request.args.get("from", "0")
        rows = box.store.arrivals[int(start) if start.isdigit() else 0 :]
        return reply({"items": rows, "next": len(box.store.arrivals)})

    @app.get("/sandbox/exchanges")
    def exchanges() -> Response:
        """The log of webhook requests, newest first: all parameters, headers that matter."""
        return reply({"items": [views.exchange(e) for e in reversed(box.store.exchanges)]})

    @app.get("/sandbox/alerts")
    def alerts() -> Response:
        """The debugger, newest first."""
        return reply({"items": [views.alert(a) for a in reversed(box.store.alerts)]})


def _register_switches(app: Flask, box: Sandbox) -> None:
    @app.get("/sandbox/faults")
    def faults() -> Response:
        return reply(box.faults.as_dict())

    @app.put("/sandbox/faults")
    def set_faults() -> Response:
        _changed(body(), box.faults.update)
        box.store.touch()
        return reply(box.faults.as_dict())

    @app.delete("/sandbox/faults")
    def clear_faults() -> Response:
        box.faults.clear()
        box.store.touch()
        return reply(box.faults.as_dict())

    @app.put("/sandbox/time")
    def set_time() -> Response:
        """speed (simulated seconds per second) and the delays of texts and calls."""
        data = body()
        known = set(Delays.__dataclass_fields__)
        if set(data) - known - {"speed"}:
            raise Mistake(f"time has speed, {', '.join(sorted(known))}.")
        if any(not isinstance(v, int | float) or v < 0 for v in data.values()):
            raise Mistake("Every time is a number of seconds, 0 or more.")
        if "speed" in data:
            if data["speed"] == 0:
                raise Mistake("speed must be above 0.")
            box.clock.set_speed(float(data["speed"]))
            box.scheduler.poke()
        for name in known & set(data):
            setattr(box.delays, name, float(data[name]))
        return reply({"speed": box.clock.speed, **vars(box.delays)})


def _register_accounts(app: Flask, box: Sandbox) -> None:
    @app.put("/sandbox/accounts/<sid>")
    def set_account(sid: str) -> Response:
        """Create or change an account: auth_token, api_keys, trial, parent_sid, …"""
        return reply(_changed(body(), lambda data: _account(box, sid, data)))

    @app.put("/sandbox/numbers/<phone>")
    def set_number(phone: str) -> Response:
        """Give a number to an account: account_sid, kind, rate, service_sid, URLs; with
        `app_url` its webhooks point at that application."""
        return reply(_changed(body(), lambda data: _number(box, phone, data)))

    @app.put("/sandbox/services/<sid>")
    def set_service(sid: str) -> Response:
        """Switch what the REST API does not offer: advanced_opt_out."""
        service = box.store.services.get(sid)
        if service is None:
            raise Mistake(f"There is no messaging service {sid}.")
        service.advanced_opt_out = bool(body().get("advanced_opt_out"))
        return reply({"sid": sid, "advanced_opt_out": service.advanced_opt_out})


def _account(box: Sandbox, sid: str, data: dict[str, Any]) -> dict[str, Any]:
    known = set(Account.__dataclass_fields__) - {"sid", "next_call_at"}
    if set(data) - known:
        raise Mistake(f"An account has {', '.join(sorted(known))}.")
    account = box.store.accounts.get(sid)
    if account is None:
        account = Account(sid=sid, auth_token=text(data, "auth_token"))
        box.store.accounts[sid] = account
    for name, value in data.items():
        setattr(account, name, value)
    box.store.touch()
    return vars(account)


def _number(box: Sandbox, phone: str, data: dict[str, Any]) -> dict[str, Any]:
    known = set(Number.__dataclass_fields__) - {"phone", "sid", "next_slot_at"}
    known -= {"date_created", "date_updated"}
    if set(data) - known - {"app_url"}:
        raise Mistake(f"A number has app_url, {', '.join(sorted(known))}.")
    number = box.store.numbers.get(phone)
    if number is None:
        sid = text(data, "account_sid", box.settings.account_sid)
        number = Number(phone=phone, account_sid=sid, kind=kind_of(phone))
    if "app_url" in data:
        point_at(number, text(data, "app_url"))
    for name in set(data) - {"app_url"}:
        setattr(number, name, data[name])
    if number.account_sid not in box.store.accounts:
        raise Mistake(f"There is no account {number.account_sid}.")
    box.store.numbers[phone] = number
    box.store.touch()
    return {"sid": number.sid, "phone": phone, "kind": number.kind}
