"""What a text or call does to its conversation: one statement, with the row of the log.

Whoever writes a conversation takes its turn first, so that what comes in and what is answered at
the same moment are seen one after the other.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, TextClause, bindparam, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.models.base import UtcDateTime, new_id
from app.models.commit_order import commit_order
from app.models.conversation import Conversation, ConversationState, EntryKind
from app.models.sender import Sender

_TURN = text("SELECT pg_advisory_xact_lock(:key)")
_PHONE = re.compile(r"\+?\d{3,15}")
_DIALECTS = {
    "postgresql": postgresql.dialect(),  # type: ignore[no-untyped-call]
    "sqlite": sqlite.dialect(),
}
# As text, since each answer to Twilio waits for it: SQLAlchemy would write it anew each time.
_HEARD = """
    INSERT INTO conversation (
        id, client_id, sender_id, phone, state, unread, last_at, last_kind, last_text,
        waiting_since, commit_order
    ) VALUES (
        :talk_id, :talk_client, :talk_number, :talk_phone, :talk_state, :talk_unread, :talk_at,
        :talk_kind, :talk_text, :talk_waits, {order}
    )
    ON CONFLICT (sender_id, phone) DO UPDATE SET
        client_id = excluded.client_id,
        state = CASE WHEN {waits} THEN 'waiting' ELSE conversation.state END,
        waiting_since = CASE
            WHEN {waits} AND conversation.state = 'waiting'
                AND conversation.waiting_since < excluded.waiting_since
            THEN conversation.waiting_since
            WHEN {waits} THEN excluded.waiting_since
            ELSE conversation.waiting_since END,
        unread = conversation.unread + excluded.unread,
        last_kind = CASE WHEN {newer} THEN excluded.last_kind ELSE conversation.last_kind END,
        last_text = CASE WHEN {newer} THEN excluded.last_text ELSE conversation.last_text END,
        last_at = CASE WHEN {newer} THEN excluded.last_at ELSE conversation.last_at END
"""
_NEWER = "conversation.last_at <= excluded.last_at"
_WAITS = (
    "(excluded.waiting_since IS NOT NULL AND (:talk_live OR conversation.settled_at IS NULL"
    " OR conversation.settled_at < excluded.waiting_since))"
)
PARAMETERS = (
    bindparam("talk_at", type_=UtcDateTime()), bindparam("talk_waits", type_=UtcDateTime())
)  # fmt: skip


@cache
def heard_on(dialect: str) -> TextClause:
    """Return the statement that keeps what is :func:`heard`, for a database."""
    order = commit_order(Conversation.__tablename__, moves=True).compile(dialect=_DIALECTS[dialect])
    return text(_HEARD.format(order=order, waits=_WAITS, newer=_NEWER)).bindparams(*PARAMETERS)


def take_turn(connection: Connection, sender_id: str, phone: str) -> None:
    """Wait until nothing else is being decided about this number and phone.

    Until the transaction ends, others who take this turn wait here. SQLite has one writer at a
    time anyway.
    """
    if connection.dialect.name == "postgresql":
        digest = blake2b(f"{sender_id} {phone}".encode(), digest_size=8).digest()
        connection.execute(_TURN, {"key": int.from_bytes(digest, signed=True)})


def heard(
    client_id: str,
    sender_id: str,
    phone: str,
    kind: EntryKind,
    at: datetime,
    words: str | None,
    *,
    waits: bool,
    late: bool = False,
) -> dict[str, Any]:
    """Return the parameters of :func:`heard_on` for something that was just written or said.

    A first word for which nobody waits opens nothing: it begins a closed conversation.

    :param waits: it is a word of theirs that somebody should answer.
    :param late: it is heard of later than it came, so that it may have been answered since.
    """
    return {
        "talk_id": new_id(),
        "talk_client": client_id,
        "talk_number": sender_id,
        "talk_phone": phone,
        "talk_state": (ConversationState.WAITING if waits else ConversationState.CLOSED).value,
        "talk_unread": int(waits),
        "talk_at": at,
        "talk_kind": kind.value,
        "talk_text": words,
        "talk_waits": at if waits else None,
        "talk_live": not late,
    }


def is_phone(caller: str) -> bool:
    """Tell whether somebody who calls can be written to; not so ``anonymous``."""
    return _PHONE.fullmatch(caller) is not None


def wrote(
    session: Session, client_id: str, sender_id: str, phone: str, words: str, at: datetime
) -> None:
    """Keep that a text to ``phone`` goes out; the caller has taken the turn.

    It answers nothing: see :func:`end_waiting` for what a person says.
    """
    values = heard(client_id, sender_id, phone, EntryKind.OUT, at, words, waits=False)
    connection = session.connection()
    connection.execute(heard_on(connection.dialect.name), values)


def end_waiting(
    session: Session, sender_id: str, phone: str, state: ConversationState, at: datetime
) -> None:
    """Let a person's word end the waiting; the caller has taken the turn.

    :param state: ``answered`` or ``closed``.
    """
    session.execute(
        update(Conversation)
        .where(Conversation.sender_id == sender_id, Conversation.phone == phone)
        .values(state=state, waiting_since=None, settled_at=at, unread=0)
        .execution_options(synchronize_session=False)
    )


def find(session: Session, sender_id: str, phone: str) -> Conversation | None:
    """Return the conversation between a number and a phone, as it is now."""
    return session.scalars(
        select(Conversation)
        .filter_by(sender_id=sender_id, phone=phone)
        .execution_options(populate_existing=True)
    ).one_or_none()


def keep(session: Session, number: Sender, talk: Conversation) -> Conversation:
    """Keep a conversation of which the log alone has told so far, and return its row."""
    take_turn(session.connection(), number.id, talk.phone)
    values = heard(
        number.client_id, number.id, talk.phone, talk.last_kind, talk.last_at, talk.last_text,
        waits=False,
    )  # fmt: skip
    connection = session.connection()
    connection.execute(heard_on(connection.dialect.name), values)
    return session.scalars(
        select(Conversation).filter_by(sender_id=number.id, phone=talk.phone)
    ).one()
