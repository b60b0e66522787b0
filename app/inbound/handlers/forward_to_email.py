"""Each text goes by e-mail to the members of a population: a help desk, mostly."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.audience import mailboxes
from app.domain.relaying import receivers
from app.inbound import forwarding
from app.inbound.answers import Answer, TextContext
from app.inbound.number import RouteFacts
from app.models.client import Client
from app.models.incoming import Outcome
from app.models.last_contact import LastContact
from app.twiml import messaging


def answer(context: TextContext, route: RouteFacts) -> Answer:
    """Record one mail per member with an address, in the transaction that stores the text."""
    addresses = mailboxes.of_population(context.session, route.population_id)
    if not addresses:
        return Answer(
            messaging.empty(), Outcome.FAILED, flagged=True,
            error="The population to forward to has no member with an e-mail address (toAddress).",
        )  # fmt: skip
    told, left_out = addresses[: mailboxes.MAX_RECEIVERS], addresses[mailboxes.MAX_RECEIVERS :]
    contact = forwarding.last_contact(context)
    data = forwarding.payload(context, contact)
    more = _more(context, contact)

    def record(session: Session) -> None:
        client_id = context.number.client.id
        # In one order, as they are locked: two texts to the same new addresses never deadlock.
        ordered = sorted(told, key=str.lower)
        endpoints = [receivers.email(session, client_id, one) for one in ordered]
        for endpoint in sorted(endpoints, key=lambda one: one.id):
            forwarding.forward(session, context, endpoint.id, data, more)

    return Answer(
        messaging.empty(), Outcome.FORWARDED, afterwards=record, wakes="relay",
        flagged=bool(left_out), error=_left_out(len(left_out)),
    )  # fmt: skip


def _more(context: TextContext, contact: LastContact | None) -> dict[str, Any]:
    zone = context.session.scalar(
        select(Client.time_zone).where(Client.id == context.number.client.id)
    )
    return {
        "client": context.number.client.name,
        "timeZone": zone,
        "lastBody": contact.body if contact else None,
    }


def _left_out(count: int) -> str | None:
    if not count:
        return None
    return (
        f"{count} or more members got no mail: at most {mailboxes.MAX_RECEIVERS} do. Use a mailing"
        " list for more."
    )
