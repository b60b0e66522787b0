"""After a client's days of retention every copy of a text goes; counts for usage stay.

What has not ended is left alone, deliveries still on their way for example, but ended where it is
too old itself (`app.maintenance.overdue`). Rows go in small batches, each with a commit of its own,
so that nobody waits for a lock and a crash loses nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Select, delete, exists, or_, select, tuple_, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain import aside, leftovers, mail_tags
from app.domain.audience import line_types, uploads
from app.domain.clients import usage
from app.domain.content import attachments
from app.domain.persons import noting
from app.domain.sending import journal
from app.extensions import db, unit_of_work
from app.maintenance import overdue, steps, told_dates
from app.maintenance.overdue import has_ended
from app.maintenance.steps import Step, delete_all, has_open
from app.models.base import utcnow
from app.models.batch import Batch
from app.models.client import DEFAULT_RETENTION_DAYS, Client
from app.models.communication import Callback
from app.models.conversation import Conversation, ConversationNote
from app.models.delivery import OPEN_STATES, Delivery, DeliveryAttempt
from app.models.erasure import Erasure
from app.models.house import Bookmark, IdempotencyKey, MailTaken
from app.models.incoming import Incoming
from app.models.last_contact import LastContact
from app.models.line_type import LineType
from app.models.link import Click, Link
from app.models.media import Media, Recording
from app.models.message import Message, MessageReport
from app.models.said import BatchWords
from app.models.upload import Upload
from app.models.voicemail import Voicemail

log = structlog.get_logger(__name__)

LAST_CONTACT_DAYS = 365
IDEMPOTENCY_DAYS = 1
BOOKMARK = LOOP = "retention"
PAUSE = timedelta(hours=6)
"""Between two passes of the clock; a pass is made in slices."""
SLICE_SECONDS = 1.0

_CONTACT = tuple_(LastContact.client_id, LastContact.phone, LastContact.sender_id)


def tick() -> None:
    """Do a slice of the work if a pass is due; for the clock, which has other things to do."""
    bookmark = db.session.get(Bookmark, BOOKMARK)
    if bookmark is not None and bookmark.at > utcnow() - PAUSE:
        return
    removed, finished = run(SLICE_SECONDS)
    if removed:
        log.info("retention", **removed)
    if finished:
        with unit_of_work() as session:
            session.merge(Bookmark(name=BOOKMARK, at=utcnow()))


def run(seconds: float | None = None) -> tuple[Counter[str], bool]:
    """Remove what is too old; return how many rows of each kind went, and whether all is done.

    :param seconds: stop after about this time; None goes on to the end.
    """
    limit = None if seconds is None else usage.AT_A_TIME
    if not usage.count(limit):  # before what is counted goes
        return Counter(), False
    now = utcnow()
    deadline = None if seconds is None else time.monotonic() + seconds
    removed: Counter[str] = Counter()
    left_out = aside.names(db.session(), LOOP)
    finished = True
    for step in _steps(now):
        if step.name in left_out:
            continue
        with aside.set_aside(LOOP, step.name):
            finished = steps.do(LOOP, step, removed, deadline)
        if not finished:
            break
    db.session.rollback()
    return removed, finished


def _steps(now: datetime) -> list[Step]:
    """Return what is to be repeated until nothing is found, in an order that fits."""
    clients = db.session.execute(select(Client.id, Client.retention_days)).all()
    db.session.rollback()
    found: list[Step] = []
    for client_id, days in clients:
        cutoff = now - timedelta(days=days)
        found += [
            Step(
                f"held {client_id}", overdue.held(client_id, cutoff, now), overdue.cancel_deliveries
            ),
            Step(
                f"waiting {client_id}", overdue.waiting(client_id, cutoff), overdue.cancel_messages
            ),
            Step(f"messages {client_id}", _messages(client_id, cutoff), _remove_messages),
            Step(f"incoming {client_id}", _incoming(client_id, cutoff), _remove_incoming),
            Step(f"words {client_id}", _batch_words(client_id, cutoff), _forget_batch_words),
            Step(f"deliveries {client_id}", _deliveries(client_id, cutoff), _remove_deliveries),
            Step(f"notes {client_id}", _notes(client_id, cutoff), _remove_notes),
            Step(
                f"conversations {client_id}",
                _conversations(client_id, cutoff),
                _remove_conversations,
            ),
            Step(
                f"last texts {client_id}",
                _last_texts(client_id, cutoff),
                partial(_empty_last_texts, sent_before=cutoff),
            ),
        ]
    own = now - timedelta(days=DEFAULT_RETENTION_DAYS)
    year = now - timedelta(days=LAST_CONTACT_DAYS)
    day = now - timedelta(days=IDEMPOTENCY_DAYS)
    return [
        *found,
        Step("own deliveries", _deliveries(None, own), _remove_deliveries),
        Step("last contacts", _last_contacts(year), partial(_forget_contacts, sent_before=year)),
        Step("dates told of", told_dates.too_old(now), told_dates.forget),
        Step("media", _expired_media(now), _remove_media),
        Step("uploads", _uploads(now - uploads.KEPT), _remove_uploads),
        Step("erasures", _erasures(noting.oldest_kept()), _forget_erasures),
        Step("line types", _line_types(now - line_types.KEPT), _forget_line_types),
        Step("answers", _idempotency_keys(day), partial(_forget_answers, made_before=day)),
        Step("mails taken in", _mails_taken(now - 2 * mail_tags.REPLY_LASTS), _forget_mails),
    ]


def _messages(client_id: str, cutoff: datetime) -> Select[str]:
    return (
        select(Message.id)
        .where(
            Message.client_id == client_id,
            Message.created_at < cutoff,
            or_(Message.send_at.is_(None), Message.send_at < cutoff),
            has_ended(),
            ~has_open(Delivery.message_id == Message.id),
        )
        .order_by(Message.created_at)
    )


def _remove_messages(session: Session, ids: list[str]) -> Counter[str]:
    if journal.apply_to(session, ids):  # which may have made something to tell
        may_go = (Message.id.in_(ids), has_ended())
        open_ = has_open(Delivery.message_id == Message.id)
        ids = list(session.scalars(select(Message.id).where(*may_go, ~open_)))
    removed = _with_deliveries(session, Delivery.message_id, ids)
    links = list(session.scalars(select(Link.code).where(Link.message_id.in_(ids))))
    delete_all(session, Click.code, links)
    delete_all(session, Link.code, links)
    delete_all(session, MessageReport.message_id, ids)
    delete_all(session, Callback.message_id, ids)
    delete_all(session, Media.message_id, ids)
    session.execute(
        update(Incoming)
        .where(Incoming.reply_id.in_(ids))
        .values(reply_id=None)
        .execution_options(synchronize_session=False)
    )
    delete_all(session, Message.id, ids)
    return removed + Counter(messages=len(ids))


def _incoming(client_id: str, cutoff: datetime) -> Select[str]:
    return (
        select(Incoming.id)
        .where(
            Incoming.client_id == client_id,
            Incoming.received_at < cutoff,
            ~has_open(Delivery.incoming_id == Incoming.id),
        )
        .order_by(Incoming.received_at)
    )


def _remove_incoming(session: Session, ids: list[str]) -> Counter[str]:
    removed = _with_deliveries(session, Delivery.incoming_id, ids)
    delete_all(session, Voicemail.incoming_id, ids)
    delete_all(session, Media.incoming_id, ids)
    delete_all(session, Incoming.id, ids)
    return removed + Counter(incoming=len(ids))


def _batch_words(client_id: str, cutoff: datetime) -> Select[str]:
    """Find the words of batches whose texts are gone."""
    return (
        select(BatchWords.batch_id)
        .join(Batch, Batch.id == BatchWords.batch_id)
        .where(
            BatchWords.client_id == client_id,
            Batch.scheduled_at < cutoff,
            ~exists().where(Message.batch_id == BatchWords.batch_id),
        )
    )


def _forget_batch_words(session: Session, ids: list[str]) -> Counter[str]:
    delete_all(session, BatchWords.batch_id, ids)
    return +Counter(batch_words=len(ids))


def _notes(client_id: str, cutoff: datetime) -> Select[str]:
    return select(ConversationNote.id).where(
        ConversationNote.client_id == client_id, ConversationNote.at < cutoff
    )


def _remove_notes(session: Session, ids: list[str]) -> Counter[str]:
    delete_all(session, ConversationNote.id, ids)
    return +Counter(notes=len(ids))


def _conversations(client_id: str, cutoff: datetime) -> Select[str]:
    """Find those whose words are gone, or still to go; a newer note keeps the rest."""
    noted = exists().where(ConversationNote.conversation_id == Conversation.id)
    return select(Conversation.id).where(
        Conversation.client_id == client_id,
        Conversation.last_at < cutoff,
        or_(Conversation.last_text.is_not(None), ~noted),
    )


def _remove_conversations(session: Session, ids: list[str]) -> Counter[str]:
    noted = session.scalars(
        select(ConversationNote.conversation_id)
        .where(ConversationNote.conversation_id.in_(ids))
        .distinct()
    ).all()
    session.execute(
        update(Conversation)
        .where(Conversation.id.in_(noted))
        .values(last_text=None)
        .execution_options(synchronize_session=False)
    )
    delete_all(session, Conversation.id, [one for one in ids if one not in noted])
    return +Counter(conversations=len(ids))


def _deliveries(client_id: str | None, cutoff: datetime) -> Select[str]:
    return select(Delivery.id).where(
        Delivery.client_id == client_id,
        Delivery.created_at < cutoff,
        Delivery.state.not_in(OPEN_STATES),
    )


def _remove_deliveries(session: Session, ids: list[str]) -> Counter[str]:
    delete_all(session, DeliveryAttempt.delivery_id, ids)
    delete_all(session, Delivery.id, ids)
    return +Counter(deliveries=len(ids))


def _with_deliveries(
    session: Session, column: InstrumentedAttribute[str | None], ids: list[str]
) -> Counter[str]:
    """Remove the deliveries that tell of these rows, with their attempts; all have ended."""
    found = session.scalars(select(Delivery.id).where(column.in_(ids)))
    return _remove_deliveries(session, list(found))


def _last_texts(client_id: str, cutoff: datetime) -> Select[str, str, str]:
    """Find the texts of who was written to last; who that was is kept longer."""
    return select(LastContact.client_id, LastContact.phone, LastContact.sender_id).where(
        LastContact.client_id == client_id,
        LastContact.sent_at < cutoff,
        LastContact.body.is_not(None),
    )


def _empty_last_texts(session: Session, found: list[Any], *, sent_before: datetime) -> Counter[str]:
    session.execute(
        update(LastContact)
        .where(_CONTACT.in_(found), LastContact.sent_at < sent_before)
        .values(body=None)
        .execution_options(synchronize_session=False)
    )
    return +Counter(last_contact_bodies=len(found))


def _erasures(oldest: str) -> Select[str]:
    """Find the erasures that no backup to be restored can undo any more."""
    return select(Erasure.id).where(Erasure.id < oldest, Erasure.done_at.is_not(None))


def _forget_erasures(session: Session, ids: list[str]) -> Counter[str]:
    delete_all(session, Erasure.id, ids)
    return +Counter(erasures=len(ids))


def _line_types(oldest: datetime) -> Select[str, str]:
    """Find what Twilio said of phones too long ago."""
    return select(LineType.client_id, LineType.phone).where(LineType.asked_at < oldest)


def _forget_line_types(session: Session, found: list[Any]) -> Counter[str]:
    session.execute(
        delete(LineType)
        .where(tuple_(LineType.client_id, LineType.phone).in_(found))
        .execution_options(synchronize_session=False)
    )
    return +Counter(line_types=len(found))


def _mails_taken(limit: datetime) -> Select[str]:
    """Find the mails that no longer do anything if they come once more."""
    return select(MailTaken.key).where(MailTaken.at < limit)


def _forget_mails(session: Session, keys: list[str]) -> Counter[str]:
    delete_all(session, MailTaken.key, keys)
    return +Counter(mails=len(keys))


def _last_contacts(limit: datetime) -> Select[str, str, str]:
    contact = select(LastContact.client_id, LastContact.phone, LastContact.sender_id)
    return contact.where(LastContact.sent_at < limit)


def _forget_contacts(session: Session, found: list[Any], *, sent_before: datetime) -> Counter[str]:
    session.execute(
        delete(LastContact)
        .where(_CONTACT.in_(found), LastContact.sent_at < sent_before)
        .execution_options(synchronize_session=False)
    )
    return +Counter(last_contacts=len(found))


def _expired_media(now: datetime) -> Select[str]:
    in_use = exists().where(Recording.media_code == Media.code)
    return select(Media.code).where(
        Media.expires_at < now, ~in_use, ~attachments.are_on_their_way()
    )


def _remove_media(session: Session, codes: list[str]) -> Counter[str]:
    session.execute(
        update(Voicemail)
        .where(Voicemail.media_code.in_(codes))
        .values(media_code=None)
        .execution_options(synchronize_session=False)
    )
    delete_all(session, Media.code, codes)
    return +Counter(media=len(codes))


def _uploads(limit: datetime) -> Select[str]:
    return select(Upload.id).where(Upload.created_at < limit)


def _remove_uploads(session: Session, ids: list[str]) -> Counter[str]:
    leftovers.remove_uploads(session, ids)
    return +Counter(uploads=len(ids))


def _idempotency_keys(limit: datetime) -> Select[str, str]:
    """Find the answers kept for repeats of API requests, which hold texts as well."""
    key = select(IdempotencyKey.client_id, IdempotencyKey.key)
    return key.where(IdempotencyKey.created_at < limit)


def _forget_answers(session: Session, found: list[Any], *, made_before: datetime) -> Counter[str]:
    session.execute(
        delete(IdempotencyKey)
        .where(
            tuple_(IdempotencyKey.client_id, IdempotencyKey.key).in_(found),
            IdempotencyKey.created_at < made_before,
        )
        .execution_options(synchronize_session=False)
    )
    return +Counter(idempotency_keys=len(found))
