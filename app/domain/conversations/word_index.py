"""Entries in which words stand, by the index of words that each database has.

Newest first, the same on both databases: full-text search of PostgreSQL, FTS5 of SQLite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, cast, column, select, table, text
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain.conversations import wording
from app.models.client import Client
from app.models.said import BatchSaid, Said

NEAR = 2_000
"""So many of the newest are looked at without the index."""
FEW = 100
"""Few say a word that stands in one of so many, at most."""
MOST = 20


@dataclass(frozen=True)
class Words:
    """A table with words in it, and SQLite's index of them."""

    model: type[Said] | type[BatchSaid]
    full_text: str


def ids(
    session: Session, client: Client, some: Sequence[str], where: Words, most: int = MOST
) -> list[int]:
    """Return the newest entries of a client in which all the words stand.

    Looks at the newest first: what many say is soon found there.

    An index of words knows no order, and is slow where a word stands in everything. So it is asked
    for the words that few say, and what it finds is looked at for the others.
    """
    near = _near(session, client, some, where)
    found = [id for id, has in near if all(has)][:most]
    if len(found) == most or 0 < len(near) < NEAR:
        return found
    often = [sum(has[place] for _, has in near) for place in range(len(some))]
    rare = [word for word, times in zip(some, often, strict=True) if times * FEW <= len(near)]
    rare = rare or [some[often.index(min(often))]]
    if session.get_bind().dialect.name == "postgresql":
        return _far_on_postgresql(session, client, rare, some, where, most)
    return _far_on_sqlite(session, client, rare, some, where, most)


def _near(
    session: Session, client: Client, some: Sequence[str], where: Words
) -> list[tuple[int, tuple[bool, ...]]]:
    """Return which of the words stand in each of the newest texts and notes."""
    model = where.model
    own = select(model.id).where(model.client_id == client.id).order_by(model.id.desc()).limit(NEAR)
    if session.get_bind().dialect.name == "postgresql":
        has = [_has([word], model.words) for word in some]
        return [(id, tuple(those)) for id, *those in session.execute(own.add_columns(*has))]
    rows = session.execute(own.add_columns(model.words))
    return [(id, wording.which_stand(some, words)) for id, words in rows]


def _far_on_sqlite(
    session: Session,
    client: Client,
    rare: Sequence[str],
    some: Sequence[str],
    where: Words,
    most: int,
) -> list[int]:
    parts = [f'words : "{one}"{"*" if wording.is_beginning(one) else ""}' for one in rare]
    wanted = " AND ".join([f'client_id : "{client.id}"', *parts])
    model, index = where.model, table(where.full_text, column("rowid"))
    matches = text(f"{where.full_text} MATCH :words").bindparams(words=wanted)
    rows = session.execute(
        select(model.id, model.words)
        .join_from(index, model, model.id == index.c.rowid)
        .where(matches, model.client_id == client.id)
        .order_by(index.c.rowid.desc())
        .execution_options(yield_per=100)
    )
    fitting = (id for id, words in rows if all(wording.which_stand(some, words)))
    return list(islice(fitting, most))


def _far_on_postgresql(
    session: Session,
    client: Client,
    rare: Sequence[str],
    some: Sequence[str],
    where: Words,
    most: int,
) -> list[int]:
    model = where.model
    mine = select(model.id, model.words).where(
        model.client_id == client.id, _has(rare, model.words, of=f"':{client.id.lower()}'")
    )
    fenced = mine.cte("few").prefix_with("MATERIALIZED", dialect="postgresql")
    query = select(fenced.c.id).where(_has(some, fenced.c.words))
    return list(session.scalars(query.order_by(fenced.c.id.desc()).limit(most)))


def _has(
    some: Sequence[str], words: ColumnElement[Any] | InstrumentedAttribute[str], of: str = ""
) -> ColumnElement[bool]:
    """Match words; with ``of`` those of one client alone, which the index tells apart."""
    parts = [f"'{one}'{':*' if wording.is_beginning(one) else ''}" for one in some]
    wanted = cast(" & ".join([of, *parts] if of else parts), TSQUERY)
    return words.op("@@", is_comparison=True)(wanted)
