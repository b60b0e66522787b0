"""Calls that the account places through the REST API.

By Twilio's documentation 'Call resource' and 'Answering machine detection'.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from threading import Thread

from ..core import Sandbox
from ..errors import RestError
from ..orders import plan_counts
from ..records import Account, Call
from .line import ENDS, GREETING_SECONDS, Canceled, HungUp, Jump, Line
from .ring import ANSWERS, ring
from .run import program

_MAGIC_FROM = {"+15005550001": 21212}
_MAGIC_TO = {
    "+15005550001": 21217,
    "+15005550002": 21214,
    "+15005550003": 21215,
    "+15005550004": 21216,
}
_EVENTS = {"initiated", "ringing", "answered", "completed"}
_PREMIUM = re.compile(r"\+1(900\d{7}|\d{3}976\d{4}|[2-9]11)")
_RANGES = {
    "MachineDetectionTimeout": (3, 59),
    "MachineDetectionSpeechThreshold": (1000, 6000),
    "MachineDetectionSpeechEndThreshold": (500, 5000),
    "MachineDetectionSilenceTimeout": (2000, 10000),
}
DETECTION_SECONDS = {"person": 2.4, "machine": 3.6, "fax": 3.0}


def check(box: Sandbox, account: Account, form: Mapping[str, str]) -> None:
    """Refuse what Twilio would refuse at once; raises RestError."""
    to, from_ = form.get("To", "").strip(), form.get("From", "").strip()
    if not to:
        raise RestError(21201)
    if not from_:
        raise RestError(21213)
    if account.test:
        _check_magic(to, from_)
    elif from_ not in _callers(box, account):
        raise RestError(21210, from_=from_)
    if _PREMIUM.fullmatch(to):
        raise RestError(21202, to=to)
    if not re.fullmatch(r"\+[1-9]\d{7,14}", to):
        raise RestError(21217, to=to)
    _check_content(form)
    if account.trial and to not in _verified(box, account):
        raise RestError(21219, to=to)
    plan = box.store.phones.get(to)
    if plan and plan.create_error and plan_counts(box, to):
        raise RestError(plan.create_error, to=to, from_=from_)


def _check_magic(to: str, from_: str) -> None:
    if from_ != "+15005550006":
        raise RestError(_MAGIC_FROM.get(from_, 21210), from_=from_)
    if to in _MAGIC_TO:
        raise RestError(_MAGIC_TO[to], to=to)


def _check_content(form: Mapping[str, str]) -> None:
    url, text = form.get("Url", ""), form.get("Twiml", "")
    if len(text) > 4000:
        raise RestError(32018)
    if not text and not re.match(r"https?://[^/\s]+", url):
        raise RestError(21205, url=url)
    timeout = form.get("Timeout", "")
    if timeout and not (timeout.isdigit() and 1 <= int(timeout) <= 600):
        raise RestError(21208)
    for name, (low, high) in _RANGES.items():
        value = form.get(name, "")
        if value and not (value.isdigit() and low <= int(value) <= high):
            raise RestError(21234)
    if form.get("MachineDetection") not in (None, "", "Enable", "DetectMessageEnd"):
        raise RestError(21234)


def _verified(box: Sandbox, account: Account) -> set[str]:
    ids = list(box.store.caller_ids.values())
    return {c.phone for c in ids if c.account_sid == account.sid}


def _callers(box: Sandbox, account: Account) -> set[str]:
    numbers = list(box.store.numbers.values())
    own = {n.phone for n in numbers if n.account_sid == account.sid and n.kind != "short_code"}
    return own | _verified(box, account)


def record(account: Account, form: Mapping[str, str], events: list[str]) -> Call:
    """The call as it enters the log."""
    return Call(
        account_sid=account.sid,
        to=form["To"].strip(),
        from_=form["From"].strip(),
        direction="outbound-api",
        url=form.get("Url") or None,
        method=form.get("Method", "POST"),
        twiml=None if form.get("Url") else form.get("Twiml"),
        fallback_url=form.get("FallbackUrl") or None,
        fallback_method=form.get("FallbackMethod", "POST"),
        status_callback=form.get("StatusCallback") or None,
        status_callback_method=form.get("StatusCallbackMethod", "POST"),
        status_events=tuple(e for e in events if e in _EVENTS) or ("completed",),
        timeout=min(600, int(form.get("Timeout") or 60)),
        record=form.get("Record", "").lower() == "true",
        recording_status_callback=form.get("RecordingStatusCallback") or None,
        machine_detection=form.get("MachineDetection") or None,
        async_amd=form.get("AsyncAmd", "").lower() == "true",
        async_amd_callback=form.get("AsyncAmdStatusCallback") or None,
        send_digits=form.get("SendDigits", ""),
        history=["queued"],
    )


def enqueue(box: Sandbox, account: Account, call: Call) -> None:
    """Put a call into the account's queue: one call per second by default."""
    with box.store.lock:
        box.store.calls[call.sid] = call
        start = max(box.clock.now(), account.next_call_at)
        account.next_call_at = start + 1 / account.calls_per_second
    box.store.arrivals.append(
        {"sid": call.sid, "to": call.to, "from": call.from_, "at": time.time(), "call": True}
    )
    box.store.touch()

    def begin() -> None:
        if call.status == "queued":
            line = Line(box, call, box.store.phone(call.to))
            Thread(target=_run, args=(line,), name=f"call-{call.sid}", daemon=True).start()

    box.scheduler.at(start, begin)


def _run(line: Line) -> None:
    call = line.call
    try:
        line.dialing()
        line.hear("ringing", f"{call.from_} is calling.")
        answers = ring(line, call.to, call.timeout)
    except Canceled:
        line.end("canceled")
        return
    if answers not in ANSWERS:
        line.end(answers)
        return
    line.answer()
    line.fallbacks = [(call.fallback_url, call.fallback_method)]
    try:
        line.end(program(line, _first(line)))
    except HungUp:
        line.end("completed")


def _first(line: Line) -> Jump:
    """Wait for machine detection where it was asked for, then the first document."""
    call, extra = line.call, list[tuple[str, str]]()
    if line.how == "machine":
        line.greet("You have reached a voice mail box. Please speak after the tone.")
    if call.machine_detection and not call.send_digits:
        verdict, seconds = _verdict(line)
        if call.async_amd:
            _announce_later(line, verdict, seconds)
        else:
            line.hear("detection", "Silence while Twilio listens for a machine.")
            line.wait(seconds)
            call.answered_by = verdict
            extra = _amd_params(verdict, seconds)
    if call.twiml is not None:
        return Jump(None, twiml=call.twiml)
    return Jump(call.url, call.method, extra, kind="outgoing call")


def _verdict(line: Line) -> tuple[str, float]:
    """AnsweredBy and how long it takes to know it."""
    how, mode = line.how, line.call.machine_detection
    if how == "machine" and mode == "DetectMessageEnd":
        return f"machine_end_{line.plan.machine_ends}", GREETING_SECONDS
    names = {"person": "human", "machine": "machine_start", "fax": "fax"}
    return names.get(how, "unknown"), DETECTION_SECONDS.get(how, 5.0)


def _amd_params(verdict: str, seconds: float) -> list[tuple[str, str]]:
    return [
        ("AnsweredBy", verdict),
        ("MachineDetectionDuration", str(int(seconds * 1000))),
    ]


def _announce_later(line: Line, verdict: str, seconds: float) -> None:
    call, box = line.call, line.box
    if not call.async_amd_callback:
        box.alert(21262, "AsyncAmd without AsyncAmdStatusCallback.", call.sid)
    url = call.async_amd_callback

    def announce() -> None:
        if call.status in ENDS:
            return
        call.answered_by = verdict
        if url:
            params = [("CallSid", call.sid), ("AccountSid", call.account_sid)]
            params += _amd_params(verdict, seconds)
            box.notify(line.account, url, "POST", params, "call detection", call.sid)

    box.later(seconds, announce)


def update(box: Sandbox, call: Call, form: Mapping[str, str]) -> None:
    """`Status=canceled|completed`, or go on at another Url or Twiml; raises 21220."""
    status = form.get("Status")
    if call.status in ENDS:
        raise RestError(21220)
    if status == "canceled" and call.status == "in-progress":
        raise RestError(21220)
    inbox = box.inboxes.get(call.sid)
    if status in ("canceled", "completed"):
        if inbox is None:
            Line(box, call, box.store.phone(call.to)).end("canceled")
        else:
            inbox.put(("hangup", "api"))
        return
    if call.status != "in-progress" or inbox is None:
        raise RestError(21220)
    if form.get("Twiml"):
        inbox.put(("twiml", form["Twiml"]))
    elif form.get("Url"):
        inbox.put(("redirect", form["Url"], form.get("Method", "POST")))
