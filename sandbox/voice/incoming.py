"""A person calls a number."""

from __future__ import annotations

from threading import Thread

from ..core import Sandbox
from ..records import Call
from .line import HungUp, Jump, Line
from .run import APOLOGY, program


def place(box: Sandbox, from_: str, to: str, attended: bool) -> Call:
    """Begin a call from a phone to a number; raises LookupError if nobody owns the number.

    `attended`: a person at the page hears it and hangs up; otherwise the phone's plan talks.
    """
    number = box.store.numbers.get(to)
    if number is None or number.kind == "short_code":
        raise LookupError(f"No account of this sandbox owns a number {to} that takes calls.")
    call = Call(
        account_sid=number.account_sid,
        to=to,
        from_=from_,
        direction="inbound",
        status="ringing",
        phone_number_sid=number.sid,
        status_callback=number.status_callback or None,
        status_callback_method=number.status_callback_method,
        history=["ringing"],
    )
    box.store.calls[call.sid] = call
    line = Line(box, call, box.store.phone(from_), attended)
    line.fallbacks = [(number.voice_fallback_url, number.voice_fallback_method)]
    first = Jump(number.voice_url, number.voice_method, kind="incoming call")
    Thread(target=_run, args=(line, first), name=f"call-{call.sid}", daemon=True).start()
    return call


def _run(line: Line, first: Jump) -> None:
    line.hear("ringing", f"Calling {line.call.to}.")
    try:
        if not first.url:
            line.hear("error", APOLOGY)
            line.end("failed")
            return
        line.end(program(line, first))
    except HungUp:
        line.end("completed" if line.answered_at is not None else "no-answer")
