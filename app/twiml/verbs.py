"""TwiML's verbs and nouns: their attributes with the allowed values, and what they may contain.

Written down from Twilio's TwiML reference (https://www.twilio.com/docs/voice/twiml and
https://www.twilio.com/docs/messaging/twiml). Names and values are case-sensitive there.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

Check = Callable[[str], str | None]
"""Takes an attribute's value; returns what it should be, or None if it is right."""


@dataclass(frozen=True, slots=True)
class Verb:
    """An element: `children` by name; `text`: "no", "may" or "must" have; `open`: unchecked inside.

    `most` limits how many children of a name there may be.
    """

    attributes: dict[str, Check] = field(default_factory=dict)
    children: frozenset[str] = frozenset()
    text: str = "no"
    most: dict[str, int] = field(default_factory=dict)
    open: bool = False


def one_of(*words: str) -> Check:
    """Allow one of `words`."""
    return lambda value: None if value in words else f"one of {', '.join(words)}"


def some_of(*words: str) -> Check:
    """Allow some of `words`, separated by spaces."""

    def check(value: str) -> str | None:
        given = value.split()
        good = bool(given) and set(given) <= set(words)
        return None if good else f"one or more of {', '.join(words)}, separated by spaces"

    return check


def number(least: int, most: int, *also: str) -> Check:
    """Allow a whole number from `least` to `most`, or one of the words `also`."""

    def check(value: str) -> str | None:
        if value in also:
            return None
        good = re.fullmatch(r"[0-9]{1,9}", value) and least <= int(value) <= most
        return None if good else f"a whole number from {least} to {most}"

    return check


def like(pattern: str, description: str) -> Check:
    """Allow what matches `pattern` as a whole."""
    compiled = re.compile(pattern)
    return lambda value: None if compiled.fullmatch(value) else description


def text(most: int = 4000) -> Check:
    """Allow any text of at most `most` characters."""
    return lambda value: None if len(value) <= most else f"at most {most} characters long"


BOOL: Final = one_of("true", "false")
METHOD: Final = one_of("GET", "POST")
URL: Final = like(r"https?://[^\s/?#]+\S*", "an address that begins with https:// or http://")
KEYS: Final = like(r"[0-9*#]*", "keys out of 0-9, * and #")
LANGUAGE: Final = like(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", "a language such as en-US")
VOICE: Final = like(
    r"man|woman|alice|(Polly|Google)\.[A-Za-z0-9-]+", "man, woman, Polly.… or Google.…"
)
PHONE: Final = like(r"\+?[0-9]{5,15}|(sip|client):\S+", "a phone number such as +13195550100")
_CALL_EVENTS: Final = some_of("initiated", "ringing", "answered", "completed")
_RECORDING_EVENTS: Final = some_of("in-progress", "completed", "absent")
_TRIM: Final = one_of("trim-silence", "do-not-trim")

_RECORDING: Final[dict[str, Check]] = {
    "recordingStatusCallback": URL,
    "recordingStatusCallbackMethod": METHOD,
    "recordingStatusCallbackEvent": _RECORDING_EVENTS,
    "recordingConfigurationId": text(64),
    "trim": _TRIM,
}
_CALLBACK: Final[dict[str, Check]] = {
    "url": URL,
    "method": METHOD,
    "statusCallback": URL,
    "statusCallbackMethod": METHOD,
    "statusCallbackEvent": _CALL_EVENTS,
}
_MACHINE: Final[dict[str, Check]] = {
    "machineDetection": one_of("Enable", "DetectMessageEnd"),
    "machineDetectionTimeout": number(3, 60),
    "machineDetectionSpeechThreshold": number(1000, 6000),
    "machineDetectionSpeechEndThreshold": number(500, 5000),
    "machineDetectionSilenceTimeout": number(2000, 10_000),
    "amdStatusCallback": URL,
    "amdStatusCallbackMethod": METHOD,
}
_SSML: Final = frozenset(
    {"break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w"}
)
_NOUNS: Final = frozenset(
    {"Number", "Client", "Conference", "Queue", "Sim", "Sip", "WhatsApp", "Application"}
)

VOICE_VERBS: Final[dict[str, Verb]] = {
    "Response": Verb(
        children=frozenset(
            {
                "Say", "Play", "Pause", "Gather", "Record", "Dial", "Redirect", "Reject", "Hangup",
                "Enqueue", "Leave", "Connect", "Start", "Stop", "Pay", "Prompt", "Refer", "Sms",
                "Echo",
            }
        )
    ),
    "Say": Verb({"voice": VOICE, "language": LANGUAGE, "loop": number(0, 1000)}, _SSML, "may"),
    "Play": Verb(
        {"loop": number(0, 1000), "digits": like(r"[0-9*#wW]+", "keys out of 0-9, *, # and w")},
        text="may",
    ),
    "Pause": Verb({"length": number(0, 14_400)}),
    "Gather": Verb(
        {
            "input": some_of("dtmf", "speech"),
            "action": URL,
            "method": METHOD,
            "timeout": number(0, 600),
            "speechTimeout": number(1, 600, "auto"),
            "maxSpeechTime": number(1, 600),
            "profanityFilter": BOOL,
            "finishOnKey": KEYS,
            "numDigits": number(1, 1000),
            "partialResultCallback": URL,
            "partialResultCallbackMethod": METHOD,
            "language": LANGUAGE,
            "hints": text(),
            "bargeIn": BOOL,
            "debug": BOOL,
            "actionOnEmptyResult": BOOL,
            "speechModel": text(60),
            "enhanced": BOOL,
        },
        frozenset({"Say", "Play", "Pause"}),
    ),
    "Record": Verb(
        {
            "action": URL,
            "method": METHOD,
            "timeout": number(0, 600),
            "finishOnKey": KEYS,
            "maxLength": number(1, 14_400),
            "playBeep": BOOL,
            "transcribe": BOOL,
            "transcribeCallback": URL,
            **_RECORDING,
        }
    ),
    "Dial": Verb(
        {
            "action": URL,
            "method": METHOD,
            "timeout": number(1, 600),
            "hangupOnStar": BOOL,
            "timeLimit": number(1, 86_400),
            "callerId": PHONE,
            "record": one_of(
                "do-not-record", "record-from-answer", "record-from-ringing",
                "record-from-answer-dual", "record-from-ringing-dual", "true", "false",
            ),
            "answerOnBridge": BOOL,
            "ringTone": like(r"[a-z]{2}(-old)?", "a country such as us"),
            "recordingTrack": one_of("inbound", "outbound", "both"),
            "sequential": BOOL,
            "callReason": text(50),
            "referUrl": URL,
            "referMethod": METHOD,
            "events": text(),
            "passports": text(),
            **_RECORDING,
        },
        _NOUNS,
        "may",
        {"Number": 10, "Client": 10, "Sip": 10},
    ),
    "Number": Verb(
        {
            "sendDigits": like(r"[0-9*#wW]+", "keys out of 0-9, *, # and w"),
            "byoc": text(64),
            **_CALLBACK,
            **_MACHINE,
        },
        text="must",
    ),
    "Client": Verb(_CALLBACK, frozenset({"Identity", "Parameter"}), "may"),
    "Sip": Verb({"username": text(), "password": text(), **_CALLBACK, **_MACHINE}, text="must"),
    "WhatsApp": Verb(_CALLBACK, text="must"),
    "Sim": Verb(text="must"),
    "Queue": Verb(
        {"url": URL, "method": METHOD, "reservationSid": text(64), "postWorkActivitySid": text(64)},
        text="may",
    ),
    "Conference": Verb(open=True, text="must"),
    "Application": Verb(open=True, text="may"),
    "Redirect": Verb({"method": METHOD}, text="must"),
    "Reject": Verb({"reason": one_of("rejected", "busy")}),
    "Hangup": Verb(),
    "Leave": Verb(),
    "Echo": Verb(),
    "Enqueue": Verb(
        {
            "action": URL,
            "method": METHOD,
            "maxQueueSize": number(1, 5000),
            "waitUrl": URL,
            "waitUrlMethod": METHOD,
            "workflowSid": text(64),
        },
        frozenset({"Task"}),
        "may",
    ),
    "Task": Verb({"priority": number(0, 2**31), "timeout": number(0, 2**31)}, text="may"),
    "Sms": Verb(
        {"to": PHONE, "from": PHONE, "action": URL, "method": METHOD, "statusCallback": URL},
        text="must",
    ),
    # Rare ones whose many settings Twilio changes often: known by name, unchecked inside.
    **{
        name: Verb(open=True, text="may")
        for name in ("Connect", "Start", "Stop", "Pay", "Prompt", "Refer", "Identity", "Parameter")
    },
    # SSML, inside <Say>.
    "break": Verb({"strength": text(20), "time": text(20)}),
    "emphasis": Verb({"level": text(20)}, _SSML, "may"),
    "lang": Verb({"xml:lang": LANGUAGE}, _SSML, "may"),
    "p": Verb({}, _SSML, "may"),
    "s": Verb({}, _SSML, "may"),
    "w": Verb({"role": text(40)}, _SSML, "may"),
    "phoneme": Verb({"alphabet": text(20), "ph": text()}, text="may"),
    "prosody": Verb({"volume": text(20), "rate": text(20), "pitch": text(20)}, _SSML, "may"),
    "say-as": Verb({"interpret-as": text(40), "format": text(20), "role": text(40)}, text="may"),
    "sub": Verb({"alias": text()}, text="may"),
}  # fmt: skip

MESSAGING_VERBS: Final[dict[str, Verb]] = {
    "Response": Verb(children=frozenset({"Message", "Redirect", "Sms"}), most={"Message": 10}),
    "Message": Verb(
        {
            "to": like(r"\S+", "a phone number"),
            "from": like(r"\S+", "a phone number"),
            "action": URL,
            "method": METHOD,
            "statusCallback": URL,
        },
        frozenset({"Body", "Media"}),
        "may",
        {"Body": 1, "Media": 10},
    ),
    "Body": Verb(text="may"),
    "Media": Verb(text="must"),
    "Sms": VOICE_VERBS["Sms"],
    "Redirect": VOICE_VERBS["Redirect"],
}
