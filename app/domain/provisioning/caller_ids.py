"""Caller IDs that Twilio has verified: one that is deleted there places no more calls from here.

Whoever may look into the Twilio account may delete one (Twilio, OutgoingCallerIds resource), and
nothing tells us; every call from it would fail (21210). So the audit asks, and it is stopped with a
sentence instead, until Twilio has it again.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from app.domain import audit
from app.domain.relaying import notices
from app.extensions import current_settings, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.sender import Sender

GONE = (
    "Twilio has not, or not any more, verified it as a caller ID of the account; an owner has it"
    " verified again on the page Numbers, by a call to that number."
)
_BY = "the audit of numbers"


def keep(gone: Mapping[str, bool]) -> None:
    """Stop the caller IDs that Twilio does not have; let those go on that it has again.

    :param gone: by number, whether Twilio lacks it; those that could be asked about.
    """
    if not gone:
        return
    with unit_of_work() as session:
        found = select(Sender).where(Sender.address.in_(gone)).order_by(Sender.id)
        for sender in session.scalars(found.with_for_update()):
            if gone[sender.address] and sender.stopped_at is None:
                sender.stopped_at, sender.stopped_reason = utcnow(), GONE
                audit.record(session, _BY, "stop", sender.address, sender.client_id)
                client = session.get_one(Client, sender.client_id)
                name = sender.name or sender.address
                notices.notify(
                    session,
                    (client.owner_email, current_settings().support_email),
                    f"Dispatch places no more calls from {name}",
                    f"{sender.address} is stopped: {GONE} What waits goes on waiting.",
                    dedupe_key=f"stopped:{sender.id}:{sender.stopped_at.isoformat()}",
                )
            elif not gone[sender.address] and sender.stopped_reason == GONE:
                sender.stopped_at = sender.stopped_reason = None
                audit.record(session, _BY, "resume", sender.address, sender.client_id)
