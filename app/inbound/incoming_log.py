"""The log of what comes in: what it says of a phone and a number, and what is added to it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, bindparam, exists, func, insert, or_, select, text
from sqlalchemy.orm import Session
from werkzeug.exceptions import Forbidden

from app.domain import clocks
from app.domain.clients import spending
from app.domain.clients.spending import Amount
from app.domain.conversations import record
from app.domain.sending import allowance, lanes, statuses
from app.inbound import together
from app.inbound.answers import Answer, History, Reply
from app.inbound.number import Number
from app.inbound.parsing import Arrival
from app.inbound.together import Besides
from app.models.base import table, utcnow
from app.models.conversation import EntryKind
from app.models.credential import Credential
from app.models.incoming import Incoming, OptOut
from app.models.media import Media, MediaSource
from app.models.message import Direction, Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender
from app.models.suppression import (
    SCOPE_ALL,
    SuppressionEntry,
    SuppressionList,
    SuppressionReason,
)

WINDOW = timedelta(hours=1)
"""How far back replies are counted."""

_incoming = table(Incoming)
_message = table(Message)
_media = table(Media)
_entry = table(SuppressionEntry)
_list = table(SuppressionList)
# Written out, not bound: the planner has to see that the partial index fits.
_UNREACHABLE = text(
    "suppression_entry.reason = 'unreachable' AND suppression_entry.lifted_at IS NULL"
)


def begin(session: Session, arrival: Arrival, number: Number) -> History:
    """Take the turn for this phone and number, and look back; exact until the transaction ends.

    :raises Forbidden: when the SID is in the log under another number.
    """
    connection = session.connection()
    record.take_turn(connection, number.id, arrival.from_)
    past = look_back(connection, arrival, number)
    if past.sender_id not in (None, number.id):
        raise Forbidden("This SID belongs to a text or call to another number.")
    return past


def look_back(connection: Connection, arrival: Arrival, number: Number) -> History:
    """Look back, in one statement; exact until the transaction ends if the turn was taken."""
    row = connection.execute(
        _HISTORY,
        {
            "sid": arrival.sid,
            "number_id": number.id,
            "phone": arrival.from_,
            "after": arrival.received_at - WINDOW,
            "before": utcnow() + clocks.MOST_APART,
            "list_id": number.suppression_list_id,
            "service_id": number.service_id,
            "client_id": number.client.id,
        },
    ).one()
    return History(
        row.sender_id, row.answer, row.replies, row.messages, bool(row.suppressed),
        bool(row.unreachable),
    )  # fmt: skip


def store(
    session: Session,
    incoming_id: str,
    arrival: Arrival,
    number: Number,
    answer: Answer,
    media_codes: tuple[str, ...] = (),
    opt_out: OptOut | None = None,
    reaction: dict[str, object] | None = None,
) -> None:
    """Write the row of the text or call, before it that of its reply, and its media.

    :raises sqlalchemy.exc.IntegrityError: when the SID is in the log already.
    """
    connection, now = session.connection(), utcnow()
    came = _incoming_row(incoming_id, arrival, number, answer, media_codes, now)
    rows = [(_incoming, {**came, "opt_out": opt_out, "reaction": reaction})]
    if answer.reply:
        reply = _reply_row(arrival, number, answer.reply, now)
        if arrival.recovered:
            reply |= _to_be_sent(session, number, now)
        rows.insert(0, (_message, reply))
    besides = _spent(number, answer, now) + _heard(connection, arrival, number, opt_out, reaction)
    together.write(connection, rows, besides)
    if media_codes:
        connection.execute(insert(_media), _media_rows(incoming_id, arrival, number, media_codes))


def _spent(number: Number, answer: Answer, now: datetime) -> list[Besides]:
    amount = Amount(max(answer.reply.segments, 1) if answer.reply else 0, answer.call_minutes)
    if amount == Amount():
        return []
    spent = spending.added(number.client.id, number.id, amount, now)
    return [Besides(spending.ADD, spending.PARAMETERS, spent)]


def _heard(
    connection: Connection,
    arrival: Arrival,
    number: Number,
    opt_out: OptOut | None,
    reaction: dict[str, object] | None,
) -> list[Besides]:
    """Move the conversation on: a text waits for an answer; reactions and keywords wait for none.

    A call is answered as it comes. Whoever hides their phone has no conversation.
    """
    is_text = arrival.destination is Destination.SMS
    if not is_text and not record.is_phone(arrival.from_):
        return []
    spoken = EntryKind.REACTION if reaction else EntryKind.IN
    values = record.heard(
        number.client.id,
        number.id,
        arrival.from_,
        spoken if is_text else EntryKind.CALL,
        arrival.received_at,
        arrival.body if is_text else None,
        waits=is_text and reaction is None and opt_out is None,
        late=arrival.recovered,
    )
    return [Besides(record.heard_on(connection.dialect.name), record.PARAMETERS, values)]


def _incoming_row(
    incoming_id: str,
    arrival: Arrival,
    number: Number,
    answer: Answer,
    codes: tuple[str, ...],
    now: datetime,
) -> dict[str, Any]:
    return {
        "id": incoming_id,
        "client_id": number.client.id,
        "destination": arrival.destination,
        "sid": arrival.sid,
        "sender_id": number.id,
        "from": arrival.from_,
        "to": arrival.to,
        "body": arrival.body if arrival.destination is Destination.SMS else None,
        "media": [
            {"url": item.url, "contentType": item.content_type, "code": code}
            for item, code in zip(arrival.media, codes, strict=True)
        ],
        "segments": arrival.segments,
        "channel": arrival.text_channel,
        "parameters": arrival.details,
        "received_at": arrival.received_at,
        "recovered": arrival.recovered,
        "handler": number.route.handler if number.route else None,
        "flagged": answer.flagged,
        "outcome": answer.outcome,
        "error": answer.error[:500] if answer.error else None,
        "answer": answer.twiml,
        "reply_id": answer.reply.message_id if answer.reply else None,
        "call_status": arrival.call_status,
        "later": answer.later,
        "text_back_id": answer.text_back,
        "flow": answer.flow,
        "steps": {} if answer.flow else None,
        "path": [] if answer.flow else None,
        "updated_at": now,
    }


def _reply_row(arrival: Arrival, number: Number, reply: Reply, now: datetime) -> dict[str, Any]:
    return {
        "id": reply.message_id,
        "client_id": number.client.id,
        "destination": Destination.SMS,
        "direction": Direction.REPLY,
        "sender_id": number.id,
        "credential_id": number.credential_id,
        "to": arrival.from_,
        "from": arrival.to,
        "body": reply.body,
        "media": list(reply.media),
        "member": reply.member,
        "segments": reply.segments,
        "options": {},
        "template_version_id": reply.template_version_id,
        "suppression_list_id": number.suppression_list_id,
        "state": MessageState.ACCEPTED,
        "accepted_at": now,
        "check_at": now + statuses.REPLY_UNHEARD_OF,
        "created_at": now,
        "updated_at": now,
    }


def _to_be_sent(session: Session, number: Number, now: datetime) -> dict[str, Any]:
    """Put a reply into its number's lane: the text's webhook, which it would answer, is over."""
    sender = session.get_one(Sender, number.id)
    credential = session.get_one(Credential, number.credential_id)
    return {
        "state": MessageState.WAITING,
        "accepted_at": None,
        "check_at": None,
        "lane_key": lanes.ensure_lane(session, sender, Destination.SMS, credential),
        "due_at": now,
    }


def _media_rows(
    incoming_id: str, arrival: Arrival, number: Number, codes: tuple[str, ...]
) -> list[dict[str, Any]]:
    expires = arrival.received_at + timedelta(days=number.client.retention_days)
    return [
        {
            "code": code,
            "client_id": number.client.id,
            "source": MediaSource.TWILIO,
            "content_type": item.content_type,
            "twilio_url": item.url,
            "credential_id": number.credential_id,
            "incoming_id": incoming_id,
            "expires_at": expires,
        }
        for code, item in zip(codes, arrival.media, strict=True)
    ]


def _history_statement() -> Select[Any]:
    same = _incoming.c.sid == bindparam("sid")
    replies = select(func.count()).where(
        _message.c.sender_id == bindparam("number_id"),
        _message.c.to == bindparam("phone"),
        _message.c.created_at > bindparam("after"),
        _message.c.created_at < bindparam("before"),  # nothing that a wrong clock has stamped
        _message.c.direction == Direction.REPLY,
    )
    messages = select(func.count()).where(
        allowance.to_phone([bindparam("client_id")], [bindparam("phone")]),
        allowance.within_an_hour(bindparam("after"), bindparam("before")),
    )
    opted_out = exists().where(
        _entry.c.reason == SuppressionReason.OPTED_OUT,
        _entry.c.phone == bindparam("phone"),
        or_(
            _entry.c.scope == bindparam("number_id"),
            _entry.c.scope == bindparam("service_id"),
            _entry.c.scope == SCOPE_ALL,
        ),
        _entry.c.lifted_at.is_(None),
    )
    # Two halves, each with its own index, rather than an OR for which SQLite has none.
    of_list, binding = opted_out.where(_entry.c.list_id == bindparam("list_id")), _entry.c.binding
    listed = or_(of_list, opted_out.where(binding))
    lists = select(_list.c.id).where(_list.c.client_id == bindparam("client_id"))
    unreachable = exists().where(
        _entry.c.phone == bindparam("phone"), _UNREACHABLE, _entry.c.list_id.in_(lists)
    )
    return select(
        select(_incoming.c.sender_id).where(same).scalar_subquery().label("sender_id"),
        select(_incoming.c.answer).where(same).scalar_subquery().label("answer"),
        replies.scalar_subquery().label("replies"),
        messages.scalar_subquery().label("messages"),
        listed.label("suppressed"),
        unreachable.label("unreachable"),
    )


_HISTORY = _history_statement()
