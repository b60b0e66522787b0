"""Senders that suit a communication of texts better than the one it has, to be offered."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import case, or_, select
from sqlalchemy.orm import Session

from app.domain.sending.cautions import MANY
from app.models.communication import Communication, Purpose
from app.models.credential import Credential
from app.models.route import Destination
from app.models.sender import Sender, SenderKind, SenderType

MOST = 3


def offered(session: Session, communication: Communication, recipients: int) -> Sequence[Sender]:
    """Return senders of the client that carriers take these texts from, the best first.

    None where the present one is as good: a long code that no messaging service registers is
    blocked, from any long code many texts are filtered, and marketing belongs to a short code.
    """
    if communication.destination is not Destination.SMS:
        return ()
    now = session.get_one(Sender, communication.sender_id)
    is_long = now.kind is SenderKind.TWILIO and now.type is SenderType.LONG_CODE
    marketing = communication.purpose is Purpose.MARKETING
    short = Sender.type == SenderType.SHORT_CODE
    if marketing and now.type is not SenderType.SHORT_CODE:
        fits = short
    elif is_long and (now.service_id is None or recipients >= MANY):
        service = Sender.kind == SenderKind.MESSAGING_SERVICE
        fits = or_(service, short, Sender.type == SenderType.TOLL_FREE)
    else:
        return ()
    order = case((Sender.id == now.service_id, 0), (Sender.kind == "messaging_service", 1), else_=2)
    query = (
        select(Sender)
        .join(Credential, Credential.id == Sender.credential_id)
        .where(
            Sender.client_id == communication.client_id,
            Sender.id != now.id,
            Sender.kind.in_((SenderKind.TWILIO, SenderKind.MESSAGING_SERVICE)),
            Sender.service_id.is_(None),
            Sender.stopped_at.is_(None),
            Credential.stopped_at.is_(None),
            fits,
        )
        .order_by(order, Sender.rate.desc(), Sender.address)
        .limit(MOST)
    )
    return session.scalars(query).all()
