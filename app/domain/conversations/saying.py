"""Who said what: texts of both sides and notes, found by their words.

Found by an index where it can be (:mod:`wording`), newest first, the same on both databases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    case,
    cast,
    column,
    func,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import InstrumentedAttribute as Column
from sqlalchemy.orm import Session

from app.domain.conversations import finding, wording
from app.models.client import Client
from app.models.conversation import Conversation, ConversationNote, EntryKind
from app.models.incoming import Incoming
from app.models.message import Message
from app.models.route import Destination
from app.models.said import FULL_TEXT, Said

LOOK = 50_000
"""How many of the newest texts of each side are looked through for words that no index finds."""
NEAR = 2_000
"""So many of the newest are looked at without the index."""
FEW = 100
"""Few say a word that stands in one of so many, at most."""
MOST = 20

_FULL_TEXT = table(FULL_TEXT, column("rowid"))
_MATCHES = text(f"{FULL_TEXT} MATCH :words")


@dataclass(frozen=True)
class Saying:
    """A text or a note in which the words stand."""

    kind: EntryKind
    at: datetime
    phone: str
    text: str


def find(session: Session, client: Client, wanted: str) -> list[Saying]:
    """Return the newest texts and notes of a client in which all words of ``wanted`` stand.

    Words of three letters and more stand for all that begin with them. Texts of batches are not
    looked through.
    """
    some = wording.words(wanted)
    if not some:
        return _look_through(session, client, wanted)
    ids = _ids(session, client, some)
    return _read(session, client, ids) if ids else []


def _ids(session: Session, client: Client, some: Sequence[str]) -> list[int]:
    """Look at the newest first: what many say is soon found there.

    An index of words knows no order, and is slow where a word stands in everything. So it is asked
    for the words that few say, and what it finds is looked at for the others.
    """
    near = _near(session, client, some)
    found = [id for id, has in near if all(has)][:MOST]
    if len(found) == MOST or 0 < len(near) < NEAR:
        return found
    often = [sum(has[place] for _, has in near) for place in range(len(some))]
    rare = [word for word, times in zip(some, often, strict=True) if times * FEW <= len(near)]
    rare = rare or [some[often.index(min(often))]]
    if session.get_bind().dialect.name == "postgresql":
        return _far_on_postgresql(session, client, rare, some)
    return _far_on_sqlite(session, client, rare, some)


def _near(
    session: Session, client: Client, some: Sequence[str]
) -> list[tuple[int, tuple[bool, ...]]]:
    """Return which of the words stand in each of the newest texts and notes."""
    own = select(Said.id).where(Said.client_id == client.id).order_by(Said.id.desc()).limit(NEAR)
    if session.get_bind().dialect.name == "postgresql":
        has = [_has([word]) for word in some]
        return [(id, tuple(those)) for id, *those in session.execute(own.add_columns(*has))]
    rows = session.execute(own.add_columns(Said.words))
    return [(id, wording.which_stand(some, words)) for id, words in rows]


def _far_on_sqlite(
    session: Session, client: Client, rare: Sequence[str], some: Sequence[str]
) -> list[int]:
    parts = [f'words : "{one}"{"*" if wording.is_beginning(one) else ""}' for one in rare]
    wanted = " AND ".join([f'client_id : "{client.id}"', *parts])
    rows = session.execute(
        select(Said.id, Said.words)
        .join_from(_FULL_TEXT, Said, Said.id == _FULL_TEXT.c.rowid)
        .where(_MATCHES.bindparams(words=wanted), Said.client_id == client.id)
        .order_by(_FULL_TEXT.c.rowid.desc())
        .execution_options(yield_per=100)
    )
    fitting = (id for id, words in rows if all(wording.which_stand(some, words)))
    return list(islice(fitting, MOST))


def _far_on_postgresql(
    session: Session, client: Client, rare: Sequence[str], some: Sequence[str]
) -> list[int]:
    mine = select(Said.id, Said.words).where(
        Said.client_id == client.id, _has(rare, of=f"':{client.id.lower()}'")
    )
    fenced = mine.cte("few").prefix_with("MATERIALIZED", dialect="postgresql")
    query = select(fenced.c.id).where(_has(some, fenced.c.words))
    return list(session.scalars(query.order_by(fenced.c.id.desc()).limit(MOST)))


def _has(
    some: Sequence[str], column: ColumnElement[Any] | None = None, of: str = ""
) -> ColumnElement[bool]:
    """Match words; with ``of`` those of one client alone, which the index tells apart."""
    parts = [f"'{one}'{':*' if wording.is_beginning(one) else ''}" for one in some]
    wanted = cast(" & ".join([of, *parts] if of else parts), TSQUERY)
    words = Said.words if column is None else column
    return words.op("@@", is_comparison=True)(wanted)


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
            *went, Message.batch_id.is_(None), Message.destination == Destination.SMS,
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
