"""Reading TwiML as Twilio does: what is refused, what is only warned about.

Verbs, attributes and content types by Twilio's documentation 'TwiML' and its error dictionary.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from xml.parsers import expat

from .webhooks import Answer

XML_TYPES = {"text/xml", "application/xml", "text/html"}

_SSML = {
    "break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w",
    "amazon:effect",
}  # fmt: skip
_AMD = (
    "machineDetection machineDetectionTimeout machineDetectionSpeechThreshold "
    "machineDetectionSpeechEndThreshold machineDetectionSilenceTimeout "
    "amdStatusCallback amdStatusCallbackMethod"
)
_CALLBACKS = "statusCallback statusCallbackEvent statusCallbackMethod"
_RECORDING = (
    "recordingStatusCallback recordingStatusCallbackMethod recordingStatusCallbackEvent trim"
)
VOICE: dict[str, str] = {
    "Say": "voice language loop",
    "Play": "loop digits",
    "Pause": "length",
    "Gather": "input action method timeout finishOnKey numDigits speechTimeout maxSpeechTime "
    "language hints profanityFilter bargeIn actionOnEmptyResult partialResultCallback "
    "partialResultCallbackMethod speechModel enhanced debug",
    "Record": "action method timeout finishOnKey maxLength playBeep transcribe "
    f"transcribeCallback recordingTrack {_RECORDING}",
    "Dial": "action method timeout hangupOnStar timeLimit callerId record answerOnBridge "
    f"ringTone sequential recordingTrack callReason referUrl referMethod events {_RECORDING}",
    "Number": f"sendDigits url method byoc {_CALLBACKS} {_AMD}",
    "Redirect": "method",
    "Reject": "reason",
    "Hangup": "",
    "Enqueue": "action method maxQueueSize waitUrl waitUrlMethod workflowSid",
    "Leave": "",
    "Queue": "url method reservationSid postWorkActivitySid",
    "Conference": "muted beep startConferenceOnEnter endConferenceOnExit waitUrl waitMethod "
    f"maxParticipants record region coach eventCallbackUrl jitterBufferSize participantLabel "
    f"{_CALLBACKS} {_RECORDING}",
    "Sip": f"username password url method {_CALLBACKS} {_AMD}",
    "Uri": "priority weight username password",
    "Headers": "",
    "Header": "name value",
    "Client": f"url method {_CALLBACKS}",
    "Identity": "",
    "WhatsApp": f"url method {_CALLBACKS}",
    "Sms": "to from action method statusCallback",
    "Message": "to from action method statusCallback",
    "Connect": "action method",
    "Start": "action method",
    "Stop": "",
    "Pay": "*",
    "Prompt": "*",
    "Refer": "action method",
}
MESSAGING: dict[str, str] = {
    "Message": "to from action method statusCallback",
    "Sms": "to from action method statusCallback",
    "Body": "",
    "Media": "",
    "Redirect": "method",
}
NOUNS = {
    "Body", "Media", "Number", "Conference", "Sip", "Uri", "Headers", "Header", "Client",
    "Identity", "WhatsApp",
}  # fmt: skip


@dataclass
class Verb:
    """One element: its name, attributes, text and the elements inside."""

    name: str
    attributes: dict[str, str]
    text: str
    children: list[Verb] = field(default_factory=list)

    def get(self, name: str, default: str = "") -> str:
        """An attribute, or the default where it is not written."""
        return self.attributes.get(name, default)

    def number(self, name: str, default: float) -> float:
        """A numeric attribute; the default where it is missing or no number."""
        try:
            return float(self.attributes[name])
        except (KeyError, ValueError):
            return default


@dataclass
class Document:
    """A parsed answer. `plain` is the text of a text/plain answer, `audio` a sound's URL."""

    verbs: list[Verb] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    plain: str | None = None
    audio: str | None = None


class Refused(Exception):
    """TwiML that Twilio would not run, with its error code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def read(answer: Answer, known: dict[str, str]) -> Document:
    """The document in a webhook's answer; raises Refused with Twilio's code."""
    if answer.status == 204 or (answer.status < 300 and not answer.body.strip()):
        return Document()
    kind = answer.content_type
    if kind == "text/plain":
        return Document(plain=answer.body.decode("utf-8", "replace"))
    if kind.startswith("audio/") and known is VOICE:
        return Document(audio=answer.url)
    if not kind:
        raise Refused(12300, "The answer has no Content-Type.")
    if kind not in XML_TYPES:
        raise Refused(12300, f"Invalid Content-Type {kind}.")
    return parse(answer.body, known)


def parse(text: bytes | str, known: dict[str, str]) -> Document:
    """Parse TwiML; raises Refused 12100 (not XML) or 12102 (the root is not Response)."""
    try:
        root = _root(text)
    except expat.ExpatError as error:
        raise Refused(12100, f"Document parse failure: {error}.") from error
    if root.tag != "Response":
        raise Refused(12102, f"The root element must be <Response>, not <{root.tag}>.")
    document = Document()
    for element in root:
        verb = _verb(element, known, document.warnings)
        if verb.name in known and verb.name not in NOUNS:
            document.verbs.append(verb)
        else:
            document.warnings.append(f"<{verb.name}> is not a verb here and was left out.")
    return document


def _root(text: bytes | str) -> ET.Element:
    """The root of a document, at most 64 kB from the app on this machine.

    Colons are letters to Twilio: nobody declares the namespace of <amazon:effect>.
    """
    builder = ET.TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.Parse(text, True)
    return builder.close()


def _verb(element: ET.Element, known: dict[str, str], warnings: list[str]) -> Verb:
    name = element.tag
    if name in known and known[name] != "*":
        extra = set(element.attrib) - set(known[name].split())
        warnings += [f"<{name}> has no attribute {attribute}." for attribute in sorted(extra)]
    if name == "Say":
        text = "".join(element.itertext())
        inside = {child.tag for child in element.iter() if child is not element}
        warnings += [f"<{tag}> is not allowed in <Say>." for tag in sorted(inside - _SSML)]
        return Verb(name, dict(element.attrib), " ".join(text.split()))
    children = [_verb(child, known, warnings) for child in element]
    text = element.text or ""
    return Verb(name, dict(element.attrib), text, children)
