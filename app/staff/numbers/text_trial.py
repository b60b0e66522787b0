"""A text to a number tried out: decided and written down as for Twilio, looked at, and undone."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_hex

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import keywords
from app.domain.mistakes import Refused
from app.extensions import db, reading
from app.inbound import lookup, texts
from app.inbound.answers import Answer
from app.inbound.parsing import Arrival
from app.models.base import utcnow
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint, EndpointKind
from app.models.incoming import Incoming
from app.models.route import Destination
from app.models.sender import Sender
from app.staff import words
from app.staff.whom import Whom
from app.twilio import segments

LONGEST = 1600
"""Characters of a text that Twilio passes on (Twilio, error 21617)."""


@dataclass(frozen=True)
class Trial:
    """What a text would cause."""

    outcome: tuple[str, str]
    """In words, and the colour to say it in."""
    twiml: str
    answer: str = ""
    pictures: tuple[str, ...] = ()
    why: str | None = None
    flagged: bool = False
    told: tuple[str, ...] = ()
    """Who would be told of it: addresses, and names of systems."""


def run(sender: Sender, whom: Whom, body: str) -> Trial | None:
    """Return what a text of somebody's would cause; None where nobody answers for the number.

    Nothing is kept, sent or told: the transaction is undone.

    :raises Refused: when the text is longer than Twilio passes on.
    """
    if len(body) > LONGEST:
        raise Refused.because(f"A text has at most {LONGEST:,} characters.", "body")
    arrival = Arrival(
        destination=Destination.SMS,
        sid=f"SM{token_hex(16)}",
        account_sid="AC" + "0" * 32,
        from_=whom.phone,
        to=sender.address,
        received_at=utcnow(),
        parameters={},
        body=body,
        segments=segments.measure(body).segments,
    )
    service = db.session.get(Sender, sender.service_id) if sender.service_id else None
    with reading() as connection:
        number = lookup.for_text(
            connection,
            arrival.to,
            arrival.from_,
            service.address if service else None,
            keywords.read(body),
        )
    if number is None:
        return None
    return texts.rehearse(arrival, number, _seen)


def _seen(session: Session, answer: Answer, sid: str) -> Trial:
    came = session.scalars(select(Incoming).where(Incoming.sid == sid)).one()
    told = session.execute(
        select(Endpoint.kind, Endpoint.name, Endpoint.url)
        .join(Delivery, Delivery.endpoint_id == Endpoint.id)
        .where(Delivery.incoming_id == came.id)
        .order_by(Delivery.id)
    )
    return Trial(
        words.outcome(came),
        answer.twiml,
        answer.reply.body if answer.reply else "",
        answer.reply.media if answer.reply else (),
        answer.error,
        answer.flagged,
        tuple(row.name if row.kind is EndpointKind.WEBHOOK else row.url for row in told),
    )
