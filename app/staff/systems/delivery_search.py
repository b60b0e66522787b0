"""Finding deliveries by whom they are about: the phone of the text or call that they tell of."""

from __future__ import annotations

from collections.abc import Sequence

from flask import g, request
from sqlalchemy import ColumnElement, CompoundSelect, Select, exists, or_, select, union_all
from sqlalchemy.orm import Session

from app.models.delivery import Delivery
from app.models.incoming import Incoming
from app.models.message import Message

SEARCH_LENGTH = 100


def asked() -> str:
    """Return what the address searches for."""
    return request.args.get("q", "").strip()[:SEARCH_LENGTH]


def fitting(
    query: Select[Delivery], wanted: str
) -> tuple[Select[Delivery], list[ColumnElement[bool]]]:
    """Narrow deliveries to a phone, an event's id or words of an error.

    :returns: what indexes find, and conditions for which there is no index.
    """
    if not wanted:
        return query, []
    if wanted.startswith("msg_"):
        return query.where(Delivery.event_id == wanted), []
    digits = "".join(filter(str.isdecimal, wanted))
    if 10 <= len(digits) <= 15:
        return query.where(Delivery.id.in_(_about(digits))), []
    words = Delivery.last_error.icontains(wanted, autoescape=True)
    if len(digits) < 3:
        return query, [words]
    came = Incoming.from_.contains(digits, autoescape=True)
    went = Message.to.contains(digits, autoescape=True)
    return query, [
        or_(
            words,
            exists().where(Incoming.id == Delivery.incoming_id, came),
            exists().where(Message.id == Delivery.message_id, went),
        )
    ]


def _about(digits: str) -> CompoundSelect[str]:
    """Return the ids of what was told of texts and calls from and to a whole phone number."""
    phones = (f"+{digits}", f"+1{digits}")
    came = select(Incoming.id).where(Incoming.client_id == g.client.id, Incoming.from_.in_(phones))
    went = select(Message.id).where(Message.client_id == g.client.id, Message.to.in_(phones))
    return union_all(
        select(Delivery.id).where(Delivery.incoming_id.in_(came)),
        select(Delivery.id).where(Delivery.message_id.in_(went)),
    )


def phones(session: Session, rows: Sequence[Delivery]) -> dict[str, str]:
    """Return whose phone each of these deliveries is about, by its id, where it is about one."""
    came = {one.incoming_id for one in rows if one.incoming_id}
    went = {one.message_id for one in rows if one.message_id}
    found: dict[str | None, str] = {}
    if came:
        named = select(Incoming.id, Incoming.from_).where(Incoming.id.in_(came))
        found |= {row[0]: row[1] for row in session.execute(named)}
    if went:
        named = select(Message.id, Message.to).where(Message.id.in_(went))
        found |= {row[0]: row[1] for row in session.execute(named)}
    about = {one.id: found.get(one.incoming_id or one.message_id) for one in rows}
    return {id_: phone for id_, phone in about.items() if phone}
