"""Who is told of a voice message: the client's system by events, people by mail.

A system is told at once, and later of the words. A mail waits a little for the words, so that
mostly there is one; where they come later still, a second one brings them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.audience import contacts, mailboxes
from app.domain.conversations import record
from app.domain.relaying import events, outbox, receivers
from app.domain.relaying.events import Happening
from app.extensions import current_settings
from app.models.base import utcnow
from app.models.client import Client
from app.models.conversation import EntryKind
from app.models.delivery import EventType
from app.models.endpoint import Endpoint
from app.models.incoming import Incoming
from app.models.sender import Sender
from app.models.voicemail import TranscriptionState, Voicemail, VoicemailState

WORDS_WAIT = timedelta(minutes=5)
"""How long a mail waits for what was said to be written down."""
Data = Callable[[Session, Voicemail], dict[str, Any]]


def arrived(session: Session, voicemail: Voicemail) -> None:
    """Tell that a message is there, or that Twilio could not give it to us."""
    voicemail.told_at = utcnow()
    _keep_waiting(session, voicemail, waits=True)
    _tell_system(session, voicemail, EventType.VOICEMAIL_RECEIVED, _received)
    if voicemail.transcription_state is TranscriptionState.DONE:  # the words were there first
        _tell_system(session, voicemail, EventType.VOICEMAIL_TRANSCRIBED, _transcribed)
    mail(session, voicemail)


def mail(session: Session, voicemail: Voicemail) -> None:
    """Mail the message, once, unless its words are still worth waiting for."""
    since = voicemail.recorded_at or voicemail.created_at
    waits = (
        voicemail.state is VoicemailState.KEPT
        and voicemail.transcription_state is TranscriptionState.WANTED
        and utcnow() < since + WORDS_WAIT
    )
    if voicemail.mailed_at is None and voicemail.told_at is not None and not waits:
        voicemail.mailed_at = utcnow()
        _mail(session, voicemail, EventType.VOICEMAIL_RECEIVED)


def words_came(session: Session, voicemail: Voicemail) -> None:
    """Tell what was said, to all who have been told that a message is there.

    Where nobody could tell what was said, mails wait no longer.
    """
    done = voicemail.transcription_state is TranscriptionState.DONE
    if done and voicemail.told_at is not None:
        _keep_waiting(session, voicemail, waits=False)
        _tell_system(session, voicemail, EventType.VOICEMAIL_TRANSCRIBED, _transcribed)
    if voicemail.mailed_at is None:
        mail(session, voicemail)
    elif done:
        _mail(session, voicemail, EventType.VOICEMAIL_TRANSCRIBED)


def url(voicemail: Voicemail) -> str | None:
    """Return the address of the sound, which nobody can guess; None where there is none."""
    if voicemail.media_code is None:
        return None
    return f"{current_settings().public_base_url}/media/{voicemail.media_code}"


def _keep_waiting(session: Session, voicemail: Voicemail, *, waits: bool) -> None:
    """Move the conversation on: a voice message is a word of theirs that waits for an answer.

    It is heard of a little later than it was said, so that it may have been answered since.
    """
    call = session.get_one(Incoming, voicemail.incoming_id)
    if not record.is_phone(call.from_):
        return
    connection = session.connection()
    record.take_turn(connection, call.sender_id, call.from_)
    values = record.heard(
        voicemail.client_id, call.sender_id, call.from_, EntryKind.VOICEMAIL,
        voicemail.recorded_at or voicemail.created_at, voicemail.transcription,
        waits=waits, late=True,
    )  # fmt: skip
    connection.execute(record.heard_on(connection.dialect.name), values)


def _received(session: Session, voicemail: Voicemail) -> dict[str, Any]:
    call = session.get_one(Incoming, voicemail.incoming_id)
    number = session.get_one(Sender, call.sender_id)
    contact = contacts.find(session, voicemail.client_id, call.from_, number)
    return {
        "id": voicemail.id,
        "client": session.get_one(Client, voicemail.client_id).name,
        "callSid": call.sid,
        "from": call.from_,
        "to": call.to,
        "member": contact.member if contact else None,
        "url": url(voicemail),
        "durationSeconds": voicemail.duration,
        "receivedAt": events.instant(voicemail.recorded_at or voicemail.created_at),
        "path": list(voicemail.path),
    }


def _transcribed(_session: Session, voicemail: Voicemail) -> dict[str, Any]:
    return {
        "id": voicemail.id,
        "text": voicemail.transcription,
        "language": voicemail.language,
    }


def _tell_system(session: Session, voicemail: Voicemail, type: EventType, data: Data) -> None:
    """Tell the client's system, where one was chosen and is still there."""
    chosen = select(Endpoint.id).where(
        Endpoint.id == voicemail.endpoint_id, Endpoint.client_id == voicemail.client_id
    )
    if voicemail.endpoint_id is not None and session.scalar(chosen) is not None:
        told = data(session, voicemail)
        _tell(session, voicemail, voicemail.endpoint_id, type, told, {})


def _mail(session: Session, voicemail: Voicemail, type: EventType) -> None:
    """Mail the members of the population that was chosen, as it is now."""
    if voicemail.population_id is None:
        return
    addresses = mailboxes.of_population(session, voicemail.population_id)
    client = session.get_one(Client, voicemail.client_id)
    data = _received(session, voicemail)
    more = {
        "client": client.name,
        "timeZone": client.time_zone,
        "incoming": voicemail.incoming_id,
        "voicemail": voicemail.id,
        "text": voicemail.transcription,
        "error": voicemail.error if voicemail.state is VoicemailState.LOST else None,
    }
    # In one order, as they are locked: two messages to the same new addresses never deadlock.
    for address in sorted(addresses[: mailboxes.MAX_RECEIVERS], key=str.lower):
        endpoint = receivers.email(session, voicemail.client_id, address)
        _tell(session, voicemail, endpoint.id, type, data, more)


def _tell(
    session: Session,
    voicemail: Voicemail,
    endpoint_id: str,
    type: EventType,
    data: dict[str, Any],
    more: dict[str, Any],
) -> None:
    happening = type.value.partition(".")[2]
    outbox.tell(
        session,
        Happening(
            endpoint_id,
            type,
            data,
            client_id=voicemail.client_id,
            occurred_at=utcnow(),
            dedupe_key=f"twilio:{voicemail.recording_sid}:{happening}",
            incoming_id=voicemail.incoming_id,
            context=more,
        ),
    )
