"""Reminders: whoever looks after a client's conversations is told of those that nobody answered.

Once for each text that waits, after the time that an owner has set; to the person who has taken
the conversation, else to the owner. Mails name phones and no words.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from urllib.parse import quote

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from app.domain import aside
from app.domain.relaying import notices
from app.domain.wake import wake
from app.extensions import current_settings, db, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.conversation import Conversation, ConversationState
from app.models.sender import Sender
from app.models.user import User

LOOP = "reminders"
AT_A_TIME = 100
"""Conversations of one client in one pass; the next pass tells of the others."""


def tick() -> None:
    """Tell of what has waited for too long; a job of the queue ``house``."""
    wanted = (Client.remind_after.is_not(None), aside.free(LOOP, Client.id))
    clients = db.session.scalars(select(Client.id).where(*wanted)).all()
    db.session.rollback()
    aside.one_by_one(LOOP, clients, str, _remind)


def _remind(client_id: str) -> None:
    """Write one mail to each person; marked in its transaction, so that two clocks tell once."""
    client = db.session.get_one(Client, client_id)
    if client.remind_after is None:
        return
    waits = (
        Conversation.client_id == client_id,
        Conversation.state == ConversationState.WAITING,
        Conversation.waiting_since <= utcnow() - timedelta(minutes=client.remind_after),
        or_(
            Conversation.reminded_at.is_(None),
            Conversation.reminded_at < Conversation.waiting_since,
        ),
    )
    late = db.session.scalars(select(Conversation.id).where(*waits).limit(AT_A_TIME)).all()
    db.session.rollback()
    if not late:
        return
    with unit_of_work() as session:
        marked = session.scalars(
            update(Conversation)
            .where(Conversation.id.in_(late), *waits)
            .values(reminded_at=utcnow())
            .returning(Conversation.id)
            .execution_options(synchronize_session=False)
        ).all()
        _tell(session, session.get_one(Client, client_id), sorted(marked))
    wake("relay")


def _tell(session: Session, client: Client, ids: list[str]) -> None:
    rows = session.execute(
        select(Conversation, Sender, User.email)
        .join(Sender, Sender.id == Conversation.sender_id)
        .join(User, User.id == Conversation.assigned_id, isouter=True)
        .where(Conversation.id.in_(ids))
        .order_by(Conversation.waiting_since)
        .execution_options(populate_existing=True)
    )
    lines: dict[str, list[str]] = defaultdict(list)
    for talk, number, taker in rows:
        lines[taker or client.owner_email].append(_line(client, talk, number))
    for address, some in lines.items():
        people = "1 person waits" if len(some) == 1 else f"{len(some)} people wait"
        notices.notify(
            session,
            address,
            f"{people} for an answer from {client.name}",
            "Nobody has answered yet:\n\n" + "\n".join(some) + "\n\nAnswer them, or close what"
            " needs no answer. How soon this is told is set in the settings.\n",
            dedupe_key=f"waits:{ids[0]}:{len(ids)}:{utcnow().timestamp():.0f}",
        )


def _line(client: Client, talk: Conversation, number: Sender) -> str:
    base = current_settings().public_base_url
    path = f"/staff/clients/{quote(client.name)}/conversations/{number.id}/{quote(talk.phone)}"
    return (
        f"  {talk.phone} to {number.name or number.address},"
        f" since {talk.waiting_since:%Y-%m-%d %H:%M} UTC\n    {base}{path}"
    )
