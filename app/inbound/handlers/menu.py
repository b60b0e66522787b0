"""Callers choose by a key or a word; who does not is asked again, and then sent on."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.domain.routing.handlers.menu import Menu
from app.inbound import flow
from app.inbound.answers import Answer, CallContext, Heard, Onward
from app.inbound.handlers.play_message import media_url
from app.inbound.number import RouteFacts
from app.models.incoming import Outcome
from app.twiml import voice
from app.twiml.voice import Greeting


def answer(context: CallContext, route: RouteFacts, turn: int = 0) -> Answer:
    """Greet, and take a key or a word."""
    chosen = Menu.of(route.options)
    url = media_url(route.recording_code) if route.recording_code else None
    twiml = voice.gather(
        Greeting(chosen.say or "", chosen.voice, chosen.language, url),
        flow.step(context, "chosen", turn),
        chosen.timeout,
        chosen.speech,
    )
    return Answer(twiml, Outcome.PLAYED)


def heard(context: CallContext, route: RouteFacts, heard: Heard) -> Answer | Onward:
    """Go on by the key; ask again without one that leads anywhere, as often as is wanted."""
    chosen = Menu.of(route.options)
    key = heard.get("Digits") or said(heard.get("SpeechResult"), chosen.speech)
    if key and f"keys.{key}" in route.inner:
        return Onward(f"keys.{key}")
    if heard.turn < chosen.repeat:
        return answer(context, route, heard.turn + 1)
    return Onward("otherwise")


def said(sentence: str, words: Mapping[str, str]) -> str | None:
    """Return the key of the words that a caller has said; None where they say no, or several."""
    whole = f" {_plain(sentence)} "
    keys = {key for word, key in words.items() if f" {_plain(word)} " in whole}
    return keys.pop() if len(keys) == 1 else None


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
