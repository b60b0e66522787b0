"""Completing a document for a call of ours, and telling in words what it does."""

import re
from functools import partial
from typing import Final
from xml.sax.saxutils import quoteattr

from app.twiml.parse import Element, parse
from app.twiml.voice import DIAL_LIMIT

_TAG: Final = re.compile(rb"""(<[^\s/>]+)((?:[^>"']|"[^"]*"|'[^']*')*)""")
_ATTRIBUTE: Final = re.compile(rb"""(\s+([^\s=]+)\s*=\s*)("[^"]*"|'[^']*')""")


def finish_actions(xml: str, gathered_url: str, recorded_url: str) -> str:
    """Return `xml` with our addresses where it names none, and else unchanged, byte for byte.

    Without an ``action`` a <Gather> or <Record> would ask the current document again, and the call
    would go round in circles; ours ends it politely. What records and reports to nobody reports to
    `recorded_url`, so that the recording's address is learned. No <Dial> lasts longer than
    `DIAL_LIMIT`.

    Raises app.twiml.parse.Unreadable if `xml` is no document.
    """
    data = xml.encode("utf-8", "surrogatepass")
    # From the end, so that the offsets before it stay right.
    for element in reversed([*parse(xml).walk()]):
        wanted = _wanted(element, gathered_url, recorded_url)
        if wanted:
            before, after = data[: element.offset], data[element.offset :]
            data = before + _TAG.sub(partial(_completed, wanted), after, count=1)
    return data.decode("utf-8", "surrogatepass")


def _wanted(element: Element, gathered_url: str, recorded_url: str) -> dict[str, str]:
    """Return the attributes that `element` needs from us."""
    given = element.attributes
    wanted: dict[str, str] = {}
    if element.name in ("Gather", "Record") and not given.get("action"):
        wanted["action"] = gathered_url if element.name == "Gather" else recorded_url
        if given.get("method"):
            wanted["method"] = "POST"  # a GET would not reach our address
    if element.name == "Dial" and _speaks_too_long(given.get("timeLimit", "")):
        wanted["timeLimit"] = str(DIAL_LIMIT)
    if _records(element) and not given.get("recordingStatusCallback"):
        wanted["recordingStatusCallback"] = recorded_url
    return wanted


def _completed(wanted: dict[str, str], found: re.Match[bytes]) -> bytes:
    """Return the start tag with the attributes `wanted`, replaced where it has them already."""
    missing = dict(wanted)

    def replace(attribute: re.Match[bytes]) -> bytes:
        value = missing.pop(attribute[2].decode(), None)
        return attribute[0] if value is None else attribute[1] + quoteattr(value).encode()

    name, rest = found[1], _ATTRIBUTE.sub(replace, found[2])
    added = "".join(f" {key}={quoteattr(value)}" for key, value in missing.items())
    return name + added.encode() + rest


def _speaks_too_long(limit: str) -> bool:
    return not limit.strip().isdecimal() or int(limit) > DIAL_LIMIT


def _records(element: Element) -> bool:
    if element.name == "Dial":
        return element.attributes.get("record", "false") not in ("false", "do-not-record")
    return element.name == "Record"


def numbers_in(xml: str) -> list[str]:
    """Return the phone numbers that the document calls or texts, as they are written there.

    Raises app.twiml.parse.Unreadable if `xml` is no document.
    """
    found = []
    for element in parse(xml).walk():
        if element.name in ("Dial", "Number"):
            found.append(element.text.strip())
        elif element.name == "Sms":
            found.append(element.attributes.get("to", ""))
    return [one for one in found if one and not one.startswith(("sip:", "client:"))]


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
