"""TwiML's verbs: their attributes with the allowed values, and what they may contain.

Written down from Twilio's TwiML reference (https://www.twilio.com/docs/voice/twiml and
https://www.twilio.com/docs/messaging/twiml) and compared by a test with the classes of Twilio's
library, so that what is new there is not used before somebody has said here where it leads. Names
and values are case-sensitive.
"""

from typing import Final

from app.twiml.nouns import DIALS, STREAMS
from app.twiml.values import (
    BOOL,
    CALLER_ID,
    KEYS,
    LANGUAGE,
    METHOD,
    PHONE,
    SOUND,
    VOICE,
    WEB,
    like,
    name,
    number,
    one_of,
    some_of,
    text,
)
from app.twiml.verb import MAX_NAME, PARAMETERS, RECORDING, STATUS, Verb

_TEXT: Final = (
    "A text cannot be sent from within a call: it would be in no log and go by no suppression"
    " list. Send it as a message of its own, or as a step of a communication."
)
_SSML: Final = frozenset(
    {
        "break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w",
        "amazon:effect",
    }
)  # fmt: skip

_TALK: Final[dict[str, Verb]] = {
    "Say": Verb({"voice": VOICE, "language": LANGUAGE, "loop": number(0, 1000)}, _SSML, "may"),
    "Play": Verb(
        {"loop": number(0, 1000), "digits": like(r"[0-9*#wW]+", "keys out of 0-9, *, # and w")},
        text="may",
        content=SOUND,
    ),
    "Pause": Verb({"length": number(0, 14_400)}),
    "Gather": Verb(
        {
            "input": some_of("dtmf", "speech"), "action": WEB, "method": METHOD,
            "timeout": number(0, 600), "speechTimeout": number(1, 600, "auto"),
            "maxSpeechTime": number(1, 600), "profanityFilter": BOOL, "finishOnKey": KEYS,
            "numDigits": number(1, 1000), "partialResultCallback": WEB,
            "partialResultCallbackMethod": METHOD, "language": LANGUAGE, "hints": text(),
            "bargeIn": BOOL, "debug": BOOL, "actionOnEmptyResult": BOOL, "speechModel": text(60),
            "enhanced": BOOL,
        },
        frozenset({"Say", "Play", "Pause"}),
    ),
    "Record": Verb(
        {
            "action": WEB, "method": METHOD, "timeout": number(0, 600), "finishOnKey": KEYS,
            "maxLength": number(1, 14_400), "playBeep": BOOL, "transcribe": BOOL,
            "transcribeCallback": WEB, **RECORDING,
        }
    ),
    "Redirect": Verb({"method": METHOD}, text="must", content=WEB),
    "Reject": Verb({"reason": one_of("rejected", "busy")}, PARAMETERS),
    "Hangup": Verb(children=PARAMETERS),
    "Leave": Verb(),
    "Echo": Verb(),
    "Prompt": Verb(
        {
            "for": text(60), "errorType": text(200), "cardType": text(200), "attempt": text(40),
            "requireMatchingInputs": BOOL,
        },
        frozenset({"Say", "Play", "Pause"}),
    ),
    "Pay": Verb(
        {
            "input": text(40), "action": WEB, "method": METHOD, "bankAccountType": text(100),
            **STATUS, "timeout": number(1, 600), "maxAttempts": number(1, 10),
            "securityCode": BOOL, "postalCode": text(20), "minPostalCodeLength": number(0, 20),
            "paymentConnector": name(MAX_NAME), "paymentMethod": text(40), "tokenType": text(40),
            "chargeAmount": text(20), "currency": text(10), "description": text(),
            "validCardTypes": text(200), "language": LANGUAGE,
        },
        frozenset({"Prompt", "Parameter"}),
        needs=("paymentConnector",),
    ),
    "Sms": Verb(refused=_TEXT),
}  # fmt: skip

_SPEECH_MARKS: Final[dict[str, Verb]] = {
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
    # Amazon's own, for the Polly voices.
    "amazon:effect": Verb(
        {"name": text(20), "phonation": text(20), "vocal-tract-length": text(20)}, _SSML, "may"
    ),
}
"""SSML, inside <Say>."""

VOICE_VERBS: Final[dict[str, Verb]] = {
    "Response": Verb(
        children=frozenset(
            {
                "Say", "Play", "Pause", "Gather", "Record", "Dial", "Redirect", "Reject", "Hangup",
                "Enqueue", "Queue", "Leave", "Connect", "Start", "Stop", "Pay", "Prompt", "Refer",
                "Sms", "Echo",
            }
        )
    ),
    **_TALK,
    **DIALS,
    **STREAMS,
    **_SPEECH_MARKS,
}  # fmt: skip

_TO_TEXT: Final = like(r"\S+", "a phone number", PHONE.leads)
MESSAGING_VERBS: Final[dict[str, Verb]] = {
    "Response": Verb(children=frozenset({"Message", "Redirect"}), most={"Message": 10}),
    "Message": Verb(
        {
            "to": _TO_TEXT, "from": like(r"\S+", "a phone number", CALLER_ID.leads),
            "action": WEB, "method": METHOD, "statusCallback": WEB,
        },
        frozenset({"Body", "Media"}),
        "may",
        {"Body": 1, "Media": 10},
    ),
    "Body": Verb(text="may"),
    "Media": Verb(text="must", content=SOUND),
    "Redirect": _TALK["Redirect"],
}  # fmt: skip
