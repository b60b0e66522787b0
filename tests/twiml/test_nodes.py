"""Every document of a call at its longest: the SDK of Twilio knows it, and Twilio fetches it."""

from __future__ import annotations

import inspect
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from twilio.twiml import voice_response
from twilio.twiml.voice_response import Dial, Gather, VoiceResponse

from app.domain.mistakes import Refused
from app.domain.routing import handlers
from app.domain.routing.handlers.ring import MOST_PEOPLE
from app.models.route import Destination
from app.twiml import check, ringing, voice
from app.twiml.ringing import Phone
from app.twiml.voice import Greeting

LIMIT = 64_000
"""Bytes of a document (Twilio, error 11750)."""
URL = "https://dispatch.example.edu/inbound/voice/step/" + "0" * 26 + "?at=" + "keys.1%2F" * 4
SAID = {"escaped": "&<", "four bytes": "😀", "letters": "ab", "blanks": "a "}
VOICES = {"basic": (None, None), "neural": ("Polly.Lupe-Neural", "es-MX")}
LONGEST = 10_000
"""Characters of what can be said in a menu or before a voice message."""
WHISPERED = 500
"""The same, to whoever is rung."""


def menu(words: Greeting) -> str:
    hints = [f"{number} {words.text[:45]}" for number in range(50)]
    return voice.gather(words, URL, 60, hints)


def recorded(words: Greeting) -> str:
    return voice.record(words, 600, action=URL, reports=URL, transcriptions=URL)


def rung(words: Greeting) -> str:
    phones = [Phone(f"+1319555010{at}", URL) for at in range(MOST_PEOPLE)]
    return ringing.ring(phones, "+13195550100", 120, URL)


def announced(words: Greeting) -> str:
    who = "A" * 200 + ", " + ringing.spelled("+13195550142")
    words = Greeting(words.text[:WHISPERED], words.voice, words.language)
    return ringing.announce(who, words, URL)


NODES = {
    "a menu": menu, "a voice message": recorded, "phones that ring": rung,
    "who picks up": announced, "who took it": lambda _: ringing.take(),
    "who did not": lambda _: voice.hangup(),
    "goodbye": lambda words: voice.farewell(words.voice, words.language),
    "an apology": lambda _: voice.apology(),
}  # fmt: skip


def of_the_sdk(document: str) -> None:
    """Expect each verb to be one of the SDK's, with attributes that its class takes."""
    makers = {"Response": VoiceResponse, "Gather": Gather, "Dial": Dial}
    root = ElementTree.fromstring(document)
    assert root.tag == "Response"
    for parent in root.iter():
        for child in parent:
            assert hasattr(voice_response, child.tag)
            make = getattr(makers[parent.tag], child.tag.lower())
            taken = set(inspect.signature(make).parameters)
            given = {re.sub("([A-Z])", r"_\1", name).lower() for name in child.attrib}
            assert given <= taken | {"from_"}, (child.tag, given - taken)


@pytest.mark.parametrize("spoken", VOICES.values(), ids=VOICES)
@pytest.mark.parametrize("unit", SAID.values(), ids=SAID)
@pytest.mark.parametrize("node", NODES.values(), ids=NODES)
def test_it_is_what_the_sdk_knows_and_twilio_fetches(
    node, unit: str, spoken: tuple[str | None, str | None]
) -> None:
    words = (unit * LONGEST)[:LONGEST].strip()
    document = node(Greeting(words, *spoken))
    assert len(document.encode()) < LIMIT
    assert check.check_document(document, whisper=node is announced) == []
    of_the_sdk(document)


ROUTES: dict[str, tuple[dict[str, Any], str, int]] = {
    "a menu": (
        {"handler": "menu", "keys": {"1": {"handler": "voicemail"}}}, "say", LONGEST,
    ),
    "a voice message": ({"handler": "voicemail"}, "say", LONGEST),
    "who picks up": (
        {"handler": "ring", "people": [{"to": "+13195550101"}]}, "whisper", WHISPERED,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("route", "field", "longest"), ROUTES.values(), ids=ROUTES)
def test_nothing_longer_can_be_written(route: dict[str, Any], field: str, longest: int) -> None:
    handlers.parse(Destination.VOICE, {**route, field: "x" * longest})
    with pytest.raises(Refused, match="too long"):
        handlers.parse(Destination.VOICE, {**route, field: "x" * (longest + 1)})
