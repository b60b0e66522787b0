"""What a verb of TwiML has and may contain, and what many verbs share."""

from dataclasses import dataclass, field
from typing import Final

from app.twiml.values import ANY, METHOD, OF_THE_ACCOUNT, WEB, Value, one_of, some_of


@dataclass(frozen=True, slots=True)
class Verb:
    """An element: `children` by name; `text`: "no", "may" or "must" have; `content`: which text.

    `most` limits how many children of a name there may be. `needs` are attributes without which
    Twilio would take something of the whole account. `refused` says why it cannot be used at all.
    """

    attributes: dict[str, Value] = field(default_factory=dict)
    children: frozenset[str] = frozenset()
    text: str = "no"
    most: dict[str, int] = field(default_factory=dict)
    content: Value = ANY
    needs: tuple[str, ...] = ()
    refused: str | None = None


MAX_NAME: Final = 90
"""Longest name of a conference, room or identity: Twilio takes 121 characters and more, of which
the prefix that makes it the client's own needs 27."""
MAX_QUEUE: Final = 37
"""Longest name of a queue: Twilio takes 64 characters."""


RECORDING_EVENTS: Final = some_of("in-progress", "completed", "absent")
STATUS: Final[dict[str, Value]] = {"statusCallback": WEB, "statusCallbackMethod": METHOD}
RECORDING: Final[dict[str, Value]] = {
    "recordingStatusCallback": WEB,
    "recordingStatusCallbackMethod": METHOD,
    "recordingStatusCallbackEvent": RECORDING_EVENTS,
    "recordingConfigurationId": OF_THE_ACCOUNT,
    "trim": one_of("trim-silence", "do-not-trim"),
}
PARAMETERS: Final = frozenset({"Parameter"})
