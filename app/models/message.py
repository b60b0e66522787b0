"""Messages: the texts and calls that we send, replies by TwiML included."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    case,
    cast,
    func,
    text,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import (
    HIGHEST_RATE,
    LOWEST_RATE,
    PHONE_LENGTH,
    SID_LENGTH,
    BigId,
    Created,
    Identified,
    UtcDateTime,
    between,
    choice,
    utcnow,
)
from app.models.commit_order import Ordered
from app.models.route import Destination


class Direction(enum.StrEnum):
    """Twilio's names for who began: we through the API, or we in answer to a text."""

    API = "outbound-api"
    REPLY = "outbound-reply"


class MessageState(enum.StrEnum):
    """Our own word on a message: is it still ours to send, and if not, how did that end?"""

    WAITING = "waiting"
    CLAIMED = "claimed"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    SUPPRESSED = "suppressed"
    FAILED = "failed"
    CANCELED = "canceled"


MESSAGE_TRANSITIONS: dict[MessageState, tuple[MessageState, ...]] = {
    MessageState.WAITING: (
        MessageState.CLAIMED,
        MessageState.ACCEPTED,
        MessageState.REFUSED,
        MessageState.SUPPRESSED,
        MessageState.FAILED,
        MessageState.CANCELED,
    ),
    MessageState.CLAIMED: (
        MessageState.WAITING,
        MessageState.ACCEPTED,
        MessageState.UNKNOWN,
        MessageState.REFUSED,
        MessageState.SUPPRESSED,
        MessageState.FAILED,
    ),
    MessageState.UNKNOWN: (
        MessageState.WAITING,
        MessageState.ACCEPTED,
        MessageState.SUPPRESSED,
        MessageState.FAILED,
    ),
    MessageState.ACCEPTED: (MessageState.SUPPRESSED, MessageState.UNKNOWN, MessageState.FAILED),
    MessageState.REFUSED: (),
    MessageState.SUPPRESSED: (),
    MessageState.FAILED: (MessageState.ACCEPTED,),
    MessageState.CANCELED: (),
}
"""The legal moves; each is made by compare-and-set.

``accepted → suppressed`` is Twilio's late word that the phone has opted out (21610); ``accepted →
unknown`` and ``failed`` are of replies whose TwiML Twilio seems not to have run; ``failed →
accepted`` is a late callback that proves a message we had given up on, and ``waiting → accepted``
one that proves a try we took for not sent. ``unknown → waiting`` is the word of the very process
that claimed it and stood still: it never wrote the request.
"""


OWN_ENDS = (
    MessageState.UNKNOWN,
    MessageState.REFUSED,
    MessageState.SUPPRESSED,
    MessageState.FAILED,
    MessageState.CANCELED,
)
"""States that say more about a message than Twilio's last word."""


def _only(condition: str) -> dict[str, Any]:
    """Make the arguments of a partial index: the rows at work are few, those of the log many."""
    return {"postgresql_where": text(condition), "sqlite_where": text(condition)}


HELD = "state = 'waiting' AND lane_key IS NULL AND send_at IS NOT NULL"
"""A text that waits for the hour somebody chose; it is in no lane before."""


class Message(Identified, Created, Ordered, Base):
    """One text or call to one person.

    ``state`` is ours, ``status`` is Twilio's last word (null before there is one). ``member`` is a
    snapshot of the person's attributes; ``body`` the text as sent, or the TwiML of a call.
    """

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("batch_id", "position", "step"),
        Index(None, "sender_id", "to", "created_at"),
        Index(
            "ix_message_waiting", "lane_key", text("coalesce(batch_id, '')"), "due_at", "position",
            **_only("state = 'waiting'"),
        ),
        Index("ix_message_live", "to", "lane_key", **_only("state IN ('waiting', 'claimed')")),
        Index("ix_message_check_at", "state", "check_at", **_only("check_at IS NOT NULL")),
        Index("ix_message_send_at", "send_at", **_only(HELD)),
        Index("ix_message_client_id_send_at", "client_id", "send_at", **_only(HELD)),
        Index(None, "to", "client_id", "created_at"),
        Index(None, "client_id", "created_at"),
        Index(None, "client_id", "commit_order"),
        Index(
            "ix_message_batch_id_state_status", "batch_id", "state", "status",
            **_only("batch_id IS NOT NULL"),
        ),
        Index(
            "ix_message_communication_id", "communication_id",
            **_only("communication_id IS NOT NULL"),
        ),
        Index(
            "ix_message_suppression_list_id", "suppression_list_id",
            **_only("suppression_list_id IS NOT NULL"),
        ),
    )  # fmt: skip

    destination: Mapped[Destination] = mapped_column(choice(Destination))
    direction: Mapped[Direction] = mapped_column(choice(Direction), default=Direction.API)
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"))
    sender_id: Mapped[str] = mapped_column(ForeignKey("sender.id"))
    credential_id: Mapped[str] = mapped_column(ForeignKey("credential.id"), index=True)
    to: Mapped[str] = mapped_column(String(PHONE_LENGTH))
    from_: Mapped[str] = mapped_column("from", String(PHONE_LENGTH))
    """The sender's address; with a messaging service, the number that it chose, once known."""
    body: Mapped[str | None] = mapped_column(Text)
    media: Mapped[list[str]] = mapped_column(JSON, default=list)
    member: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    author: Mapped[str | None] = mapped_column(String(254))
    """Who wrote it, where a person or an API key answered in a conversation."""
    segments: Mapped[int] = mapped_column(default=0)

    communication_id: Mapped[str | None] = mapped_column(ForeignKey("communication.id"))
    batch_id: Mapped[str | None] = mapped_column(ForeignKey("batch.id"))
    position: Mapped[int | None]
    step: Mapped[int] = mapped_column(default=0)
    step_after: Mapped[int | None]
    """Seconds to wait after the step before has been accepted; null for step 0."""
    template_version_id: Mapped[str | None] = mapped_column(
        ForeignKey("template_version.id"), index=True
    )
    suppression_list_id: Mapped[str | None] = mapped_column(ForeignKey("suppression_list.id"))
    options: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """What Twilio is told besides: validityPeriod, sendAsMms, machineDetection, …"""

    state: Mapped[MessageState] = mapped_column(choice(MessageState), default=MessageState.WAITING)
    lane_key: Mapped[str | None] = mapped_column(String(64))
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Not to be sent before this; null while a step waits for the one before it."""
    send_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The hour that somebody chose for it, if any; until then it is in no lane, and not due."""
    claimed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    claim_token: Mapped[str | None] = mapped_column(String(26))
    tries: Mapped[int] = mapped_column(default=0)
    check_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When somebody has to look again: at a claim whose process may have died, at Twilio's log for
    ``unknown``, for a missing status, and for room within a limit once ``send_at`` has come."""
    checks: Mapped[int] = mapped_column(default=0)
    fingerprint: Mapped[str | None] = mapped_column(String(32))
    """A digest of all that a member of a batch gets, on step 0: the same text goes once."""

    sid: Mapped[str | None] = mapped_column(String(SID_LENGTH), unique=True)
    status: Mapped[str | None] = mapped_column(String(32))
    status_sequence: Mapped[int] = mapped_column(default=-1)
    """The highest rank (texts) or SequenceNumber (calls) heard so far."""
    error_code: Mapped[int | None]
    error_message: Mapped[str | None] = mapped_column(String(500))
    reason: Mapped[str | None] = mapped_column(String(32))
    """Why it did not go out, as ``message.problem`` names it."""
    price: Mapped[float | None] = mapped_column(Numeric(12, 5, asdecimal=False))
    price_unit: Mapped[str | None] = mapped_column(String(3))
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utcnow, onupdate=utcnow, index=True
    )

    twiml_source: Mapped[str | None] = mapped_column(Text)
    """The template of a single call; a batch's is that of ``template_version_id``."""
    answered_by: Mapped[str | None] = mapped_column(String(32))
    """Twilio's raw word on who answered a call."""
    answer_twiml: Mapped[str | None] = mapped_column(Text)
    """What the answered call was told; a repeat of the request gets the same."""
    call_duration: Mapped[int | None]
    """Seconds."""
    recording_url: Mapped[str | None] = mapped_column(String(2048))
    digits: Mapped[str | None] = mapped_column(String(200))
    """Keys pressed during a call, where our own address took them."""
    speech: Mapped[str | None] = mapped_column(String(1000))
    """What was said there, as Twilio understood it."""

    @property
    def is_held(self) -> bool:
        """Whether it waits for the hour that somebody chose, and can still be canceled."""
        return (self.state, self.lane_key) == (MessageState.WAITING, None) and bool(self.send_at)

    @hybrid_property
    def public_status(self) -> str:
        """What clients and staff see: our own end, else Twilio's last word, else ``queued``."""
        return self.state.value if self.state in OWN_ENDS else self.status or "queued"

    @public_status.inplace.expression
    @classmethod
    def _public_status(cls) -> ColumnElement[str]:
        return case(
            (cls.state.in_(OWN_ENDS), cast(cls.state, String)),
            else_=func.coalesce(cls.status, "queued"),
        )


class MessageReport(Base):
    """One thing we were told about a message; every report is kept, in the order it came."""

    __tablename__ = "message_report"
    __table_args__ = (Index(None, "message_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    message_id: Mapped[str] = mapped_column(ForeignKey("message.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    status: Mapped[str] = mapped_column(String(32))
    source: Mapped[str] = mapped_column(String(16))
    """``callback``, ``response``, ``lookup`` (Twilio's words) or ``dispatch`` (ours)."""
    error_code: Mapped[int | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """The report's parameters without the text: sequence number, duration, and so on."""


class JournaledReport(Base):
    """A report that Twilio's request has brought and that is still to be applied; then it goes.

    Without a foreign key: taking it must not wait for whoever holds the message.
    """

    __tablename__ = "report_journal"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    message_id: Mapped[str] = mapped_column(String(26), index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    report: Mapped[dict[str, Any]] = mapped_column(JSON)
    """What it says, by the fields of :class:`app.domain.sending.reports.Report`."""


class Lane(Base):
    """The queue of one sender (texts) or of one Twilio account (calls), and its pace."""

    __tablename__ = "lane"
    __table_args__ = (between("rate", LOWEST_RATE, HIGHEST_RATE),)

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    """``sms:<sender id>`` or ``voice:<AccountSid>``."""
    rate: Mapped[float] = mapped_column(Float)
    """Segments, or calls, per second."""
    next_slot_us: Mapped[int] = mapped_column(BigId, default=0)
    """When the next slot is free: microseconds since 1970 by the database's clock."""
    held_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Nothing is sent before this: Twilio asked us to slow down."""
    lease_token: Mapped[str | None] = mapped_column(String(26))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_batch_id: Mapped[str | None] = mapped_column(String(26))
    """The batch served last, so that batches share in turn."""
