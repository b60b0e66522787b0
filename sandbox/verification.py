"""Verifying a caller ID: Twilio calls the number, and the person types the code shown.

By Twilio's documentation 'OutgoingCallerIds resource'.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Thread

from .core import Sandbox
from .records import Account, Call, CallerId
from .voice.line import Canceled, HungUp, Line
from .voice.ring import ANSWERS, ring

TWILIO_CALLER = "+14157234000"


@dataclass
class Plan:
    """A verification that was asked for; `delay` in seconds before the call."""

    account: Account
    phone: str
    friendly_name: str
    code: str
    delay: float
    callback: str | None
    method: str
    call_sid: str


def begin(box: Sandbox, plan: Plan) -> None:
    """Call the number after the delay; the result arrives at the callback."""
    call = Call(
        account_sid=plan.account.sid,
        to=plan.phone,
        from_=TWILIO_CALLER,
        direction="outbound-api",
        sid=plan.call_sid,
        timeout=60,
    )
    line = Line(box, call, box.store.phone(plan.phone))
    box.store.calls[call.sid] = call

    def start() -> None:
        Thread(target=_run, args=(line, plan), name=f"verify-{call.sid}", daemon=True).start()

    box.scheduler.after(plan.delay, start)


def _run(line: Line, plan: Plan) -> None:
    line.state("ringing")
    line.hear("ringing", "Twilio is calling to verify this number.")
    typed = ""
    try:
        if ring(line, plan.phone, line.call.timeout) in ANSWERS:
            line.answer()
            typed = _ask(line, plan)
    except (HungUp, Canceled):
        typed = ""
    success = typed == plan.code
    line.end("completed" if line.answered_at is not None else "no-answer")
    _conclude(line, plan, success)


def _ask(line: Line, plan: Plan) -> str:
    line.hear("say", "Please enter the six digits of your verification code.")
    if line.how == "person" and not line.attended:
        line.inbox.put(("digits", line.plan.digits or plan.code))
    line.call.waiting_for = "digits"
    typed = ""
    while len(typed) < len(plan.code):
        key = line.key(30)
        if key is None:
            break
        typed += key if key.isdigit() else ""
    line.call.waiting_for = None
    return typed


def _conclude(line: Line, plan: Plan, success: bool) -> None:
    box = line.box
    params = [*line.params(), ("VerificationStatus", "success" if success else "failed")]
    if success:
        caller = CallerId(plan.phone, plan.account.sid, plan.friendly_name)
        box.store.caller_ids[caller.sid] = caller
        params.append(("OutgoingCallerIdSid", caller.sid))
    box.store.touch()
    if plan.callback:
        box.notify(plan.account, plan.callback, plan.method, params, "verification", plan.call_sid)
