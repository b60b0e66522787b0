"""Routes: what a number, or a messaging service, does with an incoming text or call."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Base
from app.models.base import Identified, Owned, UtcDateTime, choice, utcnow


class Destination(enum.StrEnum):
    """The two ways to reach somebody, or us: Twilio's SMS and Twilio's Voice."""

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
    HOURS = "hours"
    VOICEMAIL = "voicemail"
    MENU = "menu"
    RING = "ring"


class Route(Identified, Owned, Base):
    """The handler of one sender for one destination, with what that handler needs.

    A route that leads to others holds them: each is a row whose ``parent_id`` is the outer one and
    whose ``place`` says where in it. What refers to other rows has a column, so that nothing in use
    can be deleted; the rest is in ``options``, by the names of the handler's specification
    (`app.domain.routing.handlers`).
    """

    __tablename__ = "route"
    __table_args__ = (
        Index(
            "uq_route_sender_id_channel", "sender_id", "destination", unique=True,
            sqlite_where=text("parent_id IS NULL"), postgresql_where=text("parent_id IS NULL"),
        ),
        UniqueConstraint("parent_id", "place"),
        Index(None, "sender_id"),
    )  # fmt: skip

    sender_id: Mapped[str] = mapped_column(ForeignKey("sender.id"))
    destination: Mapped[Destination] = mapped_column(
        "channel", choice(Destination), key="destination"
    )
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("route.id"))
    place: Mapped[str | None] = mapped_column(String(100))
    """Where it stands in the outer route: a field, or a field and a key (``keys.1``)."""
    handler: Mapped[Handler] = mapped_column(choice(Handler))
    hours_id: Mapped[str | None] = mapped_column(ForeignKey("hours.id"), index=True)
    rota_id: Mapped[str | None] = mapped_column(ForeignKey("rota.id"), index=True)
    template_id: Mapped[str | None] = mapped_column(ForeignKey("template.id"), index=True)
    text_back_id: Mapped[str | None] = mapped_column(ForeignKey("template.id"), index=True)
    """The text that a caller gets whom nobody has answered there."""
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
    inner: Mapped[list[Route]] = relationship(cascade="all, delete-orphan", order_by="Route.id")


class KeywordRule(Base):
    """One keyword of an ``auto_reply`` route with the template that answers it."""

    __tablename__ = "keyword_rule"

    route_id: Mapped[str] = mapped_column(ForeignKey("route.id"), primary_key=True)
    match: Mapped[str] = mapped_column(String(100), primary_key=True)
    """One word, kept in upper case; compared with the whole text, trimmed, in any case."""
    position: Mapped[int]
    template_id: Mapped[str] = mapped_column(ForeignKey("template.id"), index=True)
