"""A call's template that only says something: taken apart for people who do not write TwiML."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr, unescape

from app.twiml.tags import pieces

_SAYS = re.compile(
    r'\s*<Response>\s*<Say(?: voice="(?P<voice>[^"<>]*)")?'
    r'(?: language="(?P<language>[^"<>]*)")?\s*>'
    r"(?P<words>.*)</Say>\s*</Response>\s*",
    re.DOTALL,
)


@dataclass(frozen=True)
class Spoken:
    """Words with placeholders, as people write them, and who reads them."""

    words: str
    voice: str = ""
    """Twilio's name of a voice; empty for its usual one."""
    language: str = ""


def as_twiml(spoken: Spoken) -> str:
    """Return the template that says it; placeholders stay as they are, the rest is escaped."""
    attributes = "".join(
        f" {name}={quoteattr(value)}"
        for name, value in (("voice", spoken.voice), ("language", spoken.language))
        if value
    )
    return f"<Response><Say{attributes}>{_outside(spoken.words, escape)}</Say></Response>"


def take_apart(template: str) -> Spoken | None:
    """Return what a template says, or None when it does more than say one thing."""
    found = _SAYS.fullmatch(template)
    if found is None:
        return None
    words = found["words"]
    if any("<" in piece.text for piece in pieces(words) if not piece.opening):
        return None
    return Spoken(_outside(words, unescape).strip(), found["voice"] or "", found["language"] or "")


def _outside(text: str, change: Callable[[str], str]) -> str:
    return "".join(one.text if one.opening else change(one.text) for one in pieces(text))
