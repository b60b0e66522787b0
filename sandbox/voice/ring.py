"""How a phone takes a call: as its plan says, or as the person at the page decides."""

from __future__ import annotations

import queue
import time

from .line import Canceled, HungUp, Line

WATCH_SECONDS = 15.0
ANSWERS = {"person", "machine", "fax", "unknown"}
_UNANSWERED = {"busy": ("busy", 486), "no-answer": ("no-answer", 480), "failed": ("failed", 404)}


def ring(line: Line, phone: str, timeout: float) -> str:
    """Let the phone ring. Returns how it was answered, or busy, no-answer, failed.

    Raises Canceled if the call is given up meanwhile.
    """
    answers = line.plan.answers
    if answers != "ask" and line.plan.times is not None:
        with line.box.store.lock:
            if line.plan.times <= 0:
                answers = "person"
            else:
                line.plan.times -= 1
    if answers == "ask":
        answers = _ask(line, phone, timeout) if _watched(line, phone) else "person"
        if answers in ANSWERS and line.call.ringing_for:
            line.attended = True
    line.call.ringing_for = None
    _pass(line, timeout if answers == "no-answer" else line.box.delays.answer)
    if answers in _UNANSWERED:
        line.call.sip_code = _UNANSWERED[answers][1]
    line.how = answers
    return answers


def _watched(line: Line, phone: str) -> bool:
    return time.monotonic() - line.box.store.watched.get(phone, -1e9) < WATCH_SECONDS


def _ask(line: Line, phone: str, timeout: float) -> str:
    line.call.ringing_for = phone
    line.box.store.touch()
    deadline = line.box.clock.now() + timeout
    while True:
        left = deadline - line.box.clock.now()
        if left <= 0:
            return "no-answer"
        try:
            event = line.inbox.get(timeout=line.box.clock.real(left))
        except queue.Empty:
            continue
        if event[0] == "answer":
            line.attended = event[1] == "person"
            return event[1]
        if event[0] == "hangup":
            raise Canceled


def _pass(line: Line, seconds: float) -> None:
    try:
        line.wait(seconds)
    except HungUp as gone:
        raise Canceled from gone
