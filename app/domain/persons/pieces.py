"""What of a person is erased, piece by piece: each a little work for a transaction of its own.

A piece returns how much of what it did, and nothing when nothing is left for it to do. All of them
leave alone what is newer than the erasure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import String, cast, delete, exists, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain.audience import members, taking
from app.domain.persons import known
from app.domain.phone_spellings import spellings
from app.extensions import db
from app.models.base import ERASED
from app.models.batch import BatchMember
from app.models.client import Client
from app.models.conversation import Conversation, ConversationNote
from app.models.delivery import Delivery, DeliveryAttempt, DeliveryState
from app.models.house import AuditEntry, IdempotencyKey
from app.models.incoming import Incoming
from app.models.last_contact import LastContact
from app.models.line_type import LineType
from app.models.link import Click, Link
from app.models.media import Media
from app.models.message import Message, MessageReport, MessageState
from app.models.run import DatedSend
from app.models.voicemail import Voicemail, VoicemailState

CHUNK = 50
"""Texts, with all that hangs on them, that one transaction empties."""
PAUSE = 0.005
"""Seconds between two transactions, so that others have their turn."""

Gone = Counter[str]
"""How much went, by the names of the receipt."""
Piece = Callable[[Session], Gone]


@dataclass(frozen=True)
class Person:
    """Who is erased from what which client knows, as far as that is older than ``at``."""

    client_id: str
    phone: str
    at: datetime

    @property
    def spellings(self) -> tuple[str, ...]:
        """All spellings under which something may be kept."""
        return spellings(self.phone)


def repeated(person: Person) -> Iterator[Piece]:
    """Yield what is to be done until nothing is left, in an order that fits."""
    yield partial(_empty_received, person)
    yield partial(_empty_sent, person)
    yield partial(_forget_conversations, person)
    for population, _ in known.members(db.session(), person.client_id, person.phone):
        db.session.rollback()
        taking.ahead(population.id)
    yield partial(_leave_lists, person)
    yield partial(_empty_batch_members, person)
    yield partial(_forget_last_texts, person)
    yield partial(_forget_dates, person)
    yield partial(_forget_line, person)


def once(person: Person) -> Iterator[Piece]:
    """Yield what is to be done to rows that can be found by reading all of a table only."""
    for some in _chunks(deliveries_about(db.session(), person)):
        yield partial(_forget_deliveries, some)
    for some in _chunks(_answers(person)):
        yield partial(_forget_answers, person, some)
    for some in _chunks(_trail(person)):
        yield partial(_empty_trail, person, some)


def _chunks(found: Sequence[Any]) -> Iterator[Sequence[Any]]:
    db.session.rollback()
    for first in range(0, len(found), CHUNK):
        yield found[first : first + CHUNK]


def deliveries_about(session: Session, person: Person) -> list[str]:
    """Return what systems and mailboxes are told of a person: of their texts, or by their phone."""
    client = session.get_one(Client, person.client_id)
    found: list[str] = []
    for phone in person.spellings:
        mine = (Message.client_id == client.id, Message.to == phone)
        ids = [
            *session.scalars(select(Message.id).where(*mine, Message.created_at <= person.at)),
            *session.scalars(select(Incoming.id).where(*_received(person, phone))),
        ]
        about = known.deliveries_about(session, client, phone, ids)
        found += [one.id for one in about if one.created_at <= person.at]
    return list(dict.fromkeys(found))


def _received(person: Person, *phones: str) -> tuple[Any, ...]:
    return (
        Incoming.client_id == person.client_id, Incoming.from_.in_(phones),
        Incoming.received_at <= person.at,
    )  # fmt: skip


def _empty_received(person: Person, session: Session) -> Gone:
    mine = select(Incoming.id).where(*_received(person, *person.spellings)).limit(CHUNK)
    ids = _not_being_told(session, Delivery.incoming_id, session.scalars(mine).all())
    gone = _forget_told(session, Delivery.incoming_id, ids)
    codes = [*_read(session, Media.code, Media.incoming_id, ids)]
    left = _read(session, Voicemail.media_code, Voicemail.incoming_id, ids)
    codes += [one for one in left if one is not None]
    _update(
        session, Voicemail.incoming_id, ids, state=VoicemailState.ABSENT, check_at=None,
        media_code=None, transcription=None, transcription_state=None, path=[],
        population_id=None, endpoint_id=None,
    )  # fmt: skip
    gone["pictures and sounds"] += _delete(session, Media.code, list(dict.fromkeys(codes)))
    gone["texts and calls from them"] += _update(
        session, Incoming.id, ids, from_=ERASED, body=None, media=[], reaction=None, parameters={},
        later=None, steps=None, path=None, flagged=False, error=None, answer="",
        text_back_at=None,
    )  # fmt: skip
    return gone


def _empty_sent(person: Person, session: Session) -> Gone:
    under_way = (MessageState.WAITING, MessageState.CLAIMED, MessageState.UNKNOWN)
    mine = select(Message.id).where(
        Message.client_id == person.client_id, Message.to.in_(person.spellings),
        Message.created_at <= person.at, Message.state.not_in(under_way),
    )  # fmt: skip
    found = session.scalars(mine.limit(CHUNK)).all()
    ids = _not_being_told(session, Delivery.message_id, found)
    gone = _forget_told(session, Delivery.message_id, ids)
    codes = list(_read(session, Link.code, Link.message_id, ids))
    _delete(session, Click.code, codes)
    gone["links"] += _delete(session, Link.code, codes)
    media = list(_read(session, Media.code, Media.message_id, ids))
    gone["pictures and sounds"] += _delete(session, Media.code, media)
    _update(session, MessageReport.message_id, ids, details={})
    gone["texts and calls to them"] += _update(
        session, Message.id, ids, to=ERASED, body=None, media=[], member=None, options={},
        fingerprint=None, error_message=None, twiml_source=None, answer_twiml=None,
        recording_url=None, digits=None, speech=None,
    )  # fmt: skip
    return gone


def _not_being_told(
    session: Session, column: InstrumentedAttribute[Any], ids: Sequence[str]
) -> list[str]:
    """Leave out those of which somebody is being told just now: the clock comes back to them."""
    busy = set(
        session.scalars(
            select(column).where(column.in_(ids), Delivery.state == DeliveryState.IN_FLIGHT)
        )
    )
    return [one for one in ids if one not in busy]


def _forget_told(session: Session, column: InstrumentedAttribute[Any], ids: Sequence[str]) -> Gone:
    """Delete the deliveries that tell of rows which are emptied; none is on its way."""
    about = list(_read(session, Delivery.id, column, ids))
    _delete(session, DeliveryAttempt.delivery_id, about)
    return Counter(deliveries=_delete(session, Delivery.id, about))


def _forget_deliveries(ids: Sequence[str], session: Session) -> Gone:
    ids = session.scalars(
        select(Delivery.id).where(Delivery.id.in_(ids), Delivery.state != DeliveryState.IN_FLIGHT)
    ).all()
    _delete(session, DeliveryAttempt.delivery_id, ids)
    return Counter(deliveries=_delete(session, Delivery.id, ids))


def _forget_conversations(person: Person, session: Session) -> Gone:
    """Forget conversations, and of one that has gone on since what is older."""
    mine = select(Conversation.id).where(
        Conversation.client_id == person.client_id, Conversation.phone.in_(person.spellings),
    )  # fmt: skip
    notes = session.scalars(
        select(ConversationNote.id)
        .where(ConversationNote.conversation_id.in_(mine), ConversationNote.at <= person.at)
        .limit(CHUNK)
    ).all()
    if notes:
        return Counter(notes=_delete(session, ConversationNote.id, notes))
    noted = exists().where(ConversationNote.conversation_id == Conversation.id)
    over = mine.where(Conversation.last_at <= person.at).limit(CHUNK)
    gone = _delete(session, Conversation.id, session.scalars(over.where(~noted)).all())
    said = session.scalars(over.where(noted, Conversation.last_text.is_not(None))).all()
    emptied = _update(session, Conversation.id, said, last_text=None)
    return Counter(conversations=gone + emptied)


def _leave_lists(person: Person, session: Session) -> Gone:
    found = known.members(session, person.client_id, person.phone)[:CHUNK]
    for population, member in found:
        members.lock(session, population)
        session.delete(member)
        members.moved(session, population)
    session.flush()
    return Counter({"list entries": len(found)})


def _empty_batch_members(person: Person, session: Session) -> Gone:
    """Empty those without a message; a batch that is prepared later refuses them: no phone."""
    found: list[BatchMember] = []
    client = session.get_one(Client, person.client_id)
    for phone in person.spellings:
        found += known.batch_members(session, client, phone)
    for one in found:
        one.attributes = {}
        if one.refusal is not None:
            one.refusal = {"code": one.refusal.get("code"), "sentence": "This person was erased."}
    taken = known.to_be_taken(session, client, person.phone)
    for member in taken:
        member.attributes = {}
    session.flush()
    return Counter({"batch entries": len(found) + len(taken)})


def _forget_last_texts(person: Person, session: Session) -> Gone:
    gone = _count(
        session,
        delete(LastContact).where(
            LastContact.client_id == person.client_id, LastContact.phone.in_(person.spellings),
            LastContact.sent_at <= person.at,
        ),
    )  # fmt: skip
    return Counter({"last texts": gone})


def _forget_dates(person: Person, session: Session) -> Gone:
    mine = (
        DatedSend.client_id == person.client_id, DatedSend.phone.in_(person.spellings),
        DatedSend.created_at <= person.at,
    )  # fmt: skip
    return Counter({"dates told of": _count(session, delete(DatedSend).where(*mine))})


def _forget_line(person: Person, session: Session) -> Gone:
    mine = (LineType.client_id == person.client_id, LineType.phone.in_(person.spellings))
    gone = _count(session, delete(LineType).where(*mine, LineType.asked_at <= person.at))
    return Counter({"kinds of line": gone})


def _answers(person: Person) -> list[str]:
    """Return the keys of answers that are kept for repeats of requests, which hold texts as well.

    Looked for before the transaction: it takes reading all of them.
    """
    found: list[str] = []
    for phone in person.spellings:
        found += db.session.scalars(
            select(IdempotencyKey.key).where(
                IdempotencyKey.client_id == person.client_id,
                IdempotencyKey.body.contains(f'"{phone}"', autoescape=True),
            )
        )
    return found


def _forget_answers(person: Person, keys: Sequence[str], session: Session) -> Gone:
    mine = (IdempotencyKey.client_id == person.client_id, IdempotencyKey.key.in_(keys))
    _count(session, delete(IdempotencyKey).where(*mine))
    return Counter()


def _trail(person: Person) -> list[int]:
    """Return the entries of the history that name them; looked for before the transaction."""
    found: list[int] = []
    for phone in person.spellings:
        inside = cast(AuditEntry.details, String).contains(phone, autoescape=True)
        found += db.session.scalars(
            select(AuditEntry.id).where(
                AuditEntry.client_id == person.client_id, AuditEntry.at <= person.at,
                AuditEntry.target.contains(phone, autoescape=True) | inside,
            )
        )  # fmt: skip
    return list(dict.fromkeys(found))


def _empty_trail(person: Person, ids: Sequence[int], session: Session) -> Gone:
    """Leave who did what and when in the history, without saying about whom."""
    for phone in person.spellings:
        _count(
            session,
            update(AuditEntry)
            .where(AuditEntry.id.in_(ids), AuditEntry.target.contains(phone, autoescape=True))
            .values(target=func.replace(AuditEntry.target, phone, ERASED)),
        )
        inside = cast(AuditEntry.details, String).contains(phone, autoescape=True)
        _count(session, update(AuditEntry).where(AuditEntry.id.in_(ids), inside).values(details={}))
    return Counter({"entries of the history": len(ids)})


def _read(
    session: Session, column: InstrumentedAttribute[Any], by: InstrumentedAttribute[Any],
    ids: Sequence[str],
) -> Sequence[Any]:  # fmt: skip
    return session.scalars(select(column).where(by.in_(ids))).all() if ids else ()


def _update(
    session: Session, by: InstrumentedAttribute[Any], ids: Sequence[str], **values: Any
) -> int:
    return _count(session, update(by.class_).values(**values).where(by.in_(ids))) if ids else 0


def _delete(session: Session, by: InstrumentedAttribute[Any], ids: Sequence[str]) -> int:
    return _count(session, delete(by.class_).where(by.in_(ids))) if ids else 0


def _count(session: Session, statement: Any) -> int:
    """Carry out a change; return how many rows it found."""
    done: Any = session.execute(
        statement.execution_options(synchronize_session=False, render_nulls=True)
    )
    return int(done.rowcount)
