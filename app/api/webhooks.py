"""What endpoints are told of voice messages and conversations, as in the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.api.reading import Shape
from app.models.delivery import EventType


class VoicemailReceived(Shape):
    """Somebody left a voice message."""

    id: str
    client: str
    call_sid: str
    from_: str = Field(alias="from")
    to: str
    member: dict[str, Any] | None = Field(description="Whom the client wrote to last there.")
    url: str | None = Field(
        description="The sound, at an address that nobody can guess, until retention; null where"
        " Twilio could not give it to us."
    )
    duration_seconds: int | None
    received_at: datetime
    path: list[str] = Field(description="The keys that the caller pressed on the way.")
    sequence: int


class VoicemailTranscribed(Shape):
    """What was said in a voice message."""

    id: str = Field(description="The message's, as in `voicemail.received`.")
    text: str
    language: str | None
    sequence: int


class VoicemailReceivedEvent(Shape):
    """The body of a webhook of this type."""

    type: Literal["voicemail.received"]
    timestamp: datetime
    data: VoicemailReceived


class VoicemailTranscribedEvent(Shape):
    """The body of a webhook of this type."""

    type: Literal["voicemail.transcribed"]
    timestamp: datetime
    data: VoicemailTranscribed


class ConversationAssigned(Shape):
    """Somebody took a conversation, or gave it back."""

    id: str = Field(description="The conversation's.")
    client: str
    number: str
    phone: str
    assigned: str | None = Field(description="Who looks after it now, by e-mail; null is nobody.")
    by: str = Field(description="Who did it: a person's e-mail address, or an API key.")
    at: datetime
    sequence: int


class ConversationAssignedEvent(Shape):
    """The body of a webhook of this type."""

    type: Literal["conversation_assigned"]
    timestamp: datetime
    data: ConversationAssigned


EVENTS: dict[EventType, type[Shape]] = {
    EventType.VOICEMAIL_RECEIVED: VoicemailReceivedEvent,
    EventType.VOICEMAIL_TRANSCRIBED: VoicemailTranscribedEvent,
    EventType.CONVERSATION_ASSIGNED: ConversationAssignedEvent,
}
