"""Running voice TwiML, verb by verb, by Twilio's documentation of each verb."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urljoin

from .. import outbox, twiml
from ..errors import RestError
from ..records import Recording
from ..webhooks import Answer
from .dial import dial
from .line import HungUp, Jump, Line

APOLOGY = "We are sorry, an application error has occurred. Goodbye."
ENDLESS = 1000
CHARACTERS_PER_SECOND = 14.0
PLAY_SECONDS = 5.0


def program(line: Line, first: Jump) -> str:
    """Run documents until the call ends; returns the call's last status."""
    jump = first
    while True:
        try:
            document = _load(line, jump)
            if document is None:
                line.answer()
                line.hear("error", APOLOGY)
                line.wait(3)
                return "completed"
            return _document(line, document)
        except Jump as following:
            jump = following


def _load(line: Line, jump: Jump) -> twiml.Document | None:
    """The next document, or None when Twilio would say that an application error occurred."""
    try:
        if jump.twiml is not None:
            return _checked(line, twiml.parse(jump.twiml, twiml.VOICE))
        answer = line.fetch(jump.url or line.base, jump.method, jump.extra, jump.kind)
        if answer is None:
            return None
        line.base = answer.url
        return _checked(line, twiml.read(answer, twiml.VOICE))
    except twiml.Refused as refused:
        line.box.alert(refused.code, str(refused), line.call.sid, line.base)
        return _fallback(line, jump, refused)


def _fallback(line: Line, jump: Jump, refused: twiml.Refused) -> twiml.Document | None:
    failed = Answer(line.base, code=refused.code)
    answer = line.box.fetch_fallback(
        line.account,
        line.fallbacks,
        [*line.params(), *jump.extra],
        jump.kind,
        line.call.sid,
        failed,
    )
    if answer is None:
        return None
    line.base = answer.url
    try:
        return _checked(line, twiml.read(answer, twiml.VOICE))
    except twiml.Refused as again:
        line.box.alert(again.code, str(again), line.call.sid, answer.url)
        return None


def _checked(line: Line, document: twiml.Document) -> twiml.Document:
    for warning in document.warnings:
        line.box.alert(12200, warning, line.call.sid, line.base)
    return document


def _document(line: Line, document: twiml.Document) -> str:
    if document.plain is not None:
        line.answer()
        _say(line, twiml.Verb("Say", {}, document.plain))
        return "completed"
    if document.audio is not None:
        line.answer()
        line.hear("play", document.audio)
        line.wait(PLAY_SECONDS)
        return "completed"
    for index, verb in enumerate(document.verbs):
        if verb.name == "Reject" and index == 0 and line.answered_at is None:
            busy = verb.get("reason") == "busy"
            line.hear("busy" if busy else "rejected", "The call was not answered.")
            return "busy" if busy else "no-answer"
        if verb.name == "Hangup":
            line.declined = True
            return "completed" if line.answered_at is not None else "no-answer"
        if verb.name not in ("Pause", "Redirect"):
            line.answer()
        _VERBS.get(verb.name, _unsupported)(line, verb)
    if line.answered_at is None:
        line.answer()
    return "completed"


def _loops(verb: twiml.Verb) -> int:
    count = int(verb.number("loop", 1))
    return ENDLESS if count == 0 else min(count, ENDLESS)


def _say(line: Line, verb: twiml.Verb) -> None:
    for _ in range(_loops(verb)):
        line.hear(
            "say",
            verb.text.strip(),
            voice=verb.get("voice", "man"),
            language=verb.get("language", "en-US"),
        )
        if line.wait(max(1.0, len(verb.text) / CHARACTERS_PER_SECOND), line.barge_in):
            return


def _play(line: Line, verb: twiml.Verb) -> None:
    if verb.get("digits"):
        line.hear("tones", verb.get("digits"))
        line.wait(0.5 * len(verb.get("digits")))
        return
    url = urljoin(line.base, verb.text.strip())
    answer = line.box.fetch_sound(url, line.call.sid)
    if answer is not None:
        line.box.alert(answer.code or 12300, answer.error, line.call.sid, url)
        line.hear("silence", "A sound that could not be played.")
        return
    for _ in range(_loops(verb)):
        line.hear("play", url)
        if line.wait(PLAY_SECONDS, line.barge_in):
            return


def _pause(line: Line, verb: twiml.Verb) -> None:
    seconds = verb.number("length", 1)
    line.hear("pause", f"{seconds:g} s")
    line.wait(seconds, line.barge_in)


def _redirect(line: Line, verb: twiml.Verb) -> None:
    raise Jump(urljoin(line.base, verb.text.strip()), verb.get("method", "POST"), kind="redirect")


def _gather(line: Line, verb: twiml.Verb) -> None:
    kinds = verb.get("input", "dtmf").split()
    line.keys = line.speech = ""
    line.call.waiting_for = "digits" if kinds == ["dtmf"] else "digits or speech"
    line.barge_in = verb.get("bargeIn", "true") != "false"
    try:
        for child in verb.children:
            if line.barge_in and (line.keys or line.speech):
                break
            if child.name in ("Say", "Play", "Pause"):
                _VERBS[child.name](line, child)
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


def _record(line: Line, verb: twiml.Verb) -> None:
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
        if hung_up:
            raise hung_up
        return
    _recorded(line, verb, seconds, ended_by, hung_up)


def _recorded(
    line: Line, verb: twiml.Verb, seconds: int, ended_by: str, hung_up: HungUp | None
) -> None:
    recording = Recording(line.call.account_sid, line.call.sid, seconds, "RecordVerb")
    line.box.store.recordings[recording.sid] = recording
    callback = verb.get("recordingStatusCallback")
    line.recording_callback(
        recording,
        urljoin(line.base, callback) if callback else None,
        verb.get("recordingStatusCallbackMethod", "POST"),
    )
    extra = [*line.recording_params(recording), ("Digits", ended_by)]
    url, method = urljoin(line.base, verb.get("action")), verb.get("method", "POST")
    if hung_up:
        line.fetch(url, method, extra, "call action")
        raise hung_up
    raise Jump(url, method, extra)


def _dial(line: Line, verb: twiml.Verb) -> None:
    following = dial(line, verb, whisper)
    if following is not None:
        raise following


def whisper(line: Line, url: str, method: str) -> bool:
    """Run the document that the called person hears first; False if it hangs up."""
    try:
        return program(line, Jump(url, method, kind="whisper")) == "completed" and not line.declined
    except HungUp:
        return False


def _enqueue(line: Line, verb: twiml.Verb) -> None:
    line.hear("queue", f"Waiting in the queue {verb.text.strip() or 'unnamed'}; nobody takes it.")
    started = line.box.clock.now()
    line.wait(line.plan.talks)
    if verb.get("action"):
        waited = str(round(line.box.clock.now() - started))
        extra = [("QueueResult", "leave"), ("QueueTime", waited)]
        raise Jump(urljoin(line.base, verb.get("action")), verb.get("method", "POST"), extra)


def _sms(line: Line, verb: twiml.Verb) -> None:
    """`<Sms>` or `<Message>` inside a call: a text to the person on the line."""
    call = line.call
    caller = call.from_ if call.direction == "inbound" else call.to
    own = call.to if call.direction == "inbound" else call.from_
    callback = verb.get("action") or verb.get("statusCallback")
    order = outbox.Order(
        to=verb.get("to", caller),
        from_=verb.get("from", own),
        body=verb.text.strip(),
        status_callback=urljoin(line.base, callback) if callback else None,
    )
    try:
        outbox.create(line.box, line.account, order, "outbound-call")
    except RestError as error:
        line.box.alert(error.code, error.message, call.sid, line.base)


def _leave(_line: Line, _verb: twiml.Verb) -> None:
    return None


def _unsupported(line: Line, verb: twiml.Verb) -> None:
    line.hear("note", f"<{verb.name}> is accepted here but not played out.")


_VERBS: dict[str, Callable[[Line, twiml.Verb], None]] = {
    "Say": _say,
    "Play": _play,
    "Pause": _pause,
    "Gather": _gather,
    "Record": _record,
    "Dial": _dial,
    "Redirect": _redirect,
    "Enqueue": _enqueue,
    "Leave": _leave,
    "Sms": _sms,
    "Message": _sms,
}
