"""Each text goes to the client's webhook, with what we know about the person who wrote."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.inbound import forwarding
from app.inbound.answers import Answer, TextContext
from app.inbound.number import RouteFacts
from app.models.incoming import Outcome
from app.twiml import messaging


def answer(context: TextContext, route: RouteFacts) -> Answer:
    """Record the event for the route's endpoint, in the transaction that stores the text."""
    endpoint_id = route.endpoint_id
    if endpoint_id is None:
        return Answer(
            messaging.empty(), Outcome.FAILED, flagged=True,
            error="The route names no endpoint to forward to. Choose one.",
        )  # fmt: skip
    data = forwarding.payload(context, forwarding.last_contact(context))

    def record(session: Session) -> None:
        forwarding.forward(session, context, endpoint_id, data)

    return Answer(messaging.empty(), Outcome.FORWARDED, afterwards=record, wakes="relay")
