"""What staff do about a conversation: take it, note something, close it, and what follows of it.

Each takes the conversation's turn, so that whatever comes in meanwhile is seen before or after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import StringConstraints
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.conversations import record
from app.domain.mistakes import Refused
from app.domain.relaying import events, listeners, outbox
from app.domain.relaying.events import Happening
from app.models.base import utcnow
from app.models.client import Client
from app.models.communication import CallbackEvent
from app.models.conversation import Conversation, ConversationNote, ConversationState
from app.models.delivery import EventType
from app.models.sender import Sender
from app.models.user import Membership, User

LONGEST_NOTE = 5_000

NoteText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NOTE)
]


def assignable(session: Session, client_id: str, email: str) -> User:
    """Return the person of the client who signs in with this address.

    :raises Refused: when nobody of the client does.
    """
    wanted = email.strip().lower()
    found = session.scalars(
        select(User)
        .join(Membership, Membership.user_id == User.id)
        .where(
            Membership.client_id == client_id, User.email == wanted, User.disabled_at.is_(None)
        )
    ).one_or_none()  # fmt: skip
    if found is None:
        raise Refused.because(
            f"“{wanted[:100]}” is nobody who works for this client.", "user", code="unknown_name"
        )
    return found


def assign(session: Session, talk: Conversation, to: User | None, by: str) -> None:
    """Let one person look after a conversation; None gives it back to all."""
    talk = _mine(session, talk)
    if talk.assigned_id == (to.id if to else None):
        return
    talk.assigned_id = to.id if to else None
    action = "assign" if to else "release"
    details = {"to": to.email} if to else None
    audit.record(session, by, action, f"conversation with {talk.phone}", talk.client_id, details)
    _tell(session, talk.client_id, [talk], to, by)


def note(session: Session, talk: Conversation, words: str, by: str) -> ConversationNote:
    """Write something down that only those who work for the client see."""
    made = ConversationNote(
        client_id=talk.client_id, conversation_id=talk.id, at=utcnow(), author=by, text=words
    )
    session.add(made)
    session.flush()
    return made


def close(session: Session, talk: Conversation, by: str) -> None:
    """Say that nobody waits for anything any more; their next text opens it again."""
    talk = _mine(session, talk)
    if talk.state is ConversationState.CLOSED:
        return
    record.end_waiting(session, talk.sender_id, talk.phone, ConversationState.CLOSED, utcnow())
    audit.record(session, by, "close", f"conversation with {talk.phone}", talk.client_id)


def seen(session: Session, talk: Conversation) -> None:
    """Note that somebody looks at it: nothing of it is unread."""
    session.execute(
        update(Conversation)
        .where(Conversation.id == talk.id, Conversation.unread > 0)
        .values(unread=0)
        .execution_options(synchronize_session=False)
    )


def leave(session: Session, client_id: str, user_id: str, by: str) -> None:
    """Give back what somebody looks after who no longer works for the client."""
    own = (Conversation.client_id == client_id, Conversation.assigned_id == user_id)
    _tell(session, client_id, session.scalars(select(Conversation).where(*own)).all(), None, by)
    session.execute(
        update(Conversation)
        .where(*own)
        .values(assigned_id=None)
        .execution_options(synchronize_session=False)
    )


def _tell(
    session: Session, client_id: str, talks: Sequence[Conversation], to: User | None, by: str
) -> None:
    """Tell the client's system, where it asks to be told, who looks after conversations now."""
    receiver = listeners.of_communication(
        session, client_id, None, CallbackEvent.CONVERSATION_ASSIGNED
    )
    if receiver is None or not talks:
        return
    now = utcnow()
    client = session.get_one(Client, client_id).name
    wanted = {one.sender_id for one in talks}
    found = session.execute(select(Sender.id, Sender.address).where(Sender.id.in_(wanted)))
    numbers = {row.id: row.address for row in found}
    for one in talks:
        data = {
            "id": one.id,
            "client": client,
            "number": numbers[one.sender_id],
            "phone": one.phone,
            "assigned": to.email if to else None,
            "by": by,
            "at": events.instant(now),
        }
        happening = Happening(receiver, EventType.CONVERSATION_ASSIGNED, data, client_id, now)
        outbox.tell(session, happening)


def _mine(session: Session, talk: Conversation) -> Conversation:
    """Take the turn, and return the conversation as it is now."""
    record.take_turn(session.connection(), talk.sender_id, talk.phone)
    return session.scalars(
        select(Conversation).filter_by(id=talk.id).execution_options(populate_existing=True)
    ).one()
