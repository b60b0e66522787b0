"""What batches said, and to whom: written down some seconds later, found by its words or a phone.

Nobody waits for it: the clock reads the texts of a batch that has been prepared, some at a time.
The words that many of them have are kept once, with the batch; of each text only the others are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import bindparam, func, select, tuple_
from sqlalchemy.orm import Session

from app.domain.conversations import finding, word_index, wording
from app.domain.conversations.word_index import MOST, Words
from app.domain.phone_spellings import spellings
from app.domain.phones import InvalidPhone, normalize
from app.models.base import insert_into, utcnow
from app.models.batch import Batch, BatchMember
from app.models.chore import Chore, ChoreKind
from app.models.client import Client
from app.models.last_contact import LastContact
from app.models.message import Message
from app.models.route import Destination
from app.models.said import BATCH_FULL_TEXT, BatchSaid, BatchWords
from app.models.template import TemplateVersion

TOGETHER, TOGETHER_ON_SQLITE = 400, 100
"""Texts that one transaction reads: some 10 ms of SQLite's write lock."""
SAMPLE = 200
"""Texts at the beginning of a batch that tell which words many have."""
MANY, FEWEST = 20, 5
"""A word is common that stands in one of so many texts, and in so many at least: it tells of
nobody then, and stays when one of them is erased."""
LOOKED_AT = 2000
"""Texts of one batch that are looked through, the newest first, for words that many have."""
BATCHES = 5000
"""Batches whose common words are looked at, the newest."""
LOOKED_THROUGH = 30
"""Batches of which all words are common that are looked through, the newest first."""
CANDIDATES = 500
"""Texts with the words that few have, of which those with the common ones are found."""
PHONES = 5
_AGAIN = timedelta(seconds=5)
_OPENED = re.compile(r"\{[{%#]")
_CLOSED = {"{{": "}}", "{%": "%}", "{#": "#}"}
_WORDS = Words(BatchSaid, BATCH_FULL_TEXT)


@dataclass(frozen=True)
class Told:
    """A text that a batch sent to somebody."""

    batch_id: str
    at: datetime
    phone: str
    text: str


def begin(session: Session, batch: Batch) -> None:
    """Have the texts of a batch read that is about to be prepared; only texts have words."""
    if batch.plan.get("destination") == Destination.SMS:
        session.add(
            Chore(kind=ChoreKind.WORDS, subject=batch.id, details={}, due_at=utcnow() + _AGAIN)
        )


def read_some(session: Session, chore: Chore) -> bool:
    """Read some texts of a batch; return whether there may be more of them."""
    batch = session.get(Batch, chore.subject)
    if batch is None:
        return False
    on_sqlite = session.get_bind().dialect.name == "sqlite"
    most = TOGETHER_ON_SQLITE if on_sqlite else TOGETHER
    texts = session.execute(_following(batch.id, chore.after).limit(most)).all()
    if texts:
        common = _common(session, batch)
        _write(session, batch.client_id, ((one.id, one.body) for one in texts), common)
        chore.after = f"{texts[-1].position} {texts[-1].step}"
    if len(texts) == most:
        return True
    chore.due_at = utcnow() + _AGAIN
    left = select(BatchMember.position).where(BatchMember.batch_id == batch.id).limit(1)
    return session.scalar(left) is not None


def _following(batch_id: str, after: str) -> Any:
    # Shared until they are written down: whoever is erased meanwhile waits, and erases both.
    query: Any = (
        select(Message.id, Message.body, Message.position, Message.step)
        .where(Message.batch_id == batch_id)
        .order_by(Message.position, Message.step)
        .with_for_update(read=True)
    )
    if after:
        place = tuple(int(one) for one in after.split())
        query = query.where(tuple_(Message.position, Message.step) > tuple_(*place))
    return query


def _common(session: Session, batch: Batch) -> set[str]:
    """Return the words that many texts of a batch have, and keep them."""
    kept = session.get(BatchWords, batch.id)
    if kept is not None:
        return set(kept.words.split())
    versions = [version_id for version_id, _ in batch.plan.get("steps", ())]
    bodies = session.scalars(
        select(TemplateVersion.body).where(TemplateVersion.id.in_(versions))
    ).all()
    words = {word for body in bodies for word in wording.stored(_said(body))}
    sample = session.execute(_following(batch.id, "").limit(SAMPLE)).all()
    counted = Counter(word for one in sample for word in set(wording.stored(one.body or "")))
    words |= {one for one, times in counted.items() if times >= max(FEWEST, len(sample) / MANY)}
    session.add(
        BatchWords(batch_id=batch.id, client_id=batch.client_id, words=" ".join(sorted(words)))
    )
    session.flush()
    return words


def _said(source: str) -> str:
    """Return what a template says itself, without what is put in; in one look."""
    parts, at = [], 0
    while opened := _OPENED.search(source, at):
        parts.append(source[at : opened.start()])
        closed = source.find(_CLOSED[opened[0]], opened.end())
        if closed < 0:
            return " ".join(parts)
        at = closed + 2
    return " ".join([*parts, source[at:]])


def _write(
    session: Session, client_id: str, texts: Iterable[tuple[str, str | None]], common: set[str]
) -> None:
    rows = []
    for message_id, body in texts:
        own = dict.fromkeys(one for one in wording.stored(body or "") if one not in common)
        if own:
            rows.append({"owner": client_id, "message": message_id, "own": " ".join(own)})
    if not rows:
        return
    words: Any = bindparam("own")
    if session.get_bind().dialect.name == "postgresql":
        words = func.said_words(bindparam("owner"), bindparam("own"))
    session.connection().execute(
        insert_into(session, BatchSaid)
        .values(client_id=bindparam("owner"), message_id=bindparam("message"), words=words)
        .on_conflict_do_nothing(index_elements=["message_id"]),
        rows,
    )


def find(session: Session, client: Client, wanted: str) -> list[Told]:
    """Return the newest texts of batches of a client in which all words of ``wanted`` stand."""
    some = wording.words(wanted)
    if not some:
        return []
    found: dict[str, Any] = {}
    for rest, ids in _groups(session, client, some).items():
        rows = _of_few(session, client, rest, some) if rest else _of_all(session, ids, some)
        found |= {row.id: row for row in rows}
    newest = sorted(found.values(), key=lambda row: (row.created_at, row.id), reverse=True)
    return [_told(row) for row in newest[:MOST]]


def _groups(
    session: Session, client: Client, some: Sequence[str]
) -> dict[tuple[str, ...], list[str]]:
    """Return the client's batches, the newest first, by which of the words few of them got."""
    groups: dict[tuple[str, ...], list[str]] = {tuple(some): []}
    batches = session.execute(
        select(BatchWords.batch_id, BatchWords.words)
        .join(Batch, Batch.id == BatchWords.batch_id)
        .where(
            BatchWords.client_id == client.id,
            Batch.scheduled_at >= finding.retention_start(client),
        )
        .order_by(Batch.scheduled_at.desc())
        .limit(BATCHES)
    )
    rests: dict[str, tuple[str, ...]] = {}  # many small batches of one template have the same
    for batch_id, words in batches:
        if words not in rests:
            stand = wording.which_stand(some, words)
            rests[words] = tuple(one for one, has in zip(some, stand, strict=True) if not has)
        groups.setdefault(rests[words], []).append(batch_id)
    return groups


def _of_few(
    session: Session, client: Client, rest: Sequence[str], some: Sequence[str]
) -> Iterator[Any]:
    """Yield texts in which words stand that few have, as the index finds them."""
    most = MOST if len(rest) == len(some) else CANDIDATES
    ids = word_index.ids(session, client, rest, _WORDS, most)
    rows = session.execute(
        _texts()
        .join(BatchSaid, BatchSaid.message_id == Message.id)
        .where(BatchSaid.id.in_(ids), Message.created_at >= finding.retention_start(client))
        .order_by(BatchSaid.id.desc())
    )
    return (row for row in rows if _has(row.body, some))


def _of_all(session: Session, batch_ids: Sequence[str], some: Sequence[str]) -> Iterator[Any]:
    """Yield texts of batches of which every word is common, looking through the newest."""
    left = MOST
    for batch_id in batch_ids[:LOOKED_THROUGH]:
        rows = session.execute(
            _texts()
            .where(Message.batch_id == batch_id, Message.body.is_not(None))
            .order_by(Message.position.desc(), Message.step.desc())
            .limit(LOOKED_AT)
            .execution_options(yield_per=100)
        )
        for row in islice((row for row in rows if _has(row.body, some)), left):
            left -= 1
            yield row
        if not left:
            return


def _has(body: str | None, some: Sequence[str]) -> bool:
    return all(wording.which_stand(some, " ".join(wording.stored(body or ""))))


def to_phone(session: Session, client: Client, digits: str) -> list[Told]:
    """Return the newest texts of batches to a phone, or to those in which the digits stand."""
    own = (Message.client_id == client.id, Message.batch_id.is_not(None))
    rows = session.execute(
        _texts()
        .where(
            *own, Message.to.in_(_phones(session, client, digits)), Message.body.is_not(None),
            Message.created_at >= finding.retention_start(client),
            Message.destination == Destination.SMS,
        )
        .order_by(Message.created_at.desc())
        .limit(MOST)
    )  # fmt: skip
    return [_told(row) for row in rows]


def _phones(session: Session, client: Client, digits: str) -> Sequence[str]:
    """Return the phone that was typed whole, or some of those that were texted and fit."""
    found: list[str] = []
    for typed in (digits, f"+{digits}"):
        try:
            found += spellings(normalize(typed))
        except InvalidPhone:
            continue
    known = select(LastContact.phone).where(LastContact.client_id == client.id).distinct()
    texted = session.scalars(
        known.where(LastContact.phone.contains(digits, autoescape=True)).limit(PHONES)
    )
    return list(dict.fromkeys([*found, *texted]))


def _texts() -> Any:
    query: Any = select(Message.id, Message.batch_id, Message.created_at, Message.to, Message.body)
    return query


def _told(row: Any) -> Told:
    return Told(row.batch_id, row.created_at, row.to, row.body)
