"""The log of what came in: texts and calls, with what was done about each."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Numeric, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import (
    ID_LENGTH,
    PHONE_LENGTH,
    SID_LENGTH,
    Identified,
    UtcDateTime,
    choice,
    utcnow,
)
from app.models.commit_order import Ordered
from app.models.route import Destination, Handler

CALL_ENDS = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
"""The CallStatus of a call that is over (Twilio, call status values)."""


class OptOut(enum.StrEnum):
    """What a keyword text asked for, in Twilio's words."""

    STOP = "STOP"
    START = "START"
    HELP = "HELP"


class TextChannel(enum.StrEnum):
    """By what a text came; the person behind it is the same."""

    SMS = "sms"
    MMS = "mms"
    RCS = "rcs"
    WHATSAPP = "whatsapp"


class Outcome(enum.StrEnum):
    """What was done about an incoming text or call."""

    REPLIED = "replied"
    FORWARDED = "forwarded"
    REDIRECTED = "redirected"
    PLAYED = "played"
    KEYWORD = "keyword"
    """Answered by Twilio, or by us on a short code."""
    NOT_ENABLED = "not_enabled"
    NO_ROUTE = "no_route"
    LOOP_STOPPED = "loop_stopped"
    NOT_REPLIED = "not_replied"
    """Nobody who may be answered, such as an own number or a short code, or nothing goes out just
    now: the client is halted, or the number stopped. The reason is in ``error``."""
    TOO_LATE = "too_late"
    """Recovered from Twilio's log after the time in which a reply makes sense."""
    REACTION = "reaction"
    """A tapback on a text of ours: told to whom texts are told, and answered by nobody."""
    FAILED = "failed"
    """The handler could not answer; the reason is in ``error``."""


class Incoming(Identified, Ordered, Base):
    """One text or call to one of our numbers, unique by Twilio's SID."""

    __tablename__ = "incoming"
    __table_args__ = (
        Index(None, "client_id", "from", "received_at"),
        Index(None, "client_id", "received_at"),
        Index(None, "client_id", "commit_order"),
        Index(None, "sender_id", "received_at"),
        Index(
            "ix_incoming_text_back_at",
            "text_back_at",
            postgresql_where=text("text_back_at IS NOT NULL"),
            sqlite_where=text("text_back_at IS NOT NULL"),
        ),
        Index(
            "ix_incoming_flagged",
            "client_id",
            "received_at",
            postgresql_where=text("flagged"),
            sqlite_where=text("flagged = 1"),
        ),
    )

    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"))
    destination: Mapped[Destination] = mapped_column(choice(Destination))
    sid: Mapped[str] = mapped_column(String(SID_LENGTH), unique=True)
    sender_id: Mapped[str] = mapped_column(ForeignKey("sender.id"))
    """The number that was texted or called."""
    from_: Mapped[str] = mapped_column("from", String(PHONE_LENGTH))
    to: Mapped[str] = mapped_column(String(PHONE_LENGTH))
    body: Mapped[str | None] = mapped_column(Text)
    media: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)
    """``{"url": Twilio's, "contentType", "code": of our /media}`` of each picture and the like."""
    segments: Mapped[int] = mapped_column(default=0)
    channel: Mapped[TextChannel | None] = mapped_column(choice(TextChannel))
    """By what a text came; None for calls."""
    reaction: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """``{"kind", "removed", "messageId"}`` of a text that is no message but a reaction to one."""
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """What Twilio said besides: where the number is from, its idempotency token, and so on."""
    later: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What a later step of the call needs of its route, which may have changed by then."""
    flow: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    """The route with all inside it, as it was when the call came: the call goes through this one.
    None where the call has no steps."""
    steps: Mapped[dict[str, dict[str, Any]] | None] = mapped_column(
        JSON(none_as_null=True), deferred=True
    )
    """``{"twiml", "at", "told", "place"}`` of each step that was answered: what was given, which a
    repeat gets again, when, what the key, words or status were, and where the call was then."""
    path: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """The keys that led the caller to where they are, or left; None where there are no steps."""
    text_back_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    """The template of the text that the caller gets where the call ends as it is now. Without a
    foreign key: no call keeps anybody from deleting a template."""
    text_back_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When that text is to be written; null when it is not, or was."""
    received_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    recovered: Mapped[bool] = mapped_column(default=False)
    """Taken from Twilio's log after down-time rather than from its webhook."""

    handler: Mapped[Handler | None] = mapped_column(choice(Handler))
    opt_out: Mapped[OptOut | None] = mapped_column(choice(OptOut))
    flagged: Mapped[bool] = mapped_column(default=False)
    """Staff should read it: words such as "please stop", which change nothing by themselves."""
    outcome: Mapped[Outcome] = mapped_column(choice(Outcome))
    error: Mapped[str | None] = mapped_column(String(500))
    answer: Mapped[str] = mapped_column(Text, default="")
    """The TwiML given; a repeat of the request gets the same."""
    reply_id: Mapped[str | None] = mapped_column(ForeignKey("message.id"), index=True)

    price: Mapped[float | None] = mapped_column(Numeric(12, 5, asdecimal=False))
    """US dollars as Twilio reported them, positive for what it charges, like ``Message.price``;
    None until it has."""

    call_status: Mapped[str | None] = mapped_column(String(32))
    call_duration: Mapped[int | None]
    """Seconds."""
    dial_status: Mapped[str | None] = mapped_column(String(32))
    """How the call that we forwarded to ended."""
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utcnow, onupdate=utcnow, index=True
    )
