"""Who said what: texts of both sides and notes, found by their words.

Found by an index where it can be (:mod:`wording`), newest first, the same on both databases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import InstrumentedAttribute as Column
from sqlalchemy.orm import Session

from app.domain.conversations import finding, word_index, wording
from app.domain.conversations.word_index import Words
from app.models.client import Client
from app.models.conversation import Conversation, ConversationNote, EntryKind
from app.models.incoming import Incoming
from app.models.message import Message
from app.models.route import Destination
from app.models.said import FULL_TEXT, Said

LOOK = 50_000
"""How many of the newest texts of each side are looked through for words that no index finds."""
MOST = word_index.MOST
WORDS = Words(Said, FULL_TEXT)


@dataclass(frozen=True)
class Saying:
    """A text or a note in which the words stand."""

    kind: EntryKind
    at: datetime
    phone: str
    text: str


def find(session: Session, client: Client, wanted: str) -> list[Saying]:
    """Return the newest texts and notes of a client in which all words of ``wanted`` stand.

    Words of three letters and more stand for all that begin with them. What batches said is found
    by :mod:`app.domain.conversations.mass`.
    """
    some = wording.words(wanted)
    if not some:
        return _look_through(session, client, wanted)
    ids = word_index.ids(session, client, some, WORDS)
    return _read(session, client, ids) if ids else []


def _read(session: Session, client: Client, ids: Sequence[int]) -> list[Saying]:
    at = func.coalesce(Incoming.received_at, Message.created_at, ConversationNote.at)
    kind = case(
        (Said.incoming_id.is_not(None), EntryKind.IN.value),
        (Said.message_id.is_not(None), EntryKind.OUT.value),
        else_=EntryKind.NOTE.value,
    )
    found = session.execute(
        select(
            kind, at, func.coalesce(Incoming.from_, Message.to, Conversation.phone),
            func.coalesce(Incoming.body, Message.body, ConversationNote.text),
        )
        .select_from(Said)
        .outerjoin(Incoming, Incoming.id == Said.incoming_id)
        .outerjoin(Message, Message.id == Said.message_id)
        .outerjoin(ConversationNote, ConversationNote.id == Said.note_id)
        .outerjoin(Conversation, Conversation.id == ConversationNote.conversation_id)
        .where(Said.id.in_(ids), at >= finding.retention_start(client))
        .order_by(at.desc(), Said.id.desc())
    )  # fmt: skip
    return [Saying(EntryKind(one), when, phone, words) for one, when, phone, words in found]


def _look_through(session: Session, client: Client, wanted: str) -> list[Saying]:
    """Look through the newest texts of both sides, letter by letter."""
    came = _newest_of(session, client, Incoming.client_id, Incoming.received_at)
    theirs = session.execute(
        select(Incoming.received_at, Incoming.from_, Incoming.body)
        .where(*came, Incoming.body.icontains(wanted, autoescape=True))
        .order_by(Incoming.received_at.desc())
        .limit(MOST)
    )
    went = _newest_of(session, client, Message.client_id, Message.created_at)
    ours = session.execute(
        select(Message.created_at, Message.to, Message.body)
        .where(
            *went, Message.destination == Destination.SMS,
            Message.body.icontains(wanted, autoescape=True),
        )
        .order_by(Message.created_at.desc())
        .limit(MOST)
    )  # fmt: skip
    found = [Saying(EntryKind.IN, at, phone, body or "") for at, phone, body in theirs]
    found += [Saying(EntryKind.OUT, at, phone, body or "") for at, phone, body in ours]
    return sorted(found, key=lambda one: one.at, reverse=True)[:MOST]


def _newest_of(
    session: Session, client: Client, owner: Column[str], at: Column[datetime]
) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of the newest :data:`LOOK` rows that are kept."""
    own = (owner == client.id, at >= finding.retention_start(client))
    edge = session.scalar(select(at).where(*own).order_by(at.desc()).offset(LOOK - 1).limit(1))
    return own if edge is None else (*own, at >= edge)
