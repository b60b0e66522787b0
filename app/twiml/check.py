"""Is this TwiML? The mistakes in a document, each with its place and a sentence.

Twilio takes most of these for mere warnings (12200) and skips what it does not understand, so
that a misspelled verb is heard only as silence; here they are mistakes.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal
from urllib.parse import quote

from app.twiml.parse import Element, Problem, Unreadable, parse
from app.twiml.text import MAX_BODY, utf16_units
from app.twiml.values import Leads
from app.twiml.verb import Verb
from app.twiml.verbs import MESSAGING_VERBS, VOICE_VERBS
from app.twiml.voice import BASIC_VOICES, SAY_LIMIT, SAY_LIMIT_ENCODED, SAY_LIMIT_NEURAL

__all__ = ["Problem", "check_document"]


def check_document(
    xml: str, kind: Literal["voice", "messaging"] = "voice", whisper: bool = False
) -> list[Problem]:
    """Return all mistakes of the TwiML document `xml`, in its order; none: it may be used.

    `whisper` is for a document played to the called party before the two are connected, in which
    Twilio allows no <Dial> (13201).
    """
    try:
        return mistakes_in(parse(xml), kind, whisper)
    except Unreadable as error:
        return [error.problem]


def mistakes_in(
    root: Element, kind: Literal["voice", "messaging"] = "voice", whisper: bool = False
) -> list[Problem]:
    """Return all mistakes of the document with this root, as `check_document` does."""
    verbs = VOICE_VERBS if kind == "voice" else MESSAGING_VERBS
    if root.name != "Response":
        return [_at(root, f"The document has to begin with <Response>, not <{root.name}>.")]
    found = [*_check(root, verbs)]
    if whisper:
        found += [
            _at(one, "<Dial> is not allowed in what the called party hears before being connected.")
            for one in root.walk()
            if one.name == "Dial"
        ]
    return sorted(found, key=lambda problem: (problem.line, problem.column))


def _check(element: Element, verbs: dict[str, Verb]) -> Iterator[Problem]:
    verb = verbs[element.name]
    if verb.refused is not None:
        yield _at(element, verb.refused.format(name=element.name))
        return
    yield from _check_text(element, verb)
    yield from _check_attributes(element, verb)
    yield from _check_special(element)
    yield from _check_children(element, verb, verbs)


_EMPTY: Final = {
    "Redirect": "<Redirect> without an address would ask for this same document for ever.",
    "Number": "<Number> has no phone number.",
    "Media": "<Media> has no address.",
}


def _check_text(element: Element, verb: Verb) -> Iterator[Problem]:
    content = element.text.strip()
    if not content:
        if verb.text == "must":
            yield _at(element, _EMPTY.get(element.name, f"<{element.name}> is empty."))
    elif verb.text == "no":
        shown = " ".join(content.split())[:40]
        yield _at(element, f"Twilio ignores the text “{shown}” in <{element.name}>.")
    elif expected := verb.content(content):
        yield _at(element, f"The content of <{element.name}> has to be {expected}.")


def _check_children(element: Element, verb: Verb, verbs: dict[str, Verb]) -> Iterator[Problem]:
    for child in element.children:
        if child.name in verb.children:
            yield from _check(child, verbs)
        elif child.name in verbs:
            yield _at(child, f"<{child.name}> is not allowed inside <{element.name}>.")
        else:
            yield _at(child, f"There is no <{child.name}> here{_hint(child.name, verb.children)}.")
    for name, most in verb.most.items():
        count = sum(child.name == name for child in element.children)
        if count > most:
            yield _at(element, f"There are {count} <{name}>; {most} are allowed.")


def _check_attributes(element: Element, verb: Verb) -> Iterator[Problem]:
    for name, value in element.attributes.items():
        check = verb.attributes.get(name)
        if name == "xmlns" or name.startswith("xmlns:"):
            continue  # a namespace, as XML wants it for <amazon:effect>; elements go by their names
        if check is None:
            hint = _hint(name, verb.attributes, "")
            yield _at(element, f"<{element.name}> has no attribute {name}{hint}.")
        elif check.leads is Leads.ACCOUNT:
            yield _at(
                element,
                f"{name} of <{element.name}> names something of the Twilio account by its SID, and"
                " other clients may share the account; it cannot be used here.",
            )
        elif expected := check(value):
            yield _at(
                element, f"{name} of <{element.name}> has to be {expected}, not “{value[:40]}”."
            )
    for name in verb.needs:
        if name not in element.attributes:
            yield _at(element, f"<{element.name}> needs the attribute {name}.")


def _check_special(element: Element) -> Iterator[Problem]:
    name, content = element.name, element.text.strip()
    if name == "Say":
        basic = element.attributes.get("voice", "man") in BASIC_VOICES
        limit = SAY_LIMIT if basic else SAY_LIMIT_NEURAL
        spoken = element.spoken()
        if len(spoken) > limit:
            yield _at(element, f"<Say> has more than {limit:,} characters; split it into several.")
        elif len(quote(spoken, safe="")) > SAY_LIMIT_ENCODED:
            yield _at(
                element,
                f"<Say> has more than {SAY_LIMIT_ENCODED:,} bytes as Twilio counts them (%20 for a"
                " blank, six or more for a letter outside ASCII); split it into several.",
            )
    elif name == "Play" and not content and "digits" not in element.attributes:
        yield _at(element, "<Play> has neither an address nor digits.")
    elif name in ("Message", "Body") and utf16_units(content) > MAX_BODY:
        yield _at(element, f"<{name}> has more than {MAX_BODY:,} characters.")
    elif name in _LACKING and (lacking := _LACKING[name](element)):
        yield _at(element, lacking)


def _nobody(element: Element) -> str | None:
    """Say that a <Dial> calls nobody, or that it is not plain whom it calls."""
    if not element.children:
        return None if element.text.strip() else "<Dial> has nobody to call."
    if element.text.strip():
        return "<Dial> has a number of its own and others inside; write each as a <Number>."
    return None


def _no_text(element: Element) -> str | None:
    """Say that a message has nothing in it, which Twilio does not send (14103)."""
    said = element.text.strip() or any(
        one.name == "Media" or one.text.strip() for one in element.children
    )
    return None if said else "<Message> is empty; Twilio sends no empty text."


def _not_one(element: Element) -> str | None:
    """Say that an element has its address, or name, neither as its text nor inside, or both."""
    inside = any(one.name in ("Uri", "Identity") for one in element.children)
    what = "identity" if element.name == "Client" else "address"
    if inside and element.text.strip():
        return f"<{element.name}> has more than one {what}; write each in an element of its own."
    return None if inside or element.text.strip() else f"<{element.name}> has no {what}."


def _no_connector(element: Element) -> str | None:
    """Say that a call would be recorded by whatever the whole account has as its default."""
    bare = any(
        one.name == "Siprec" and "connectorName" not in one.attributes for one in element.children
    )
    return "<Siprec> needs the attribute connectorName." if bare else None


_LACKING: Final[dict[str, Callable[[Element], str | None]]] = {
    "Dial": _nobody,
    "Message": _no_text,
    "Client": _not_one,
    "Sip": _not_one,
    "Start": _no_connector,
}


def _hint(name: str, known: Iterable[str], brackets: str = "<>") -> str:
    """Return "; did you mean …?" for a misspelling, one of case above all."""
    names = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), names, 1, 0.6)
    if not near:
        return ""
    shown = names[near[0]]
    return f"; did you mean {brackets[:1]}{shown}{brackets[1:]}?"


def _at(element: Element, message: str) -> Problem:
    return Problem(element.line, element.column, message.replace("?.", "?"))
