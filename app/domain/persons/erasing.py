"""Erasing a person: their words, their name and their phone go; what is needed stays.

Rows of the log stay as what they cost, without a word or a phone: bills are made from them, a
batch counts them, and Twilio's log would bring back a text whose SID we no longer knew. Opt-outs
stay: nobody is texted again because they asked to be forgotten.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import String, cast, delete, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain import audit
from app.domain.audience import members
from app.domain.mistakes import Refused
from app.domain.persons import known
from app.domain.persons.known import ERASED
from app.domain.phone_spellings import spellings
from app.domain.sending import journal
from app.extensions import current_settings
from app.models.client import Client
from app.models.conversation import Conversation, ConversationNote
from app.models.delivery import Delivery, DeliveryAttempt, DeliveryState
from app.models.house import AuditEntry, IdempotencyKey
from app.models.incoming import Incoming
from app.models.last_contact import LastContact
from app.models.link import Click, Link
from app.models.media import Media
from app.models.message import Message, MessageReport, MessageState
from app.models.run import DatedSend
from app.models.voicemail import Voicemail, VoicemailState

CHUNK = 500
ON_ITS_WAY = (
    "A text or call to this phone is on its way, or what became of it is still being found out. Try"
    " again in half an hour, or decide it on its page."
)
BEING_TOLD = "One of your systems is being told of this person just now. Try again in a minute."


def erase(session: Session, client: Client, phone: str, by: str) -> dict[str, int] | None:
    """Erase a person from what a client knows; return how much went, by kind.

    Texts that wait are canceled. Their opt-outs stay, and each message as what it cost. The trail
    keeps that somebody was erased, when and by whom. None where nothing is known of them.

    :raises Refused: when something to them is under way just now; nothing has changed then.
    """
    gone: Counter[str] = Counter()
    for one in spellings(phone):
        gone += _erased(session, client, one)
    if not gone:
        return None
    for one in spellings(phone):
        _forget_answers(session, client, one)
        gone["entries of the history"] += _empty_trail(session, client, one)
    receipt = {name: many for name, many in gone.items() if many}
    details = {"digest": digest(phone), **receipt}
    audit.record(session, by, "erase", "a person", client.id, details)
    return receipt


def _erased(session: Session, client: Client, phone: str) -> Counter[str]:
    """Erase what is kept under one spelling of a phone; return how much of each kind."""
    received = [one.id for one in known.texts_of(session, client, phone)]
    sent = [one.id for one in known.messages_to(session, client, phone)]
    gone: Counter[str] = Counter()
    gone["waiting texts canceled"] = _cancel(session, client, phone)
    _settle(session, client, phone, sent)
    gone["deliveries"] = _forget_deliveries(session, client, phone, received + sent)
    gone["links"] = _forget_links(session, sent)
    gone["pictures and sounds"] = _forget_media(session, received, sent)
    gone["texts and calls from them"] = _empty_received(session, received)
    gone["texts and calls to them"] = _empty_sent(session, sent)
    gone["conversations"] = _forget_conversations(session, client, phone)
    gone["list entries"] = _leave_lists(session, client, phone)
    gone["dates told of"] = _count(
        session, delete(DatedSend).where(
            DatedSend.client_id == client.id, DatedSend.phone == phone
        )
    )  # fmt: skip
    gone["batch entries"] = _empty_batch_members(session, client, phone)
    gone["last texts"] = _count(
        session, delete(LastContact).where(
            LastContact.client_id == client.id, LastContact.phone == phone
        )
    )  # fmt: skip
    return gone


def digest(phone: str) -> str:
    """Return what proves later that it was this phone, to whoever knows it and the secret key."""
    key = current_settings().secret_key.encode()
    return hmac.new(key, phone.encode(), hashlib.sha256).hexdigest()[:32]


def _cancel(session: Session, client: Client, phone: str) -> int:
    """Send nothing more to them; nobody is told, since there is nobody left to tell of."""
    return _count(
        session,
        update(Message)
        .where(
            Message.client_id == client.id, Message.to == phone,
            Message.state == MessageState.WAITING,
        )
        .values(state=MessageState.CANCELED, reason="canceled"),
    )  # fmt: skip


def _settle(session: Session, client: Client, phone: str, ids: Sequence[str]) -> None:
    """Apply what Twilio has reported; refuse while a POST is under way or its end unknown."""
    for some in _chunks(ids):
        journal.apply_to(session, some)
    session.flush()
    under_way = select(Message.id).where(
        Message.client_id == client.id, Message.to == phone,
        Message.state.in_([MessageState.WAITING, MessageState.CLAIMED, MessageState.UNKNOWN]),
    )  # fmt: skip
    if session.scalar(under_way.limit(1)) is not None:
        raise Refused.because(ON_ITS_WAY, "phone", code="under_way")


def _forget_deliveries(session: Session, client: Client, phone: str, ids: Sequence[str]) -> int:
    found = [one.id for one in known.deliveries_about(session, client, phone, ids)]
    waiting = (DeliveryState.PENDING, DeliveryState.HELD)
    for some in _chunks(found):
        _count(
            session,
            update(Delivery)
            .where(Delivery.id.in_(some), Delivery.state.in_(waiting))
            .values(state=DeliveryState.CANCELED, next_attempt_at=None),
        )
        busy = select(Delivery.id).where(
            Delivery.id.in_(some), Delivery.state == DeliveryState.IN_FLIGHT
        )
        if session.scalar(busy.limit(1)) is not None:
            raise Refused.because(BEING_TOLD, "phone", code="under_way")
    _delete(session, DeliveryAttempt.delivery_id, found)
    return _delete(session, Delivery.id, found)


def _forget_links(session: Session, sent: Sequence[str]) -> int:
    codes = list(_read(session, Link.code, Link.message_id, sent))
    _delete(session, Click.code, codes)
    return _delete(session, Link.code, codes)


def _forget_media(session: Session, received: Sequence[str], sent: Sequence[str]) -> int:
    codes = [
        *_read(session, Media.code, Media.incoming_id, received),
        *_read(session, Media.code, Media.message_id, sent),
    ]
    left = _read(session, Voicemail.media_code, Voicemail.incoming_id, received)
    codes += [one for one in left if one is not None]
    _update(
        session, Voicemail.incoming_id, received, state=VoicemailState.ABSENT, check_at=None,
        media_code=None, transcription=None, path=[], population_id=None, endpoint_id=None,
    )  # fmt: skip
    return _delete(session, Media.code, list(dict.fromkeys(codes)))


def _empty_received(session: Session, ids: Sequence[str]) -> int:
    return _update(
        session, Incoming.id, ids, from_=ERASED, body=None, media=[], reaction=None, parameters={},
        later=None, steps=None, path=None, flagged=False, error=None, answer="",
    )  # fmt: skip


def _empty_sent(session: Session, ids: Sequence[str]) -> int:
    _update(session, MessageReport.message_id, ids, details={})
    return _update(
        session, Message.id, ids, to=ERASED, body=None, media=[], member=None, options={},
        fingerprint=None, error_message=None, twiml_source=None, answer_twiml=None,
        recording_url=None, digits=None, speech=None,
    )  # fmt: skip


def _forget_conversations(session: Session, client: Client, phone: str) -> int:
    mine = select(Conversation.id).where(
        Conversation.client_id == client.id, Conversation.phone == phone
    )
    ids = list(session.scalars(mine))
    _delete(session, ConversationNote.conversation_id, ids)
    return _delete(session, Conversation.id, ids)


def _leave_lists(session: Session, client: Client, phone: str) -> int:
    found = known.members(session, client, phone)
    for population, member in found:
        members.lock(session, population)
        session.delete(member)
        members.moved(session, population)
    session.flush()
    return len(found)


def _empty_batch_members(session: Session, client: Client, phone: str) -> int:
    """Empty those without a message; a batch that is prepared later refuses them: no phone."""
    found = known.batch_members(session, client, phone)
    for one in found:
        one.attributes = {}
        if one.refusal is not None:
            one.refusal = {"code": one.refusal.get("code"), "sentence": "This person was erased."}
    session.flush()
    return len(found)


def _forget_answers(session: Session, client: Client, phone: str) -> None:
    """Forget the answers kept for repeats of requests, which hold texts as well."""
    _count(
        session,
        delete(IdempotencyKey).where(
            IdempotencyKey.client_id == client.id,
            IdempotencyKey.body.contains(f'"{phone}"', autoescape=True),
        ),
    )


def _empty_trail(session: Session, client: Client, phone: str) -> int:
    """Leave who did what and when in the history, without saying about whom."""
    own = AuditEntry.client_id == client.id
    named = _count(
        session,
        update(AuditEntry)
        .where(own, AuditEntry.target.contains(phone, autoescape=True))
        .values(target=func.replace(AuditEntry.target, phone, ERASED)),
    )
    inside = cast(AuditEntry.details, String).contains(phone, autoescape=True)
    detailed = session.scalars(select(AuditEntry).where(own, inside)).all()
    for entry in detailed:
        entry.details = {}
    session.flush()
    return named + len(detailed)


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    left = iter(ids)
    while some := list(islice(left, CHUNK)):
        yield some


def _read(
    session: Session, column: InstrumentedAttribute[Any], by: InstrumentedAttribute[Any],
    ids: Sequence[str],
) -> Iterator[Any]:  # fmt: skip
    for some in _chunks(ids):
        yield from session.scalars(select(column).where(by.in_(some)))


def _update(
    session: Session, by: InstrumentedAttribute[Any], ids: Sequence[str], **values: Any
) -> int:
    change = update(by.class_).values(**values)
    return sum(_count(session, change.where(by.in_(some))) for some in _chunks(ids))


def _delete(session: Session, by: InstrumentedAttribute[Any], ids: Sequence[str]) -> int:
    return sum(_count(session, delete(by.class_).where(by.in_(some))) for some in _chunks(ids))


def _count(session: Session, statement: Any) -> int:
    """Carry out a change; return how many rows it found."""
    done: Any = session.execute(
        statement.execution_options(synchronize_session=False, render_nulls=True)
    )
    return int(done.rowcount)
