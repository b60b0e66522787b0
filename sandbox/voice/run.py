"""Running voice TwiML, verb by verb, by Twilio's documentation of each verb."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urljoin

from .. import outbox, twiml
from ..errors import RestError
from ..orders import Order
from ..webhooks import Answer
from . import sound
from .dial import dial
from .input import gather, record
from .line import HungUp, Jump, Line

APOLOGY = "We are sorry, an application error has occurred. Goodbye."


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
        sound.say(line, twiml.Verb("Say", {}, document.plain))
        return "completed"
    if document.audio is not None:
        line.answer()
        line.hear("play", document.audio)
        line.wait(sound.PLAY_SECONDS)
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


def _redirect(line: Line, verb: twiml.Verb) -> None:
    raise Jump(urljoin(line.base, verb.text.strip()), verb.get("method", "POST"), kind="redirect")


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
    order = Order(
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
    "Say": sound.say,
    "Play": sound.play,
    "Pause": sound.pause,
    "Gather": gather,
    "Record": record,
    "Dial": _dial,
    "Redirect": _redirect,
    "Enqueue": _enqueue,
    "Leave": _leave,
    "Sms": _sms,
    "Message": _sms,
}
