"""Finding conversations: one by its number and phone, and those that fit."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, func, literal, or_, select, text
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain.conversations import entries, record
from app.models.base import utcnow
from app.models.client import Client
from app.models.conversation import Conversation, ConversationState, EntryKind
from app.models.sender import Sender

MOST_COUNTED = 99
"""More than this are not counted to the end."""
OPEN = "open"
"""Waiting or answered: not closed."""
# Written out, not bound: the planner has to see that the partial index fits.
_OPEN = text("conversation.state <> 'closed'")


def retention_start(client: Client) -> datetime:
    """Return when the log begins: what is older may be gone at any moment and is not shown."""
    return utcnow() - timedelta(days=client.retention_days)


def one(
    session: Session, client: Client, number: Sender, phone: str
) -> tuple[Conversation, bool] | None:
    """Return the conversation between a number and a phone, and whether it is kept.

    Of phones that only got a batch nothing is kept: the log alone tells of them, and the
    conversation is a closed one that is not stored.
    """
    since = retention_start(client)
    talk = record.find(session, number.id, phone)
    if talk is not None and talk.client_id == client.id:
        return talk, True
    if not entries.any_between(session, number, phone, since):
        return None
    talk = Conversation(
        client_id=client.id, sender_id=number.id, phone=phone, unread=0,
        state=ConversationState.CLOSED, last_at=utcnow(), last_kind=EntryKind.OUT,
    )  # fmt: skip
    last = entries.between(session, number, phone, since, None, most=1)
    for entry in last:
        talk.last_at, talk.last_kind, talk.last_text = entry.at, entry.kind, entry.text
    return talk, False


def fitting(
    query: Select[Conversation],
    *,
    state: str | None = None,
    assigned_id: str | None = None,
    wanted: str = "",
) -> Select[Conversation]:
    """Narrow a query of conversations.

    :param state: one of the states, or :data:`OPEN`.
    :param wanted: a part of the phone or of the last words.
    """
    if state is not None and state != ConversationState.CLOSED:
        query = query.where(_OPEN)
    if state is not None and state != OPEN:
        query = query.where(Conversation.state == ConversationState(state))
    if assigned_id is not None:
        query = query.where(Conversation.assigned_id == assigned_id)
    return query.where(fits(wanted)) if wanted else query


def fits(wanted: str) -> ColumnElement[bool]:
    """Match a part of the phone, or of the last words."""
    words = Conversation.last_text.icontains(wanted, autoescape=True)
    digits = "".join(filter(str.isdecimal, wanted))
    if len(digits) < 3:
        return words
    return or_(words, Conversation.phone.contains(digits, autoescape=True))


def how_many_wait(client_id: ColumnElement[str] | InstrumentedAttribute[str]) -> ColumnElement[int]:
    """Return in how many conversations of a client somebody waits, as part of a statement.

    Counted to one beyond :data:`MOST_COUNTED`.
    """
    some = (
        select(literal(1).label("one"))
        .where(
            Conversation.client_id == client_id, Conversation.state == ConversationState.WAITING
        )
        .limit(MOST_COUNTED + 1)
        .correlate(Client)
        .subquery()
    )  # fmt: skip
    return select(func.count()).select_from(some).scalar_subquery()
