"""`<Dial>`: one or several phones ring, the first that answers is connected."""

from __future__ import annotations

import math
import queue
import re
from collections.abc import Callable
from threading import Thread
from urllib.parse import urljoin

from .. import twiml
from ..records import Call, Recording, new_sid
from .line import Canceled, HungUp, Jump, Line
from .ring import ANSWERS, ring

MAX_NUMBERS = 10
Whisper = Callable[[Line, str, str], bool]


def dial(line: Line, verb: twiml.Verb, whisper: Whisper) -> Jump | None:
    """Connect the caller. Returns where to go on, None to go on with the next verb."""
    other = next((child for child in verb.children if child.name != "Number"), None)
    if other is not None:
        line.hear("note", f"<{other.name}> in <Dial> is accepted here, but nobody is there.")
        return _result(line, verb, "no-answer", None, 0, None)
    targets = _targets(verb)
    problem = _problem(line, verb, targets)
    if problem:
        line.box.alert(problem[0], problem[1], line.call.sid, line.base)
        line.hear("error", problem[1])
        return _result(line, verb, "failed", None, 0, None)
    line.hear("dial", "Calling " + ", ".join(t.text.strip() for t in targets) + ".")
    attempt = _Attempt(line, verb, targets, whisper)
    try:
        child = attempt.first_answer()
        if child is None:
            return _result(line, verb, attempt.outcome, None, 0, None)
        seconds, recording = attempt.talk(child)
        return _result(line, verb, "completed", child, seconds, recording)
    except HungUp:
        attempt.give_up()
        _report_hangup(line, verb, attempt)
        raise


def _targets(verb: twiml.Verb) -> list[twiml.Verb]:
    numbers = [c for c in verb.children if c.name == "Number"]
    if numbers:
        return numbers
    return [twiml.Verb("Number", {}, verb.text)]


def _problem(line: Line, verb: twiml.Verb, targets: list[twiml.Verb]) -> tuple[int, str] | None:
    if line.call.parent_call_sid:
        return 13201, "<Dial> inside a dialled segment is not allowed."
    if len(targets) > MAX_NUMBERS:
        return 13223, "More than 10 <Number> in one <Dial>."
    for target in targets:
        digits = re.sub(r"[\s().-]", "", target.text)
        if not re.fullmatch(r"\+?\d{5,15}", digits):
            return 13223, f"Invalid phone number {target.text.strip()!r} in <Dial>."
    caller_id = verb.get("callerId")
    if caller_id and caller_id not in _allowed(line):
        return 13214, f"Invalid callerId {caller_id} in <Dial>."
    return None


def _allowed(line: Line) -> set[str]:
    store, account = line.box.store, line.call.account_sid
    own = {n.phone for n in list(store.numbers.values()) if n.account_sid == account}
    verified = {c.phone for c in list(store.caller_ids.values()) if c.account_sid == account}
    return own | verified | {line.call.from_, line.call.to}


class _Attempt:
    """The legs of one <Dial>. Each rings in its own thread; `outcome` is the last failure."""

    def __init__(
        self, line: Line, verb: twiml.Verb, targets: list[twiml.Verb], whisper: Whisper
    ) -> None:
        self.line, self.verb, self.whisper = line, verb, whisper
        self.outcome = "no-answer"
        self.winner: Line | None = None
        self._results: queue.SimpleQueue[tuple[Line, str]] = queue.SimpleQueue()
        self.legs = [self._leg(target) for target in targets]

    def _leg(self, target: twiml.Verb) -> tuple[Line, twiml.Verb]:
        line, phone = self.line, re.sub(r"[\s().-]", "", target.text)
        callback = target.get("statusCallback")
        call = Call(
            account_sid=line.call.account_sid,
            to=phone,
            from_=self.verb.get("callerId") or line.call.from_,
            direction="outbound-dial",
            parent_call_sid=line.call.sid,
            status_callback=urljoin(line.base, callback) if callback else None,
            status_callback_method=target.get("statusCallbackMethod", "POST"),
            status_events=tuple(target.get("statusCallbackEvent", "completed").split()),
        )
        line.box.store.calls[call.sid] = call
        leg = Line(line.box, call, line.box.store.phone(phone))
        leg.base = line.base
        return leg, target

    def first_answer(self) -> Line | None:
        timeout = min(600.0, self.verb.number("timeout", 30))
        for leg, target in self.legs:
            Thread(target=self._ring, args=(leg, target, timeout), daemon=True).start()
        left = len(self.legs)
        while left:
            try:
                leg, result = self._results.get_nowait()
            except queue.Empty:
                self.line.wait(0.05 * max(1.0, self.line.box.clock.speed))
                continue
            left -= 1
            if result == "connected":
                self.winner = leg
                self._stop(leg)
                return leg
            self.outcome = result
        return None

    def _ring(self, leg: Line, target: twiml.Verb, timeout: float) -> None:
        try:
            leg.dialing()
            answers = ring(leg, leg.call.to, timeout)
        except Canceled:
            leg.end("canceled")
            self._results.put((leg, "canceled"))
            return
        if answers not in ANSWERS:
            leg.end(answers)
            self._results.put((leg, answers))
            return
        leg.answer()
        url = target.get("url")
        if url and not self.whisper(leg, urljoin(leg.base, url), target.get("method", "POST")):
            leg.end("completed")
            self._results.put((leg, "no-answer"))
            return
        leg.hear("connected", "You are connected.")
        self._results.put((leg, "connected"))

    def _stop(self, winner: Line | None) -> None:
        for leg, _ in self.legs:
            if leg is not winner:
                leg.inbox.put(("hangup", "other"))

    def give_up(self) -> None:
        """The caller has gone: every leg ends."""
        self._stop(self.winner)
        if self.winner is not None:
            self.winner.end("completed")

    def talk(self, leg: Line) -> tuple[int, Recording | None]:
        """The conversation, until one side hangs up; its seconds and its recording."""
        line, started = self.line, self.line.box.clock.now()
        line.hear("connected", f"Connected with {leg.call.to}.")
        line.call.waiting_for = leg.call.waiting_for = "conversation"
        limit = self.verb.number("timeLimit", 14400)
        if not line.attended and not leg.attended:
            limit = min(limit, leg.plan.talks)
        try:
            while line.box.clock.now() - started < limit and _still_there(leg):
                line.wait(min(0.1 * max(1.0, line.box.clock.speed), limit))
        finally:
            line.call.waiting_for = leg.call.waiting_for = None
        leg.end("completed")
        seconds = math.ceil(line.box.clock.now() - started)
        return seconds, self._recording(leg, seconds)

    def _recording(self, leg: Line, seconds: int) -> Recording | None:
        mode = self.verb.get("record", "do-not-record")
        if mode in ("do-not-record", "false"):
            return None
        channels = 2 if mode.endswith("dual") else 1
        recording = Recording(
            leg.call.account_sid, self.line.call.sid, seconds, "DialVerb", channels
        )
        self.line.box.store.recordings[recording.sid] = recording
        callback = self.verb.get("recordingStatusCallback")
        self.line.recording_callback(
            recording,
            urljoin(self.line.base, callback) if callback else None,
            self.verb.get("recordingStatusCallbackMethod", "POST"),
        )
        return recording


def _still_there(leg: Line) -> bool:
    try:
        leg.poll()
    except HungUp:
        return False
    return True


def _action_params(
    line: Line, status: str, child: Line | None, seconds: int, recording: Recording | None
) -> list[tuple[str, str]]:
    params = [
        ("DialCallStatus", status),
        ("DialCallSid", child.call.sid if child else new_sid("CA")),
        ("DialBridged", "true" if child else "false"),
    ]
    if child is not None:
        params.append(("DialCallDuration", str(seconds)))
    if recording is not None:
        params.append(("RecordingUrl", line.recording_url(recording)))
    return params


def _result(
    line: Line,
    verb: twiml.Verb,
    status: str,
    child: Line | None,
    seconds: int,
    recording: Recording | None,
) -> Jump | None:
    if child is None:
        line.hear("unanswered", f"The other phone: {status}.")
    if not verb.get("action"):
        return None
    params = _action_params(line, status, child, seconds, recording)
    return Jump(urljoin(line.base, verb.get("action")), verb.get("method", "POST"), params)


def _report_hangup(line: Line, verb: twiml.Verb, attempt: _Attempt) -> None:
    """The caller hung up: the action is still told how the <Dial> ended; its TwiML is void."""
    if not verb.get("action"):
        return
    child = attempt.winner
    status = "completed" if child else "canceled"
    seconds = (child.call.duration or 0) if child else 0
    line.fetch(
        urljoin(line.base, verb.get("action")),
        verb.get("method", "POST"),
        _action_params(line, status, child, seconds, None),
        "call action",
    )
