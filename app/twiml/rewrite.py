"""Completing a document for a call of ours, and telling in words what it does."""

from xml.sax.saxutils import escape

from app.twiml.onward import ways_onward
from app.twiml.parse import Element, parse
from app.twiml.values import Leads
from app.twiml.voice import DIAL_LIMIT

PREFIX_LENGTH = 27
"""How much longer a name gets that is made a client's own."""


def write(root: Element) -> str:
    """Return the document with this root, written anew.

    What is served is what was understood when it was checked: comments, CDATA and every other way
    to write the same in XML, of which Twilio might think otherwise, do not get through.
    """
    return f'<?xml version="1.0" encoding="UTF-8"?>{_written(root)}'


def _written(element: Element) -> str:
    attributes = "".join(
        f' {name}="{escape(value, _IN_ATTRIBUTES)}"' for name, value in element.attributes.items()
    )
    inside = "".join(
        escape(one, _IN_TEXT) if isinstance(one, str) else _written(one) for one in element.content
    )
    tag = f"<{element.name}{attributes}"
    return f"{tag}>{inside}</{element.name}>" if inside else f"{tag}/>"


_IN_TEXT = {"\r": "&#13;"}
_IN_ATTRIBUTES = {'"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def own_names(root: Element, client_id: str) -> None:
    """Make the names that a Twilio account shares the client's own, by its id before each.

    A name that has it already stays as it is: a client's system may have it from Twilio's report.
    """
    prefix = f"{client_id}_"
    for way in ways_onward(root):
        if way.leads is Leads.NAME and not way.value.startswith(prefix):
            way.put(prefix + way.value)


def finish_actions(root: Element, gathered_url: str, recorded_url: str) -> None:
    """Put our addresses where the document names none.

    Without an ``action`` a <Gather> or <Record> would ask the current document again, and the call
    would go round in circles; ours ends it politely. What records and reports to nobody reports to
    `recorded_url`, so that the recording's address is learned. No <Dial> lasts longer than
    `DIAL_LIMIT`.
    """
    for element in root.walk():
        given = element.attributes
        if element.name in ("Gather", "Record") and not given.get("action"):
            given["action"] = gathered_url if element.name == "Gather" else recorded_url
            if given.get("method"):
                given["method"] = "POST"  # a GET would not reach our address
        if element.name == "Dial" and _speaks_too_long(given.get("timeLimit", "")):
            given["timeLimit"] = str(DIAL_LIMIT)
        if _records(element) and not given.get("recordingStatusCallback"):
            given["recordingStatusCallback"] = recorded_url
            if given.get("recordingStatusCallbackMethod"):
                given["recordingStatusCallbackMethod"] = "POST"


def _speaks_too_long(limit: str) -> bool:
    return not limit.strip().isdecimal() or int(limit) > DIAL_LIMIT


def _records(element: Element) -> bool:
    if element.name == "Dial":
        return element.attributes.get("record", "false") not in ("false", "do-not-record")
    return element.name == "Record"


def speech_of(xml: str) -> list[str]:
    """Return what the document does, step by step, in plain sentences for a preview.

    Raises app.twiml.parse.Unreadable if `xml` is no document.
    """
    return [line for element in parse(xml).children for line in _described(element)]


def _described(element: Element) -> list[str]:
    get = element.attributes.get
    match element.name:
        case "Say":
            return [f"Says: “{element.spoken()}”{_times(get('loop', '1'))}"]
        case "Play" if not element.text.strip():
            return [f"Presses the keys {get('digits', '')}"]
        case "Play" | "Redirect":
            verb = "Plays" if element.name == "Play" else "Goes on at"
            return [f"{verb} {element.text.strip()}{_times(get('loop', '1'))}"]
        case "Pause":
            return [f"Waits {_seconds(get('length', '1'))}"]
        case "Gather":
            inner = [line for child in element.children for line in _described(child)]
            heard = "speech" if get("input") == "speech" else "keys"
            return [*inner, f"Waits for {heard}, {_seconds(get('timeout', '5'))}"]
        case "Record":
            return [f"Records what is said, up to {_seconds(get('maxLength', '3600'))}"]
        case "Dial":
            called = [child.spoken() for child in element.children] or [element.text.strip()]
            return [f"Calls {', '.join(called)}"]
        case "Hangup":
            return ["Hangs up"]
        case "Reject":
            return ["Signals busy" if get("reason") == "busy" else "Rejects the call"]
        case name:
            return [f"Does <{name}>"]


def _times(loop: str) -> str:
    if loop == "0":
        return " until the caller hangs up"
    return "" if loop == "1" else f" {loop} times"


def _seconds(count: str) -> str:
    return "1 second" if count == "1" else f"{count} seconds"
