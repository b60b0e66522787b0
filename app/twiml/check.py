"""Is this TwiML? The mistakes in a document, each with its place and a sentence.

Twilio takes most of these for mere warnings (12200) and skips what it does not understand, so
that a misspelled verb is heard only as silence; here they are mistakes.
"""

import difflib
from collections.abc import Iterable, Iterator
from typing import Final, Literal
from urllib.parse import quote

from app.twiml.parse import Element, Problem, Unreadable, parse
from app.twiml.text import utf16_length
from app.twiml.verbs import MESSAGING_VERBS, URL, VOICE_VERBS, Verb
from app.twiml.voice import BASIC_VOICES, SAY_LIMIT, SAY_LIMIT_ENCODED, SAY_LIMIT_NEURAL

__all__ = ["Problem", "check_document"]

MAX_BODY: Final = 1600
_ADDRESSES: Final = frozenset({"Redirect", "Media"})


def check_document(
    xml: str, kind: Literal["voice", "messaging"] = "voice", whisper: bool = False
) -> list[Problem]:
    """Return all mistakes of the TwiML document `xml`, in its order; none: it may be used.

    `whisper` is for a document played to the called party before the two are connected, in which
    Twilio allows no <Dial> (13201).
    """
    try:
        root = parse(xml)
    except Unreadable as error:
        return [error.problem]
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
    if verb.text == "must" and not element.text.strip():
        yield _at(element, _EMPTY.get(element.name, f"<{element.name}> is empty."))
    if verb.open:
        return
    yield from _check_attributes(element, verb)
    if verb.text == "no" and element.text.strip():
        shown = " ".join(element.text.split())[:40]
        yield _at(element, f"Twilio ignores the text “{shown}” in <{element.name}>.")
    yield from _check_special(element)
    yield from _check_children(element, verb, verbs)


_EMPTY: Final = {
    "Redirect": "<Redirect> without an address would ask for this same document for ever.",
    "Number": "<Number> has no phone number.",
    "Media": "<Media> has no address.",
}


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
        if check is None:
            hint = _hint(name, verb.attributes, "")
            yield _at(element, f"<{element.name}> has no attribute {name}{hint}.")
        elif expected := check(value):
            yield _at(
                element, f"{name} of <{element.name}> has to be {expected}, not “{value[:40]}”."
            )


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
    elif name == "Play":
        if not content and "digits" not in element.attributes:
            yield _at(element, "<Play> has neither an address nor digits.")
        elif content and (expected := URL(content)):
            yield _at(element, f"The content of <Play> has to be {expected}.")
    elif name in _ADDRESSES and content and (expected := URL(content)):
        yield _at(element, f"The content of <{name}> has to be {expected}.")
    elif name in ("Message", "Body") and utf16_length(content) > MAX_BODY:
        yield _at(element, f"<{name}> has more than {MAX_BODY:,} characters.")
    elif name == "Dial" and not content and not element.children:
        yield _at(element, "<Dial> has nobody to call.")


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
