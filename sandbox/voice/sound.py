"""What a caller hears: `<Say>`, `<Play>`, `<Pause>`."""

from __future__ import annotations

from urllib.parse import urljoin

from .. import twiml
from .line import Line

ENDLESS = 1000
CHARACTERS_PER_SECOND = 14.0
PLAY_SECONDS = 5.0


def _loops(verb: twiml.Verb) -> int:
    count = int(verb.number("loop", 1))
    return ENDLESS if count == 0 else min(count, ENDLESS)


def say(line: Line, verb: twiml.Verb) -> None:
    """`<Say>`: words take as long as speaking them would."""
    for _ in range(_loops(verb)):
        line.hear(
            "say",
            verb.text.strip(),
            voice=verb.get("voice", "man"),
            language=verb.get("language", "en-US"),
        )
        if line.wait(max(1.0, len(verb.text) / CHARACTERS_PER_SECOND), line.barge_in):
            return


def play(line: Line, verb: twiml.Verb) -> None:
    """`<Play>`: a sound, fetched without Twilio's parameters, or keys."""
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


def pause(line: Line, verb: twiml.Verb) -> None:
    """`<Pause>`."""
    seconds = verb.number("length", 1)
    line.hear("pause", f"{seconds:g} s")
    line.wait(seconds, line.barge_in)
