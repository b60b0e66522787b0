"""What was said between a number and a phone, both sides, calls and notes, in one line of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from app.domain import urls
from app.domain.content import file_types
from app.models.conversation import Conversation, ConversationNote, EntryKind
from app.models.incoming import Incoming
from app.models.media import Media
from app.models.message import Direction, Message
from app.models.route import Destination
from app.models.sender import Sender
from app.models.voicemail import HEARD, Voicemail

MOST = 1_000
"""How many of the newest texts, and so on, of each side are shown at most."""


@dataclass(frozen=True)
class File:
    """A picture or the like, where it is served; its type where that is known."""

    url: str
    content_type: str | None = None


@dataclass(frozen=True)
class Entry:
    """One thing in a conversation."""

    kind: EntryKind
    id: str
    """Of the incoming text or call, of the message or of the note."""
    at: datetime
    by: str | None
    """Their phone; of ours the person or API key, None for what a machine of ours said."""
    text: str | None
    status: str | None
    """Theirs: what was done about it; where a voice message is. Ours: the message's public status.
    None for notes."""
    media: tuple[File, ...] = ()
    theirs: bool = False
    incoming: Incoming | None = field(default=None, compare=False)
    message: Message | None = field(default=None, compare=False)
    voicemail: Voicemail | None = field(default=None, compare=False)


def between(
    session: Session,
    number: Sender,
    phone: str,
    since: datetime,
    talk: Conversation | None,
    most: int = MOST,
) -> list[Entry]:
    """Return what stands between a number and a phone, oldest first.

    :param since: the begin of retention: what is older is not shown, whether it is gone yet or not.
    """
    found = [
        *_theirs(session, number, phone, since, most),
        *_left(session, number, phone, since, most),
        *_ours(session, number, phone, since, most),
        *(_notes(session, talk, since, most) if talk is not None else ()),
    ]
    return sorted(found, key=attrgetter("at", "id"))[-most:]


def any_between(session: Session, number: Sender, phone: str, since: datetime) -> bool:
    """Tell whether anything of the log stands between a number and a phone."""
    came = select(Incoming.id).where(*_came(number, phone, since)).limit(1)
    went = select(Message.id).where(_went(number, phone), Message.created_at >= since).limit(1)
    return session.scalar(came) is not None or session.scalar(went) is not None


def gone_out(message: Message) -> datetime:
    """Return when we spoke; an automatic reply is written with what it answers.

    A text that waits for its hour comes last, so that people see what is still to be said.
    """
    if message.direction is Direction.REPLY:
        return message.created_at
    return message.sent_at or message.accepted_at or message.send_at or message.created_at


def _came(number: Sender, phone: str, since: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Incoming.client_id == number.client_id, Incoming.from_ == phone,
        Incoming.sender_id == number.id, Incoming.received_at >= since,
    )  # fmt: skip


def _went(number: Sender, phone: str) -> ColumnElement[bool]:
    """Match what went out from a number, or from its service before that has chosen a number."""
    own: ColumnElement[bool] = Message.sender_id == number.id
    if number.service_id is not None:
        from_here = ~Message.from_.startswith("+") | (Message.from_ == number.address)
        own = or_(own, and_(Message.sender_id == number.service_id, from_here))
    return and_(Message.to == phone, Message.client_id == number.client_id, own)


def _theirs(
    session: Session, number: Sender, phone: str, since: datetime, most: int
) -> Iterator[Entry]:
    query = select(Incoming).where(*_came(number, phone, since))
    for one in session.scalars(query.order_by(Incoming.received_at.desc()).limit(most)):
        is_call = one.destination is Destination.VOICE
        kind = EntryKind.REACTION if one.reaction else EntryKind.IN
        yield Entry(
            EntryKind.CALL if is_call else kind, one.id, one.received_at, one.from_,
            None if is_call else one.body, one.outcome.value,
            tuple(
                File(urls.of_media(item["code"]), file_types.plain(item["contentType"]))
                for item in one.media
                if "code" in item
            ),
            theirs=True, incoming=one,
        )  # fmt: skip


def _left(
    session: Session, number: Sender, phone: str, since: datetime, most: int
) -> Iterator[Entry]:
    """Yield voice messages, each beside its call; what was said is the text."""
    query = (
        select(Voicemail, Media.content_type)
        .join(Incoming, Incoming.id == Voicemail.incoming_id)
        .outerjoin(Media, Media.code == Voicemail.media_code)
        .where(*_came(number, phone, since), Voicemail.state.in_(HEARD))
        .order_by(Incoming.received_at.desc())
        .limit(most)
    )
    for one, content_type in session.execute(query):
        sound = File(urls.of_media(one.media_code), content_type) if one.media_code else None
        yield Entry(
            EntryKind.VOICEMAIL, one.id, one.recorded_at or one.created_at, phone,
            one.transcription, one.state.value, (sound,) if sound else (), theirs=True,
            voicemail=one,
        )  # fmt: skip


def _ours(
    session: Session, number: Sender, phone: str, since: datetime, most: int
) -> Iterator[Entry]:
    newer = or_(Message.created_at >= since, Message.send_at >= since)
    query = select(Message).where(_went(number, phone), newer)
    found = session.scalars(query.order_by(Message.created_at.desc()).limit(most)).all()
    kinds = kinds_of(session, number.client_id, [url for one in found for url in one.media])
    for one in found:
        is_call = one.destination is Destination.VOICE
        yield Entry(
            EntryKind.CALL if is_call else EntryKind.OUT, one.id, gone_out(one), one.author,
            None if is_call else one.body, one.public_status,
            tuple(File(url, kinds.get(urls.media_code(url))) for url in one.media),
            message=one,
        )  # fmt: skip


def kinds_of(session: Session, client_id: str, media: list[str]) -> dict[str | None, str]:
    """Return the types of those files that we keep ourselves, by their codes."""
    codes = {code for url in media if (code := urls.media_code(url)) is not None}
    if not codes:
        return {}
    found = session.execute(
        select(Media.code, Media.content_type).where(
            Media.code.in_(codes), Media.client_id == client_id
        )
    )
    return {row.code: row.content_type for row in found}


def _notes(session: Session, talk: Conversation, since: datetime, most: int) -> Iterator[Entry]:
    query = select(ConversationNote).where(
        ConversationNote.conversation_id == talk.id, ConversationNote.at >= since
    )
    for one in session.scalars(query.order_by(ConversationNote.at.desc()).limit(most)):
        yield Entry(EntryKind.NOTE, one.id, one.at, one.author, one.text, None)
