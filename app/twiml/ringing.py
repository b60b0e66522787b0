"""TwiML of a call that lets several phones ring: to the caller, and to whoever picks up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from twilio.twiml.voice_response import VoiceResponse

from app.twiml import voice
from app.twiml.voice import Greeting

TAKES = "1"
"""The key by which somebody takes a call."""
KEY_WAIT = 8
"""Seconds that they have for it after the words."""


@dataclass(frozen=True)
class Phone:
    """One that rings, and the URL that Twilio asks when somebody picks up, if any is asked."""

    number: str
    picked_up: str | None = None


def ring(phones: Sequence[Phone], caller_id: str | None, timeout: int, action: str) -> str:
    """Return the document that lets the phones ring, all at once, and connects the first that
    answers, after what it hears then.

    The parameters are those of `app.twiml.voice.dial`. The caller's leg is answered only with the
    first that takes the call. Raises ValueError for a time-out that Twilio does not take.
    """
    voice.require_timeout(timeout)
    response = VoiceResponse()
    ringing = response.dial(
        action=action,
        method="POST",
        timeout=timeout,
        time_limit=voice.DIAL_LIMIT,
        caller_id=caller_id,
        answer_on_bridge=True,
    )
    for phone in phones:
        ringing.number(
            phone.number, url=phone.picked_up, method="POST" if phone.picked_up else None
        )
    return str(response)


def announce(caller: str, words: Greeting, key_step: str | None) -> str:
    """Return what somebody hears who picks up, before the two are connected.

    `caller` says who calls (see `spelled`); `words` are the department's own, said first. With a
    `key_step`, which Twilio asks for the key, only who presses `TAKES` takes the call: a mailbox
    does not. All is said twice then, since nobody hears what is said while the phone is on its way
    to the ear. In a language that we have no words in, the department's words are all.
    """
    ours = f"A call from {caller}."
    if key_step:
        ours += f" To take it, press {TAKES}."
    spoken = [words.text] if words.text else []
    if voice.is_english(words.language):
        spoken.append(ours)
    text = " ".join(spoken)
    if key_step:
        return voice.gather(replace(words, text=f"{text} {text}"), key_step, KEY_WAIT)
    response = VoiceResponse()
    voice.speak(response, text, words.voice, words.language)
    return str(response)


def take() -> str:
    """Return the document that says nothing more: the two are connected."""
    return str(VoiceResponse())


def spelled(phone: str) -> str:
    """Return a phone in E.164 as a voice is to read it: digit by digit, in groups."""
    digits = phone.removeprefix("+")
    if phone.startswith("+1") and len(digits) == 11:
        groups = [digits[1:4], digits[4:7], digits[7:]]
    else:
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return ", ".join(" ".join(group) for group in groups)
