"""Each text goes by e-mail to the members of a population: a help desk, mostly."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.relaying import receivers
from app.inbound import forwarding
from app.inbound.handlers import Answer, TextContext
from app.models.audience import Member
from app.models.client import Client
from app.models.incoming import Outcome
from app.models.last_contact import LastContact
from app.twiml import messaging

MAX_RECEIVERS = 100
"""More would delay the answer to Twilio; a mailing list serves them better."""


def answer(context: TextContext) -> Answer:
    """Record one mail per member with an address, in the transaction that stores the text."""
    addresses = _addresses(context)
    if not addresses:
        return Answer(
            messaging.empty(), Outcome.FAILED, flagged=True,
            error="The population to forward to has no member with an e-mail address (toAddress).",
        )  # fmt: skip
    told, left_out = addresses[:MAX_RECEIVERS], addresses[MAX_RECEIVERS:]
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


def _addresses(context: TextContext) -> list[str]:
    """Return the addresses of the population, each once, in the order of its members."""
    members = context.session.scalars(
        select(Member.attributes)
        .where(Member.population_id == context.route.population_id)
        .order_by(Member.id)
        .limit(10 * MAX_RECEIVERS)
    )
    found = [str(member.get("toAddress") or "").strip() for member in members]
    return list({address.lower(): address for address in found if address}.values())


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
        f"{count} or more members got no mail: at most {MAX_RECEIVERS} do. Use a mailing list for"
        " more."
    )
