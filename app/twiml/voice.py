"""TwiML answers to a call."""

from collections.abc import Iterable
from dataclasses import dataclass

from twilio.twiml.voice_response import Gather, VoiceResponse

from app.twiml.text import clean, split

MAX_DOCUMENT = 64_000
"""Largest document Twilio fetches, in bytes (error 11750 at 64 kB)."""
SAY_LIMIT = 4096
"""Longest text of one <Say> with a basic voice, in characters (error 13521)."""
SAY_LIMIT_NEURAL = 3000
"""The same for the Polly and Google voices."""
SAY_LIMIT_ENCODED = 4500
"""The same in bytes, URL-encoded."""
DIAL_TIMEOUTS = range(5, 601)
"""Seconds a forwarded call may ring; Twilio rings 600 at most."""

SILENCE = 10
"""Seconds of silence that end a recording; Twilio's own five cut off who looks something up."""
LAST_KEY = "#"
"""The key that ends a recording."""

DIAL_LIMIT = 2 * 3600
"""Seconds after which a call that goes on to another phone is ended: a loop, or a receiver that
was not put down, would cost for Twilio's own four hours."""

APOLOGY = (
    "We are sorry. Something went wrong on our side, and we cannot take your call just now. "
    "Please try again in a few minutes. Goodbye."
)
SORRY = (
    "We are sorry. We have called you with a message, but something went wrong on our side. "
    "Goodbye."
)
GOODBYE = "Thank you. Goodbye."
NOT_HEARD = "We have not heard anything. Goodbye."
NEUTRAL = "Thank you for calling. This number does not take calls. Goodbye."
BASIC_VOICES = frozenset({"man", "woman", "alice"})


def say(text: str, voice: str | None = None, language: str | None = None, loop: int = 1) -> str:
    """Return the document that speaks `text` and hangs up.

    `voice` and `language` are Twilio's names (``Polly.Joanna``, ``en-US``). `loop` is how often
    it is said; 0 repeats until the caller hangs up. A text longer than one <Say> may be becomes
    several, and then the whole sequence is repeated, as often as one document can hold.
    """
    response = VoiceResponse()
    speak(response, text, voice, language, loop)
    response.hangup()
    return str(response)


def play(url: str, loop: int = 1) -> str:
    """Return the document that plays the audio file at `url` and hangs up.

    `loop` is how often it is played; 0 repeats until the caller hangs up.
    """
    response = VoiceResponse()
    response.play(clean(url), loop=loop)
    response.hangup()
    return str(response)


def dial(
    number: str,
    caller_id: str | None,
    timeout: int,
    action: str,
    time_limit: int = DIAL_LIMIT,
) -> str:
    """Return the document that forwards the call to `number`.

    `caller_id` is the number shown there (the caller's own when None), `timeout` the seconds it
    rings, `action` the URL that Twilio asks afterwards with DialCallStatus, `time_limit` the
    seconds that the two may speak. The caller's leg is answered only when the other side answers,
    so nobody pays for ringing.

    Raises ValueError for a time-out outside `DIAL_TIMEOUTS`.
    """
    require_timeout(timeout)
    response = VoiceResponse()
    forward = response.dial(
        action=action,
        method="POST",
        timeout=timeout,
        time_limit=time_limit,
        caller_id=caller_id,
        answer_on_bridge=True,
    )
    forward.number(number)
    return str(response)


def require_timeout(timeout: int) -> None:
    """Raise ValueError for a time-out outside `DIAL_TIMEOUTS`."""
    if timeout not in DIAL_TIMEOUTS:
        raise ValueError(
            f"The phone may ring {DIAL_TIMEOUTS[0]} to {DIAL_TIMEOUTS[-1]} seconds, not {timeout}."
        )


@dataclass(frozen=True)
class Greeting:
    """What a caller hears first: the sound at ``url``, or ``text`` as a voice reads it."""

    text: str = ""
    voice: str | None = None
    language: str | None = None
    url: str | None = None


def record(
    greeting: Greeting,
    max_seconds: int,
    *,
    action: str,
    reports: str,
    transcriptions: str | None = None,
) -> str:
    """Return the document that greets, sounds a tone and records what the caller says.

    `action` is asked by Twilio when it ends, unless nothing was said: then the caller hears so.
    `reports` is told when the recording is ready, or that there is none; `transcriptions`, what
    was said, where Twilio is to write it down.
    """
    response = VoiceResponse()
    _greet(response, greeting)
    response.record(
        action=action,
        method="POST",
        timeout=SILENCE,
        finish_on_key=LAST_KEY,
        max_length=max_seconds,
        play_beep=True,
        recording_status_callback=reports,
        recording_status_callback_method="POST",
        recording_status_callback_event="completed absent",
        transcribe=True if transcriptions else None,
        transcribe_callback=transcriptions,
    )
    if is_english(greeting.language):
        response.say(NOT_HEARD, voice=greeting.voice, language=greeting.language)
    response.hangup()
    return str(response)


def farewell(voice: str | None = None, language: str | None = None) -> str:
    """Return the document that ends a call politely, once a message was left, or no key pressed.

    In a language that we have no words in, the call just ends.
    """
    return say(GOODBYE, voice, language) if is_english(language) else hangup()


def gather(greeting: Greeting, action: str, timeout: int, words: Iterable[str] = ()) -> str:
    """Return the document that greets and takes one key, any of the twelve, or one of `words`.

    `action` is asked in any case, after `timeout` seconds of nothing without a key (Twilio,
    <Gather>: actionOnEmptyResult; an empty finishOnKey lets # be a key like the others).
    """
    response = VoiceResponse()
    hints = ",".join(clean(word).replace(",", " ") for word in words)
    taking = response.gather(
        input="dtmf speech" if hints else "dtmf",
        action=action,
        method="POST",
        timeout=timeout,
        num_digits=1,
        finish_on_key="",
        action_on_empty_result=True,
        hints=hints or None,
        speech_timeout="auto" if hints else None,
        language=greeting.language if hints else None,
    )
    _greet(taking, greeting)
    return str(response)


def apology() -> str:
    """Return the document a caller hears when something of ours failed."""
    return say(APOLOGY)


def sorry() -> str:
    """Return the document that a person whom we called hears when something of ours failed."""
    return say(SORRY)


def goodbye() -> str:
    """Return the document that ends a call politely, once keys or a recording were taken."""
    return say(GOODBYE)


def neutral() -> str:
    """Return the document a caller hears on a number that does nothing with calls."""
    return say(NEUTRAL)


def hangup() -> str:
    """Return the document that ends the call."""
    response = VoiceResponse()
    response.hangup()
    return str(response)


def redirect(url: str) -> str:
    """Return the document that makes Twilio ask `url`, by POST, for the answer instead."""
    response = VoiceResponse()
    response.redirect(clean(url), method="POST")
    return str(response)


def is_english(language: str | None) -> bool:
    """Tell whether we have words of our own in a language; none named is English."""
    return language is None or language.partition("-")[0] == "en"


def _greet(response: VoiceResponse | Gather, greeting: Greeting) -> None:
    if greeting.url:
        response.play(clean(greeting.url))
    else:
        speak(response, greeting.text, greeting.voice, greeting.language)


def speak(
    response: VoiceResponse | Gather,
    text: str,
    voice: str | None = None,
    language: str | None = None,
    loop: int = 1,
) -> None:
    """Add what says `text`, in as many pieces as Twilio wants; the rest is as for `say`."""
    basic = voice is None or voice in BASIC_VOICES
    limit = SAY_LIMIT if basic else SAY_LIMIT_NEURAL
    pieces = split(clean(text), limit, SAY_LIMIT_ENCODED)
    if len(pieces) == 1:
        response.say(pieces[0], voice=voice, language=language, loop=None if loop == 1 else loop)
        return
    size = sum(_room(piece) for piece in pieces) or 1
    fitting = max(MAX_DOCUMENT // size, 1)
    for _ in range(fitting if loop == 0 else min(loop, fitting)):
        for piece in pieces:
            response.say(piece, voice=voice, language=language)


def _room(piece: str) -> int:
    """Return an upper bound of the bytes that one <Say> of `piece` takes in the document."""
    escapes = sum(piece.count(sign) for sign in "&<>") * 4
    return len(piece.encode()) + escapes + 100
