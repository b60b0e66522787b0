"""Routes: what a number, or a messaging service, does with an incoming text or call."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Base
from app.models.base import Identified, Owned, UtcDateTime, choice, utcnow


class Channel(enum.StrEnum):
    """The two ways to reach somebody: texts and calls."""

    SMS = "sms"
    VOICE = "voice"


class Handler(enum.StrEnum):
    """What is done with an incoming text or call."""

    AUTO_REPLY = "auto_reply"
    FORWARD_TO_EMAIL = "forward_to_email"
    FORWARD_TO_WEBHOOK = "forward_to_webhook"
    PLAY_MESSAGE = "play_message"
    CALL_FORWARD = "call_forward"
    HANDLE_YOURSELF = "handle_yourself"


HANDLERS: dict[Channel, tuple[Handler, ...]] = {
    Channel.SMS: (
        Handler.AUTO_REPLY,
        Handler.FORWARD_TO_EMAIL,
        Handler.FORWARD_TO_WEBHOOK,
        Handler.HANDLE_YOURSELF,
    ),
    Channel.VOICE: (Handler.PLAY_MESSAGE, Handler.CALL_FORWARD, Handler.HANDLE_YOURSELF),
}


class Route(Identified, Owned, Base):
    """The handler of one sender for one channel, with what that handler needs.

    What refers to other rows has a column, so that nothing in use can be deleted; the rest is in
    ``options``: ``say, voice, language, loop, audio_url`` of ``play_message`` and ``to, timeout,
    caller_id, no_answer_say`` of ``call_forward``.
    """

    __tablename__ = "route"
    __table_args__ = (UniqueConstraint("sender_id", "channel"),)

    sender_id: Mapped[str] = mapped_column(ForeignKey("sender.id"))
    channel: Mapped[Channel] = mapped_column(choice(Channel))
    handler: Mapped[Handler] = mapped_column(choice(Handler))
    template_id: Mapped[str | None] = mapped_column(ForeignKey("template.id"), index=True)
    population_id: Mapped[str | None] = mapped_column(ForeignKey("population.id"), index=True)
    endpoint_id: Mapped[str | None] = mapped_column(ForeignKey("endpoint.id"), index=True)
    recording_id: Mapped[str | None] = mapped_column(ForeignKey("recording.id"), index=True)
    url: Mapped[str | None] = mapped_column(String(2048))
    options: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    updated_by: Mapped[str] = mapped_column(String(254))
    """The person's e-mail address, or ``flask apply``."""
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, onupdate=utcnow)

    keywords: Mapped[list[KeywordRule]] = relationship(
        order_by="KeywordRule.position", cascade="all, delete-orphan", lazy="selectin"
    )


class KeywordRule(Base):
    """One keyword of an ``auto_reply`` route with the template that answers it."""

    __tablename__ = "keyword_rule"

    route_id: Mapped[str] = mapped_column(ForeignKey("route.id"), primary_key=True)
    match: Mapped[str] = mapped_column(String(100), primary_key=True)
    """One word, kept in upper case; compared with the whole text, trimmed, in any case."""
    position: Mapped[int]
    template_id: Mapped[str] = mapped_column(ForeignKey("template.id"), index=True)
