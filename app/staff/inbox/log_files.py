"""What came in and what went out, as files: as it is filtered on the page, and by days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flask import Response, g
from sqlalchemy import select

from app.domain.audience import names
from app.extensions import db
from app.models.incoming import Incoming
from app.models.message import Message
from app.models.route import Destination
from app.staff import downloads, words
from app.staff.access import client_blueprint
from app.staff.inbox import incoming
from app.staff.sending.messages import explanation

RECEIVED = ("At", "From", "Name", "To", "Kind", "Text", "Attached", "What was done")
SENT = ("At", "To", "Name", "From", "Kind", "Text", "Segments", "State", "Why", "By")
_KINDS = {Destination.SMS: "text", Destination.VOICE: "call"}


@client_blueprint.get(f"/inbox.{downloads.FILE}")
def inbox_file(ending: str) -> Response:
    """Hand out the texts and calls that came in, oldest first."""
    query, filters = incoming.fitting(*incoming.asked())
    query = query.where(*filters, *downloads.between(Incoming.received_at))
    place = (Incoming.received_at, Incoming.id)
    return downloads.table(ending, f"{g.client.name} received", RECEIVED, query, place, _received)


@client_blueprint.get(f"/sent.{downloads.FILE}")
def sent_file(ending: str) -> Response:
    """Hand out the texts and calls that went out, oldest first."""
    query = select(Message).where(
        Message.client_id == g.client.id, Message.created_at >= incoming.retention_start(),
        *downloads.between(Message.created_at),
    )  # fmt: skip
    place = (Message.created_at, Message.id)
    return downloads.table(ending, f"{g.client.name} sent", SENT, query, place, sent_lines)


def _received(rows: Sequence[Incoming]) -> Iterator[Sequence[object]]:
    known = names.of(db.session(), g.client.id, {one.from_ for one in rows})
    for one in rows:
        yield (
            downloads.there(one.received_at), one.from_, known.get(one.from_, ""), one.to,
            _KINDS[one.destination], one.body or "", len(one.media), words.outcome(one)[0],
        )  # fmt: skip


def sent_lines(rows: Sequence[Message]) -> Iterator[Sequence[object]]:
    """Write messages down, one line each."""
    for one in rows:
        is_call = one.destination is Destination.VOICE
        yield (
            downloads.there(one.sent_at or one.accepted_at or one.created_at), one.to,
            (one.member or {}).get("toName") or "", one.from_, _KINDS[one.destination],
            "" if is_call else one.body or "", one.segments, words.status(one)[0],
            explanation(one), one.author or "",
        )  # fmt: skip
