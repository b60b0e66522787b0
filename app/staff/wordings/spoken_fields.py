"""A call's template as words, a voice and a language, for staff who do not write TwiML."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request

from app.twiml import spoken
from app.twiml.spoken import Spoken

SPOKEN, TWIML = "spoken", "twiml"


@dataclass(frozen=True)
class SpokenFields:
    """What the form shows: which of the two ways is chosen, and the words of the first one."""

    how: str
    spoken: Spoken


def shown(body: str) -> SpokenFields:
    """Return the fields as they were sent, or else as the template that is stored has them."""
    if "how" in request.form:
        how = TWIML if request.form["how"] == TWIML else SPOKEN
        return SpokenFields(how, _typed())
    found = spoken.take_apart(body) if body.strip() else Spoken("")
    return SpokenFields(SPOKEN if found else TWIML, found or Spoken(""))


def body() -> str:
    """Return the TwiML that the form asks for, in whichever way it was written."""
    if request.form.get("how") != SPOKEN:
        return request.form.get("body", "")
    said = _typed()
    return spoken.as_twiml(said) if said.words else ""


def _typed() -> Spoken:
    words, voice, language = (
        request.form.get(name, "").replace("\r\n", "\n").strip()
        for name in ("words", "voice", "language")
    )
    return Spoken(words, voice, language)
