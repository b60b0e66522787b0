"""Whose number is it, and what does it do? One statement per request answers everything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog
from cryptography.fernet import InvalidToken
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Join,
    LargeBinary,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    type_coerce,
)

from app.inbound import by_hours
from app.inbound.number import (
    LIMITS,
    TEMPLATE,
    CallFacts,
    Number,
    RouteFacts,
    number_of,
    with_template,
)
from app.models.base import decrypted, table
from app.models.client import Client
from app.models.credential import SIGNING, Credential
from app.models.incoming import Incoming
from app.models.media import Recording
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender, SenderKind

log = structlog.get_logger(__name__)


_incoming = table(Incoming)
_number = table(Sender).alias("number")
_service = table(Sender).alias("service")
_credential = table(Credential)
_client = table(Client)
_route = table(Route)
_recording = table(Recording)
_other = table(Sender).alias("other")
_others = table(Credential).alias("others")

_OF_NUMBER: list[ColumnElement[Any]] = [
    _number.c.id.label("number_id"),
    _number.c.address,
    _number.c.type,
    _number.c.suppression_list_id.label("number_list"),
    _credential.c.id.label("credential_id"),
    _credential.c.account_sid,
    *(_credential.c[name] for name in SIGNING),
    _client.c.id.label("client_id"),
    _client.c.name,
    _client.c.owner_email,
    _client.c.twilio_enabled,
    _client.c.halted_at,
    _client.c.international,
    _client.c.trial,
    _client.c.allow_list,
    _client.c.retention_days,
    *(_client.c[name] for name in LIMITS),
    _credential.c.name.label("credential_name"),
    _credential.c.trial.label("credential_trial"),
    or_(_number.c.stopped_at.is_not(None), _credential.c.stopped_at.is_not(None)).label("stopped"),
    func.coalesce(_number.c.stopped_reason, _credential.c.stopped_reason).label("stopped_reason"),
    _number.c.name.label("number_name"),
    _client.c.languages,
    _client.c.opt_words,
]
"""What :func:`app.inbound.number.number_of` wants to know."""
_COLUMNS: list[ColumnElement[Any]] = [
    *_OF_NUMBER,
    _route.c.id.label("route_id"),
    _route.c.sender_id.label("route_sender"),
    _route.c.handler,
    _route.c.url,
    _route.c.options,
    _route.c.endpoint_id,
    _route.c.population_id,
    _route.c.text_back_id,
]


def _owner(joined: FromClause) -> Join:
    return joined.join(_credential, _credential.c.id == _number.c.credential_id).join(
        _client, _client.c.id == _number.c.client_id
    )


def _from_is_ours(phone: ColumnElement[str]) -> ColumnElement[bool]:
    return (
        exists()
        .where(
            _other.c.address == phone,
            _other.c.kind == SenderKind.TWILIO,
            _other.c.credential_id == _others.c.id,
            _others.c.unconfirmed_since.is_(None),
        )
        .label("from_is_ours")
    )


def _text_statement() -> Select[Any]:
    named = and_(
        _service.c.address == bindparam("service_sid"),
        _service.c.client_id == _number.c.client_id,
        _service.c.id != _number.c.id,
    )
    joined = (
        _owner(_number)
        .outerjoin(_service, or_(_service.c.id == _number.c.service_id, named))
        .outerjoin(
            _route,
            and_(
                _route.c.destination == Destination.SMS,
                _route.c.parent_id.is_(None),
                or_(_route.c.sender_id == _number.c.id, _route.c.sender_id == _service.c.id),
            ),
        )
    )
    return (
        select(
            *_COLUMNS,
            _service.c.id.label("service_id"),
            _service.c.address.label("service_address"),
            _service.c.suppression_list_id.label("service_list"),
            *TEMPLATE,
            _from_is_ours(bindparam("from_")),
        )
        .select_from(with_template(joined, _route))
        .where(_number.c.address == bindparam("address"))
    )


def _call_statement() -> Select[Any]:
    joined = (
        _owner(_number)
        .outerjoin(
            _route,
            and_(
                _route.c.destination == Destination.VOICE,
                _route.c.parent_id.is_(None),
                _route.c.sender_id == _number.c.id,
            ),
        )
        .outerjoin(_recording, _recording.c.id == _route.c.recording_id)
    )
    return (
        select(*_COLUMNS, _recording.c.media_code, _from_is_ours(bindparam("from_")))
        .select_from(joined)
        .where(_number.c.address == bindparam("address"))
    )


def _step_statement() -> Select[Any]:
    return (
        select(
            *_OF_NUMBER,
            _incoming.c.id.label("incoming_id"), _incoming.c.sid,
            _incoming.c["from"].label("from_"),
            _incoming.c.to, _from_is_ours(_incoming.c["from"]),
        )
        .select_from(_owner(_incoming.join(_number, _number.c.id == _incoming.c.sender_id)))
        .where(_incoming.c.destination == Destination.VOICE, _incoming.c.id == bindparam("id"))
    )  # fmt: skip


_OF_ACCOUNT = select(
    type_coerce(Credential.auth_token, LargeBinary),
    type_coerce(Credential.next_auth_token, LargeBinary),
).where(Credential.account_sid == bindparam("account_sid"), Credential.unconfirmed_since.is_(None))
_TEXT = _text_statement()
_CALL = _call_statement()
_STEP = _step_statement()


def for_text(
    connection: Connection,
    to: str,
    from_: str,
    service_sid: str | None,
    word: str,
    at: datetime | None = None,
) -> Number | None:
    """Return the number ``to``, or the messaging service named, with its route for texts.

    A number inside a messaging service answers by the service's route when Twilio names the
    service and the service has one; otherwise by its own. ``word`` selects a keyword rule: the text
    as `app.domain.keywords.read` reads it. Where office hours decide, it is the route that applies
    ``at`` the time given, or now.
    """
    word = word[:100]
    values = {"service_sid": service_sid, "from_": from_, "word": word}
    for address in (to, service_sid):
        if address:
            rows = connection.execute(_TEXT, {**values, "address": address}).all()
            if rows:
                return _led(connection, _text_number(rows, service_sid), word, at)
    return None


def for_call(
    connection: Connection, to: str, from_: str, at: datetime | None = None
) -> Number | None:
    """Return the number ``to`` with the route for calls that applies ``at`` that time, or now."""
    row = connection.execute(_CALL, {"address": to, "from_": from_}).first()
    if row is None:
        return None
    route = RouteFacts.of(row, recording_code=row.media_code) if row.route_id else None
    return _led(connection, number_of(row, route, None, None), "", at)


def for_step(connection: Connection, incoming_id: str) -> tuple[CallFacts, Number] | None:
    """Return the incoming call of this id and the number that was called.

    The number is without its route: the call goes on by the one that was kept with it.
    """
    row = connection.execute(_STEP, {"id": incoming_id}).first()
    if row is None:
        return None
    return CallFacts(row.incoming_id, row.sid, row.from_, row.to), number_of(row, None, None, None)


def tokens_of_account(connection: Connection, account_sid: str) -> tuple[str, ...]:
    """Return every auth token that may sign for an account; several credentials may share it.

    Only what Twilio has confirmed counts: anybody can write down an account's SID.
    """
    rows = connection.execute(_OF_ACCOUNT, {"account_sid": account_sid}).all()
    return tuple(token for row in rows for token in _readable(*row))


def _readable(*stored: bytes | None) -> tuple[str, ...]:
    """Return the tokens that can be decrypted: another client's must not be in the way of these."""
    try:
        return tuple(decrypted(one) for one in stored if one)
    except InvalidToken:
        log.warning("the auth token of a credential cannot be decrypted")
        return ()


def _led(connection: Connection, number: Number, word: str, at: datetime | None) -> Number:
    """Return a number with the route that its office hours lead to, where it has any."""
    if number.route is None or number.route.handler is not Handler.HOURS:
        return number
    return by_hours.followed(connection, number, word, at)


def _text_number(rows: Sequence[Row[Any]], service_sid: str | None) -> Number:
    """Choose among the rows: the number's own route and its service's, if both have one."""
    named = [row for row in rows if service_sid and row.service_address == service_sid]
    candidates = named or rows
    by_owner = {row.route_sender: row for row in candidates if row.route_id}
    first = candidates[0]
    row = (by_owner.get(first.service_id) if named else None) or by_owner.get(first.number_id)
    route = RouteFacts.answering(row) if row is not None else None
    return number_of(first, route, first.service_id, first.service_list)
