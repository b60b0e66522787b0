"""What a caller gives: `<Gather>` and `<Record>`."""

from __future__ import annotations

from urllib.parse import urljoin

from .. import twiml
from ..records import Recording
from .line import HungUp, Jump, Line
from .sound import pause, play, say

_PROMPTS = {"Say": say, "Play": play, "Pause": pause}


def gather(line: Line, verb: twiml.Verb) -> None:
    """`<Gather>`: keys or speech; without any the next verb runs."""
    kinds = verb.get("input", "dtmf").split()
    line.keys = line.speech = ""
    line.call.waiting_for = "digits" if kinds == ["dtmf"] else "digits or speech"
    line.barge_in = verb.get("bargeIn", "true") != "false"
    try:
        for child in verb.children:
            if line.barge_in and (line.keys or line.speech):
                break
            if child.name in _PROMPTS:
                _PROMPTS[child.name](line, child)
        line.barge_in = False
        line.hear("gather", "Waiting for " + line.call.waiting_for + ".")
        digits, ended_by = _collect(line, verb, kinds)
    finally:
        line.barge_in = False
        line.call.waiting_for = None
    extra: list[tuple[str, str]] = []
    if line.speech and "speech" in kinds:
        extra = [("SpeechResult", line.speech), ("Confidence", "0.9")]
    elif digits or verb.get("actionOnEmptyResult") == "true":
        extra = [("Digits", digits), ("FinishedOnKey", ended_by)]
    if extra:
        url = urljoin(line.base, verb.get("action"))
        raise Jump(url, verb.get("method", "POST"), [("msg", "Gather End"), *extra])


def _collect(line: Line, verb: twiml.Verb, kinds: list[str]) -> tuple[str, str]:
    """Digits and the key that ended them, until enough came or nothing for `timeout`."""
    timeout = verb.number("timeout", 5)
    finish = verb.get("finishOnKey", "#")
    limit = int(verb.number("numDigits", 10**6))
    digits = ""
    _automatic(line, kinds, digits="" if line.keys else line.plan.digits)
    while len(digits) < limit and not line.speech:
        key = line.key(timeout)
        if key is None:
            return digits, ""
        if finish and key in finish and digits:
            return digits, key
        if "dtmf" in kinds:
            digits += key
    return digits, ""


def _automatic(line: Line, kinds: list[str], digits: str) -> None:
    """A phone with a plan presses its digits, or says its sentence, by itself."""
    if line.how != "person":
        return
    if digits and "dtmf" in kinds:
        line.inbox.put(("digits", digits))
    elif line.plan.speech and "speech" in kinds:
        line.inbox.put(("speech", line.plan.speech))


def record(line: Line, verb: twiml.Verb) -> None:
    """`<Record>`: what the caller says; an empty recording runs the next verb."""
    finish = verb.get("finishOnKey", "1234567890*#")
    limit = verb.number("maxLength", 3600)
    line.keys = ""
    if verb.get("playBeep", "true") != "false":
        line.hear("beep", "Beep.")
    line.call.waiting_for = "recording"
    started = line.box.clock.now()
    ended_by, hung_up = "", None
    length = limit if line.attended else min(limit, line.plan.record_seconds)
    line.hear("record", "Recording.")
    try:
        while not ended_by:
            key = line.key(length - (line.box.clock.now() - started))
            if key is None:
                break
            ended_by = key if key in finish else ""
    except HungUp as gone:
        ended_by, hung_up = "hangup", gone
    line.call.waiting_for = None
    seconds = round(line.box.clock.now() - started)
    if seconds < 1:
        _absent(line, verb)
        if hung_up:
            raise hung_up
        return
    _recorded(line, verb, seconds, ended_by, hung_up)


def _reports(line: Line, verb: twiml.Verb, name: str) -> str | None:
    """The address of a report, if there is one."""
    url = verb.get(name)
    return urljoin(line.base, url) if url else None


def _absent(line: Line, verb: twiml.Verb) -> None:
    """Nothing was said; who has asked for it is told that there is no recording."""
    if "absent" in verb.get("recordingStatusCallbackEvent").split():
        line.recording_callback(
            Recording(line.call.account_sid, line.call.sid, 0, "RecordVerb", status="absent"),
            _reports(line, verb, "recordingStatusCallback"),
            verb.get("recordingStatusCallbackMethod", "POST"),
        )


def _recorded(
    line: Line, verb: twiml.Verb, seconds: int, ended_by: str, hung_up: HungUp | None
) -> None:
    recording = Recording(line.call.account_sid, line.call.sid, seconds, "RecordVerb")
    line.box.store.recordings[recording.sid] = recording
    line.recording_callback(
        recording,
        _reports(line, verb, "recordingStatusCallback"),
        verb.get("recordingStatusCallbackMethod", "POST"),
    )
    if verb.get("transcribe") == "true":
        recording.words = line.plan.speech or "This is what the caller said."
        line.transcription(recording, _reports(line, verb, "transcribeCallback"))
    extra = [*line.recording_params(recording), ("Digits", ended_by)]
    url, method = urljoin(line.base, verb.get("action")), verb.get("method", "POST")
    if hung_up:
        line.fetch(url, method, extra, "call action")
        raise hung_up
    raise Jump(url, method, extra)
