"""Everything that is known of a person, as one document."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, cast, exists, select
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.audience import names, suppression_lists
from app.domain.audience.members import stored_key
from app.domain.phone_spellings import spellings, texted
from app.domain.relaying.events import instant
from app.models.audience import Member, Population, phone_key
from app.models.base import utcnow
from app.models.batch import Batch, BatchMember, BatchTaking
from app.models.client import Client
from app.models.conversation import Conversation, ConversationNote
from app.models.delivery import Delivery
from app.models.incoming import Incoming
from app.models.last_contact import LastContact
from app.models.line_type import LineType
from app.models.link import Click, Link
from app.models.message import Message
from app.models.run import DatedSend
from app.models.sender import Sender
from app.models.voicemail import Voicemail

Known = dict[str, Any]


def export(session: Session, client: Client, phone: str, by: str) -> Known | None:
    """Return all that a client knows of a person, and note that it was given out.

    Values are plain JSON. None where nothing is known.

    :param phone: E.164, or as it stands in the log.
    """
    incoming = texts_of(session, client, phone)
    messages = messages_to(session, client, phone)
    found: Known = {
        "name": names.of(session, client.id, [phone]).get(phone),
        "lists": [
            {"list": population.name, "attributes": member.attributes}
            for population, member in members(session, client.id, phone)
        ],
        "lineType": _line_type(session, client, phone),
        "optOuts": _opt_outs(session, client, phone),
        "conversations": _conversations(session, client, phone),
        "received": [_received(one) for one in incoming],
        "sent": [_sent(one) for one in messages],
        "voiceMessages": _voice_messages(session, [one.id for one in incoming]),
        "links": _links(session, [one.id for one in messages]),
        "lastTexts": _last_texts(session, client, phone),
        "datesTold": _dates(session, client, phone),
        "waitingInBatches": [one.attributes for one in batch_members(session, client, phone)],
        "told": _told(session, client, phone, [one.id for one in incoming + messages]),
    }
    if not any(found.values()):
        return None
    audit.record(session, by, "export", f"person {phone}", client.id)
    return {"client": client.name, "phone": phone, "at": instant(utcnow()), **found}


def texts_of(session: Session, client: Client, phone: str) -> list[Incoming]:
    """Return the texts and calls of a person, oldest first."""
    own = select(Incoming).where(
        Incoming.client_id == client.id, Incoming.from_.in_(spellings(phone))
    )
    return list(session.scalars(own.order_by(Incoming.received_at)))


def messages_to(session: Session, client: Client, phone: str) -> list[Message]:
    """Return the texts and calls to a person, oldest first."""
    own = select(Message).where(Message.client_id == client.id, Message.to.in_(spellings(phone)))
    return list(session.scalars(own.order_by(Message.created_at)))


def anything(session: Session, client_id: str, phone: str, before: datetime) -> bool:
    """Tell whether a client knows anything of a person that is not newer than ``before``."""
    phones, client = spellings(phone), session.get_one(Client, client_id)
    talks = select(Conversation.id).where(
        Conversation.client_id == client_id, Conversation.phone.in_(phones)
    )
    noted = exists().where(ConversationNote.conversation_id == Conversation.id)
    queries = (
        select(Incoming.id).where(
            Incoming.client_id == client_id, Incoming.from_.in_(phones),
            Incoming.received_at <= before,
        ),
        select(Message.id).where(
            Message.client_id == client_id, Message.to.in_(phones), Message.created_at <= before
        ),
        talks.where(Conversation.last_at <= before, ~noted),
        select(ConversationNote.id).where(
            ConversationNote.conversation_id.in_(talks), ConversationNote.at <= before
        ),
        select(DatedSend.phone).where(
            DatedSend.client_id == client_id, DatedSend.phone.in_(phones),
            DatedSend.created_at <= before,
        ),
        select(LineType.phone).where(
            LineType.client_id == client_id, LineType.phone.in_(phones),
            LineType.asked_at <= before,
        ),
        select(LastContact.phone).where(
            LastContact.client_id == client_id, LastContact.phone.in_(phones),
            LastContact.sent_at <= before,
        ),
    )  # fmt: skip
    return (
        any(session.scalar(query.limit(1)) is not None for query in queries)
        or bool(members(session, client_id, phone))
        or any(batch_members(session, client, one) for one in phones)
        or bool(to_be_taken(session, client, phone))
        or any(
            told.created_at <= before
            for one in phones
            for told in deliveries_about(session, client, one, [])
        )
    )


def members(session: Session, client_id: str, phone: str) -> list[tuple[Population, Member]]:
    """Return where a person stands in the client's lists, however the phone is written there."""
    rows = session.execute(
        select(Population, Member)
        .join(Member, Member.roll == Population.roll)
        .where(Population.client_id == client_id, Member.phone_key == phone_key(phone))
        .order_by(Population.name, Member.id)
    )
    found = [(row[0], row[1]) for row in rows]
    return [one for one in found if is_of(one[1].attributes, phone)]


def to_be_taken(session: Session, client: Client, phone: str) -> list[Member]:
    """Return who is still to be taken over by a batch, of a list that was exchanged since."""
    theirs = select(BatchTaking.roll).join(Batch, Batch.id == BatchTaking.batch_id)
    rows = session.scalars(
        select(Member).where(
            Member.phone_key == phone_key(phone),
            Member.roll.in_(theirs.where(Batch.client_id == client.id)),
        )
    )
    return [one for one in rows if is_of(one.attributes, phone)]


def batch_members(session: Session, client: Client, phone: str) -> list[BatchMember]:
    """Return those of batches that have no message: to be prepared, or refused at the start."""
    rows = session.scalars(
        select(BatchMember)
        .join(Batch, Batch.id == BatchMember.batch_id)
        .where(Batch.client_id == client.id, _names(BatchMember.attributes, phone[-4:]))
    )
    return [one for one in rows if is_of(one.attributes, phone)]


def is_of(attributes: dict[str, Any], phone: str) -> bool:
    """Tell whether a member's attributes have this phone, however it is written."""
    key = stored_key(attributes)
    return key is not None and key[1] == texted(phone)


def deliveries_about(
    session: Session, client: Client, phone: str, ids: Sequence[str]
) -> list[Delivery]:
    """Return what systems and mailboxes are told of a person: of these texts, or by their phone."""
    own = select(Delivery).where(Delivery.client_id == client.id)
    found: dict[str, Delivery] = {}
    for first in range(0, len(ids), 500):
        some = ids[first : first + 500]
        for column in (Delivery.incoming_id, Delivery.message_id):
            found |= {one.id: one for one in session.scalars(own.where(column.in_(some)))}
    unbound = own.where(
        Delivery.incoming_id.is_(None), Delivery.message_id.is_(None),
        Delivery.body.contains(f'"{phone}"', autoescape=True),
    )  # fmt: skip
    found |= {one.id: one for one in session.scalars(unbound)}
    return sorted(found.values(), key=lambda one: one.created_at)


def _names(column: ColumnElement[Any] | Any, part: str) -> ColumnElement[bool]:
    return cast(column, String).contains(part, autoescape=True)


def _line_type(session: Session, client: Client, phone: str) -> str | None:
    """Return what kind of line Twilio Lookup has told that it is."""
    known = select(LineType.type).where(
        LineType.client_id == client.id, LineType.phone.in_(spellings(phone))
    )
    return session.scalars(known).first()


def _opt_outs(session: Session, client: Client, phone: str) -> list[Known]:
    return [
        {
            "list": found.name,
            "scope": entry.scope,
            "source": entry.source.value,
            "since": instant(entry.since),
            "liftedAt": instant(entry.lifted_at) if entry.lifted_at else None,
        }
        for found, entry in suppression_lists.entries_of(session, client.id, phone)
    ]


def _conversations(session: Session, client: Client, phone: str) -> list[Known]:
    rows = session.execute(
        select(Conversation, Sender.address)
        .join(Sender, Sender.id == Conversation.sender_id)
        .where(Conversation.client_id == client.id, Conversation.phone.in_(spellings(phone)))
    ).all()
    notes = session.scalars(
        select(ConversationNote)
        .where(ConversationNote.conversation_id.in_([talk.id for talk, _ in rows]))
        .order_by(ConversationNote.at)
    ).all()
    return [
        {
            "number": number,
            "state": talk.state.value,
            "lastAt": instant(talk.last_at),
            "notes": [
                {"at": instant(one.at), "by": one.author, "text": one.text}
                for one in notes
                if one.conversation_id == talk.id
            ],
        }
        for talk, number in rows
    ]


def _received(one: Incoming) -> Known:
    return {
        "kind": one.destination.value,
        "sid": one.sid,
        "at": instant(one.received_at),
        "to": one.to,
        "text": one.body,
        "media": one.media,
        "reaction": one.reaction,
        "keysPressed": one.path,
        "outcome": one.outcome.value,
    }


def _sent(one: Message) -> Known:
    return {
        "kind": one.destination.value,
        "sid": one.sid,
        "at": instant(one.sent_at or one.created_at),
        "from": one.from_,
        "by": one.author,
        "text": one.body,
        "media": one.media,
        "member": one.member,
        "status": one.public_status,
        "answeredBy": one.answered_by,
        "keysPressed": one.digits,
        "said": one.speech,
        "recording": one.recording_url,
    }


def _voice_messages(session: Session, ids: list[str]) -> list[Known]:
    rows = session.scalars(select(Voicemail).where(Voicemail.incoming_id.in_(ids)))
    return [
        {
            "at": instant(one.recorded_at or one.created_at),
            "text": one.transcription,
            "sound": one.media_code,
        }
        for one in rows
    ]


def _links(session: Session, ids: list[str]) -> list[Known]:
    links = session.scalars(select(Link).where(Link.message_id.in_(ids))).all()
    clicks = session.scalars(
        select(Click).where(Click.code.in_([one.code for one in links])).order_by(Click.id)
    ).all()
    return [
        {
            "url": link.url,
            "opened": [instant(one.at) for one in clicks if one.code == link.code],
        }
        for link in links
    ]


def _last_texts(session: Session, client: Client, phone: str) -> list[Known]:
    rows = session.scalars(
        select(LastContact).where(
            LastContact.client_id == client.id, LastContact.phone.in_(spellings(phone))
        )
    )
    return [
        {"at": instant(one.sent_at), "text": one.body, "member": one.member, "sid": one.sid}
        for one in rows
    ]


def _dates(session: Session, client: Client, phone: str) -> list[Known]:
    """Return of which of their dates they were reminded."""
    rows = session.scalars(
        select(DatedSend)
        .where(DatedSend.client_id == client.id, DatedSend.phone.in_(spellings(phone)))
        .order_by(DatedSend.date)
    )
    return [{"date": one.date.isoformat(), "communication": one.communication_id} for one in rows]


def _told(session: Session, client: Client, phone: str, ids: list[str]) -> list[Known]:
    return [
        {"type": one.type.value, "at": instant(one.created_at), "state": one.state.value}
        for one in deliveries_about(session, client, phone, ids)
    ]
