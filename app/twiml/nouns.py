"""The nouns of <Dial>, <Connect> and <Start>: whom a call is joined with, and who listens."""

from typing import Final

from app.twiml.values import (
    BOOL,
    CALLER_ID,
    METHOD,
    OF_THE_ACCOUNT,
    PHONE,
    SIP,
    STREAM,
    WEB,
    WEB_OR_NONE,
    Value,
    like,
    name,
    number,
    one_of,
    some_of,
    text,
)
from app.twiml.verb import MAX_NAME, MAX_QUEUE, PARAMETERS, RECORDING, STATUS, Verb

_OTHERS: Final = (
    "<{name}> names something of the Twilio account by its SID, and other clients may share the"
    " account; it cannot be used here."
)
_GONE: Final = "Twilio has ended <{name}>; it cannot be used."
_CALL_EVENTS: Final = some_of("initiated", "ringing", "answered", "completed")
_RECORD: Final = one_of(
    "do-not-record", "record-from-answer", "record-from-ringing",
    "record-from-answer-dual", "record-from-ringing-dual", "true", "false",
)  # fmt: skip
_TRACK: Final = one_of("inbound_track", "outbound_track", "both_tracks")

_CALLBACK: Final[dict[str, Value]] = {
    "url": WEB, "method": METHOD, "statusCallbackEvent": _CALL_EVENTS, **STATUS,
}  # fmt: skip
_MACHINE: Final[dict[str, Value]] = {
    "machineDetection": one_of("Enable", "DetectMessageEnd"),
    "machineDetectionTimeout": number(3, 59),
    "machineDetectionSpeechThreshold": number(1000, 6000),
    "machineDetectionSpeechEndThreshold": number(500, 5000),
    "machineDetectionSilenceTimeout": number(2000, 10_000),
    "amdStatusCallback": WEB,
    "amdStatusCallbackMethod": METHOD,
}
_NOUNS: Final = frozenset(
    {"Number", "Client", "Conference", "Queue", "Sim", "Sip", "WhatsApp", "Application"}
)

_SPEECH: Final[dict[str, Value]] = {
    "language": text(40), "ttsProvider": text(60), "voice": text(100),
    "transcriptionProvider": text(60), "speechModel": text(60), "hints": text(),
    "asrSmartFormat": text(20), "ttsTextNormalization": text(20),
    "ttsLanguageTextNormalization": text(100),
}  # fmt: skip
DIALS: Final[dict[str, Verb]] = {
    "Dial": Verb(
        {
            "action": WEB, "method": METHOD, "timeout": number(1, 600), "hangupOnStar": BOOL,
            "timeLimit": number(1, 86_400), "callerId": CALLER_ID, "record": _RECORD,
            "answerOnBridge": BOOL, "ringTone": like(r"[a-z]{2}(-old)?", "a country such as us"),
            "recordingTrack": one_of("inbound", "outbound", "both"), "sequential": BOOL,
            "callReason": text(50), "referUrl": WEB, "referMethod": METHOD, "events": text(),
            "passports": text(), **RECORDING,
        },
        _NOUNS,
        "may",
        {"Number": 10, "Client": 10, "Sip": 10},
        content=PHONE,
    ),
    "Number": Verb(
        {
            "sendDigits": like(r"[0-9*#wW]+", "keys out of 0-9, *, # and w"),
            "byoc": OF_THE_ACCOUNT, **_CALLBACK, **_MACHINE,
        },
        text="must",
        content=PHONE,
    ),
    "WhatsApp": Verb(_CALLBACK, text="must", content=PHONE),
    "Client": Verb(
        _CALLBACK, frozenset({"Identity", "Parameter"}), "may", {"Identity": 1},
        content=name(MAX_NAME),
    ),
    "Identity": Verb(text="must", content=name(MAX_NAME)),
    "Parameter": Verb({"name": text(), "value": text()}),
    "Sip": Verb(
        {"username": text(), "password": text(), **_CALLBACK, **_MACHINE},
        frozenset({"Uri", "Headers"}),
        "may",
        {"Headers": 1, "Uri": 10},
        content=SIP,
    ),
    "Uri": Verb(
        {
            "priority": number(0, 65_535), "weight": number(0, 65_535), "username": text(),
            "password": text(),
        },
        text="must",
        content=SIP,
    ),
    "Headers": Verb(children=frozenset({"Header"})),
    "Header": Verb(
        {
            "name": like(r"[Xx]-[A-Za-z0-9-]+|User-to-User", "User-to-User or begin with X-"),
            "value": text(),
        }
    ),
    "Conference": Verb(
        {
            "muted": BOOL, "beep": one_of("true", "false", "onEnter", "onExit"),
            "startConferenceOnEnter": BOOL, "endConferenceOnExit": BOOL, "waitUrl": WEB_OR_NONE,
            "waitMethod": METHOD, "maxParticipants": number(2, 250),
            "record": one_of("do-not-record", "record-from-start", "true", "false"),
            "region": text(20), "coach": like(r"CA[0-9a-fA-F]{32}", "the SID of a call"),
            "statusCallbackEvent": text(200), **STATUS, **RECORDING, "eventCallbackUrl": WEB,
            "jitterBufferSize": one_of("large", "medium", "small", "off"),
            "participantLabel": text(128),
        },
        text="must",
        content=name(MAX_NAME),
    ),
    "Queue": Verb(
        {
            "url": WEB, "method": METHOD, "reservationSid": OF_THE_ACCOUNT,
            "postWorkActivitySid": OF_THE_ACCOUNT,
        },
        text="must",
        content=name(MAX_QUEUE),
    ),
    "Enqueue": Verb(
        {
            "action": WEB, "method": METHOD, "maxQueueSize": number(1, 5000),
            "waitUrl": WEB_OR_NONE, "waitUrlMethod": METHOD, "workflowSid": OF_THE_ACCOUNT,
        },
        frozenset({"Task"}),
        "must",
        content=name(MAX_QUEUE),
    ),
    "Refer": Verb({"action": WEB, "method": METHOD}, frozenset({"Sip"})),
    **{one: Verb(refused=_OTHERS) for one in ("Sim", "Application", "ApplicationSid", "Task")},
}  # fmt: skip

STREAMS: Final[dict[str, Verb]] = {
    "Connect": Verb(
        {"action": WEB, "method": METHOD},
        frozenset(
            {
                "Room", "Autopilot", "Stream", "VirtualAgent", "Conversation",
                "ConversationRelay", "AiSession", "ConversationRelaySession",
            }
        ),
    ),
    "Start": Verb(
        {"action": WEB, "method": METHOD},
        frozenset({"Stream", "Siprec", "Transcription", "Recording"}),
    ),
    "Stop": Verb(children=frozenset({"Stream", "Siprec", "Transcription"})),
    # The name of a stream, a recording session or a transcription is one call's own.
    "Stream": Verb(
        {
            "name": text(), "connectorName": name(MAX_NAME), "url": STREAM, "track": _TRACK,
            **STATUS, "audioFormat": text(40), "sampleRate": number(8000, 48_000),
        },
        PARAMETERS,
    ),
    "Siprec": Verb(
        {"name": text(), "connectorName": name(MAX_NAME), "track": _TRACK, **STATUS}, PARAMETERS
    ),
    "Transcription": Verb(
        {
            "name": text(), "track": _TRACK, "statusCallbackUrl": WEB,
            "statusCallbackMethod": METHOD, "inboundTrackLabel": text(),
            "outboundTrackLabel": text(), "partialResults": BOOL, "languageCode": text(40),
            "transcriptionEngine": text(40), "profanityFilter": BOOL, "speechModel": text(60),
            "hints": text(), "enableAutomaticPunctuation": BOOL,
            "intelligenceService": OF_THE_ACCOUNT,
        },
        frozenset({"Config", "Parameter"}),
    ),
    "Recording": Verb(
        {**RECORDING, "track": text(20), "channels": one_of("mono", "dual")},
    ),
    "Config": Verb({"name": text(), "value": text()}),
    "Room": Verb({"participantIdentity": text(128)}, text="must", content=name(MAX_NAME)),
    "VirtualAgent": Verb(
        {
            "connectorName": name(MAX_NAME), "language": text(40), "sentimentAnalysis": BOOL,
            **STATUS,
        },
        frozenset({"Config", "Parameter"}),
        needs=("connectorName",),
    ),
    "ConversationRelay": Verb(
        {
            "url": STREAM, **_SPEECH, "ttsLanguage": text(40), "transcriptionLanguage": text(40),
            "profanityFilter": BOOL, "dtmfDetection": BOOL, "welcomeGreeting": text(),
            "partialPrompts": BOOL, "welcomeGreetingInterruptible": text(20),
            "interruptible": text(20), "preemptible": BOOL, "intelligenceService": OF_THE_ACCOUNT,
            "reportInputDuringAgentSpeech": text(20), "elevenlabsTextNormalization": text(20),
            "interruptSensitivity": text(20), "debug": text(200),
            "backgroundNoiseReduction": text(40), "speechTimeout": text(20),
            "deepgramSmartFormat": text(20), "ignoreBackchannel": text(20), "events": text(200),
            "partialPromptOnHangup": text(20), "eagerEotThreshold": text(20),
            "elevenlabsLanguageTextNormalization": text(100), "includeInPrompt": text(200),
            "customerName": text(), "applicationReconnect": text(20),
            "echoPromptFiltering": text(20), "turnDetection": text(100),
        },
        frozenset({"Language", "Parameter"}),
        needs=("url",),
    ),
    "Language": Verb({"code": text(40), **_SPEECH}),
    "Autopilot": Verb(refused=_GONE),
    **{
        one: Verb(refused=_OTHERS)
        for one in ("Conversation", "AiSession", "ConversationRelaySession")
    },
}  # fmt: skip
