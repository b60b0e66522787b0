"""Who was written to last: remembered when Twilio takes a text, read when that phone writes back.

One row per client, phone and sender, so that the look-up costs the same however long the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy import case, or_, select
from sqlalchemy.orm import Session

from app.domain import clocks
from app.models.base import insert_into, utcnow
from app.models.last_contact import LastContact
from app.models.message import Message


class InService(Protocol):
    """A number, by its ids: a sender, or what is known of it on the fast path."""

    @property
    def id(self) -> str:
        """The sender's id."""

    @property
    def service_id(self) -> str | None:
        """The messaging service that it is in."""


def remember(session: Session, message: Message, at: datetime) -> None:
    """Remember ``message`` as the last text to its phone from its sender; the newest wins.

    To be called for texts that Twilio has accepted, not for replies or calls.

    :param at: when Twilio took it; an older one than what is remembered changes nothing.
    """
    remember_all(session, [message], at)


def remember_all(session: Session, messages: Sequence[Message], at: datetime) -> None:
    """Remember several texts, all taken at the same time, by one statement for all of them."""
    rows = {
        (message.client_id, message.to, message.sender_id): {
            "client_id": message.client_id,
            "phone": message.to,
            "sender_id": message.sender_id,
            "member": message.member,
            "message_id": message.id,
            "sid": message.sid,
            "communication_id": message.communication_id,
            "batch_id": message.batch_id,
            "body": message.body,
            "sent_at": at,
        }
        for message in messages
    }
    if not rows:
        return
    keys = ["client_id", "phone", "sender_id"]
    # In one order always, so that two processes do not wait for each other.
    statement = insert_into(session, LastContact)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=keys,
            set_={
                name: statement.excluded[name]
                for name in next(iter(rows.values()))
                if name not in keys
            },
            where=or_(
                LastContact.sent_at <= statement.excluded.sent_at,
                LastContact.sent_at > utcnow() + clocks.MOST_APART,  # a clock was wrong
            ),
        ),
        [rows[key] for key in sorted(rows)],
        execution_options={"render_nulls": True},  # so that all rows are one statement's
    )


def find(session: Session, client_id: str, phone: str, sender: InService) -> LastContact | None:
    """Return the last contact with ``phone``, or None if it was never written to.

    What was sent from the number itself or from its messaging service comes first, the newer of
    the two; else the newest from any sender of the client.
    """
    same = (sender.id, sender.service_id) if sender.service_id else (sender.id,)
    return session.scalars(
        select(LastContact)
        .where(LastContact.client_id == client_id, LastContact.phone == phone)
        .order_by(case((LastContact.sender_id.in_(same), 0), else_=1), LastContact.sent_at.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    ).one_or_none()
