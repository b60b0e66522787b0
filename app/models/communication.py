"""Communications: a template joined to a population, a sender and options; and their callbacks."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Base
from app.models.base import Created, Identified, Owned, UtcDateTime, between, choice
from app.models.route import Destination

MAX_STEP_DELAY = 30 * 24 * 3600
"""Seconds: the longest time between two texts to the same person."""


class MachineDetection(enum.StrEnum):
    """What happens when a machine answers a call. Detection is not always right."""

    CONTINUE = "continue"
    HANG_UP = "hang_up"
    OFF = "off"
    WAIT_FOR_BEEP = "wait_for_beep"


class Purpose(enum.StrEnum):
    """Why people are told; marketing is warned about on anything but a short code."""

    NOTIFICATION = "notification"
    MARKETING = "marketing"


class CallbackEvent(enum.StrEnum):
    """What a client's own system may be told about messages and communications."""

    MESSAGE_STATUS = "message_status"
    MESSAGE_SENT = "message_sent"
    MESSAGE_PROBLEM = "message_problem"
    COMPLETE = "complete"
    MAIL_BOUNCED = "mail_bounced"
    """Of the client only: no message or communication has mails."""
    CONVERSATION_ASSIGNED = "conversation_assigned"
    """Of the client only: a conversation is nobody's message."""


OF_CLIENT_ONLY = frozenset({CallbackEvent.MAIL_BOUNCED, CallbackEvent.CONVERSATION_ASSIGNED})
"""Events for which only the client's defaults name a receiver."""


class Campaign(Identified, Owned, Created, Base):
    """A folder of communications."""

    __tablename__ = "campaign"
    __table_args__ = (UniqueConstraint("client_id", "name"),)

    name: Mapped[str] = mapped_column(String(100))


class Communication(Identified, Owned, Created, Base):
    """What is said, to whom, from which sender, and how. Its type is always ``twilio``."""

    __tablename__ = "communication"
    __table_args__ = (
        UniqueConstraint("campaign_id", "name"),
        between("validity_period", 1, 36_000),
        between("retry_calls", 0, 10),
        between("retry_calls_after", 0, 86_400),
        Index(
            "ix_communication_next_run_at", "next_run_at",
            postgresql_where=text("next_run_at IS NOT NULL"),
            sqlite_where=text("next_run_at IS NOT NULL"),
        ),
    )  # fmt: skip

    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaign.id"))
    name: Mapped[str] = mapped_column(String(100))
    destination: Mapped[Destination] = mapped_column(choice(Destination))
    template_id: Mapped[str] = mapped_column(ForeignKey("template.id"), index=True)
    population_id: Mapped[str | None] = mapped_column(ForeignKey("population.id"), index=True)
    sender_id: Mapped[str] = mapped_column(ForeignKey("sender.id"), index=True)
    suppression_list_id: Mapped[str | None] = mapped_column(
        ForeignKey("suppression_list.id"), index=True
    )
    machine_detection: Mapped[MachineDetection] = mapped_column(
        choice(MachineDetection), default=MachineDetection.OFF
    )
    link_tracking: Mapped[bool] = mapped_column(default=False)
    smart_encoding: Mapped[bool] = mapped_column(default=False)
    send_as_mms: Mapped[bool] = mapped_column(default=False)
    purpose: Mapped[Purpose] = mapped_column(choice(Purpose), default=Purpose.NOTIFICATION)
    validity_period: Mapped[int | None]
    """Seconds for which Twilio may try to send a text; Twilio's own default when null."""
    retry_calls: Mapped[int] = mapped_column(default=0)
    """How often a call that was busy or not answered is placed again."""
    retry_calls_after: Mapped[int] = mapped_column(default=900)
    """Seconds between such calls."""
    call_options: Mapped[dict[str, Any]] = mapped_column(
        JSON, default=dict, server_default=text("'{}'")
    )
    """How calls are placed, by Twilio's names: ``timeout``, ``machineDetectionTimeout``, …"""
    repeat: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """When it goes out again and again; see `app.domain.sending.recurrence`."""
    relative: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """By which date of each member it goes out; one of the two at most."""
    scheduled_by: Mapped[str | None] = mapped_column(String(254))
    """Who has said so: whoever starts its runs."""
    next_run_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the next run is due; null where none is to come."""

    steps: Mapped[list[CommunicationStep]] = relationship(
        order_by="CommunicationStep.position", cascade="all, delete-orphan", lazy="selectin"
    )


class CommunicationStep(Base):
    """A further text to the same person, some seconds after the one before."""

    __tablename__ = "communication_step"
    __table_args__ = (between("after", 0, MAX_STEP_DELAY),)

    communication_id: Mapped[str] = mapped_column(ForeignKey("communication.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    """From 1; the communication's own template is step 0."""
    template_id: Mapped[str] = mapped_column(ForeignKey("template.id"), index=True)
    after: Mapped[int]
    """Seconds after the step before was taken by Twilio."""


class Callback(Identified, Owned, Base):
    """Which endpoint is told of an event: by a client's default, a communication, or a message.

    A communication or message that names none uses the client's default.
    """

    __tablename__ = "callback"
    __table_args__ = (
        Index(
            None, "client_id", "communication_id", "message_id", "event", unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index(None, "communication_id"),
        Index(None, "message_id"),
    )  # fmt: skip

    communication_id: Mapped[str | None] = mapped_column(ForeignKey("communication.id"))
    message_id: Mapped[str | None] = mapped_column(ForeignKey("message.id"))
    event: Mapped[CallbackEvent] = mapped_column(choice(CallbackEvent))
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("endpoint.id"), index=True)
