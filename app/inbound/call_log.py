"""A call in the log, found again when Twilio tells how it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, literal, null, select

from app.models.base import UtcDateTime, table, utcnow
from app.models.credential import SIGNING, Credential, signing_keys
from app.models.incoming import Incoming
from app.models.route import Destination
from app.models.sender import Sender

_incoming = table(Incoming)
_number = table(Sender)
_credential = table(Credential)


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """A call in the log, with what a later request about it has to match."""

    id: str
    sid: str
    from_: str
    to: str
    dial_status: str | None
    account_sid: str
    tokens: tuple[str, ...]
    later: dict[str, Any] | None
    """What was kept of its route when it was answered."""


SETTLED = timedelta(seconds=20)
"""How long after a call what Twilio tells of the phones that rang may come."""


def texted_at() -> ColumnElement[datetime | None]:
    """Return when a caller whose call ends now is to be texted; null where they are not."""
    at = literal(utcnow() + SETTLED, UtcDateTime())
    return case((Incoming.text_back_id.is_not(None), at), else_=null())


_LOGGED_CALL = (
    select(
        _incoming.c.id,
        _incoming.c.sid,
        _incoming.c["from"].label("from_"),
        _incoming.c.to,
        _incoming.c.dial_status,
        _credential.c.account_sid,
        *(_credential.c[name] for name in SIGNING),
        _incoming.c.later,
    )
    .select_from(
        _incoming.join(_number, _number.c.id == _incoming.c.sender_id).join(
            _credential, _credential.c.id == _number.c.credential_id
        )
    )
    .where(_incoming.c.destination == Destination.VOICE)
)


def logged_call(connection: Connection, *, id: str = "", sid: str = "") -> LoggedCall | None:
    """Return the incoming call with this ``id`` or ``sid``."""
    wanted = _incoming.c.id == id if id else _incoming.c.sid == sid
    row = connection.execute(_LOGGED_CALL.where(wanted)).first()
    if row is None:
        return None
    return LoggedCall(
        row.id,
        row.sid,
        row.from_,
        row.to,
        row.dial_status,
        row.account_sid,
        signing_keys(row),
        row.later,
    )
