"""What one member of a list would get of a communication, or why they would get nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.audience import populations
from app.domain.content import budget
from app.domain.reach import Refusal
from app.domain.sending import calls, communications, composing
from app.domain.sending.twiml_rules import TwimlRules
from app.models.audience import Member, people_of
from app.models.client import Client
from app.models.communication import Communication
from app.models.route import Destination
from app.models.sender import Sender


@dataclass
class OnePerson:
    """A member and what they would get."""

    position: int
    """From 1, in the order of the list."""
    total: int
    name: str = ""
    to: str = ""
    sample: list[str] = field(default_factory=list)
    heard: dict[str, list[str]] = field(default_factory=dict)
    """As in :class:`app.domain.sending.forecast.Forecast`."""
    refusal: str = ""
    """Why they get nothing, in a sentence."""


def look(session: Session, communication: Communication, position: int) -> OnePerson | None:
    """Render what the member at ``position`` would get now, exactly as it would be sent.

    :returns: None where the list has nobody there.
    """
    population = communication.population_id or ""
    attributes = session.scalar(
        select(Member.attributes)
        .where(people_of(population))
        .order_by(Member.id)
        .offset(max(position, 1) - 1)
        .limit(1)
    )
    if attributes is None or position < 1:
        return None
    found = OnePerson(position, populations.size(session, population))
    found.name = str(attributes.get("toName") or "")
    found.to = str(attributes.get("toPhone") or "")
    client = session.get_one(Client, communication.client_id)
    sender = session.get_one(Sender, communication.sender_id)
    try:
        plan = communications.pin(session, communication)
        with budget.fresh():
            rules = TwimlRules(session, client, sender)
            one = composing.compose(plan, client, sender, attributes, rules)
        found.to = one.to
        refused = composing.unreachable(
            session, plan.destination, plan.suppression_list_id, client, sender, {one.to}
        )
        if one.to in refused:
            raise refused[one.to]
    except Refusal as refusal:
        found.refusal = refusal.sentence
        return found
    found.sample = [part.body for part in one.texts]
    if plan.destination is Destination.VOICE:
        detection = calls.detection_of(plan.options)
        found.heard = calls.preview(plan.steps[0].body, attributes, detection)
    return found
