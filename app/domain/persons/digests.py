"""A person's digest: proves that it was a phone, to whoever knows the phone and the secret key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.domain.audience.members import stored_key
from app.domain.phone_spellings import spellings
from app.extensions import current_settings
from app.models.audience import Member, Population
from app.models.batch import Batch, BatchMember
from app.models.conversation import Conversation
from app.models.incoming import Incoming
from app.models.last_contact import LastContact
from app.models.message import Message

_TOGETHER = 1000


def of(phone: str) -> str:
    """Return the digest of a phone, with the secret key of today."""
    return _with(current_settings().secret_key, phone)


def find(session: Session, client_id: str, digest: str) -> str | None:
    """Return whom of those that a client knows a digest is of; None where it knows them not.

    It was made with a secret key of today or of before (``SECRET_KEY_FALLBACKS``).
    """
    settings = current_settings()
    keys = (settings.secret_key, *settings.secret_key_fallbacks)
    tried: set[str] = set()
    for phone in _known(session, client_id):
        for one in spellings(phone):
            if one in tried:
                continue
            tried.add(one)
            if any(hmac.compare_digest(_with(key, one), digest) for key in keys):
                return one
    return None


def _with(key: str, phone: str) -> str:
    return hmac.new(key.encode(), phone.encode(), hashlib.sha256).hexdigest()[:32]


def _known(session: Session, client_id: str) -> Iterator[str]:
    """Yield the phones of all whom a client knows, some more than once."""
    columns = (
        (Incoming.client_id, Incoming.from_), (Message.client_id, Message.to),
        (Conversation.client_id, Conversation.phone), (LastContact.client_id, LastContact.phone),
    )  # fmt: skip
    for owner, phone in columns:
        yield from _read(session, select(phone).where(owner == client_id).distinct())
    members = select(Member.phone_key).join(Population, Population.roll == Member.roll)
    mine = members.where(Population.client_id == client_id, Member.phone_key.is_not(None))
    for key in _read(session, mine.distinct()):
        yield f"+{key}"
    batches = select(BatchMember.attributes).join(Batch, Batch.id == BatchMember.batch_id)
    for attributes in session.scalars(
        batches.where(Batch.client_id == client_id).execution_options(yield_per=_TOGETHER)
    ):
        if (stored := stored_key(attributes)) is not None:
            yield stored[1]


def _read(session: Session, phones: Select[str] | Select[str | None]) -> Iterator[str]:
    for phone in session.scalars(phones.execution_options(yield_per=_TOGETHER)):
        if phone is not None:
            yield phone
