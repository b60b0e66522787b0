"""Communications as people write them: looked up, saved, and deleted while they were never run."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from app.domain import named
from app.domain.editing.specs import CommunicationSpec
from app.domain.mistakes import Reasons, Refused
from app.domain.provisioning import senders
from app.domain.relaying.callbacks import save_callbacks
from app.models.audience import Population
from app.models.batch import Batch
from app.models.communication import Callback, Campaign, Communication, CommunicationStep
from app.models.message import Message
from app.models.route import Channel
from app.models.sender import Sender, SenderKind
from app.models.suppression import SuppressionList
from app.models.template import TemplateKind

_PLAIN = (
    "machine_detection", "link_tracking", "smart_encoding", "send_as_mms", "purpose",
    "validity_period", "retry_calls", "retry_calls_after",
)  # fmt: skip

Step = tuple[int, str, int]
"""Its position from 1, its template's id, and the seconds after the one before."""


def save(
    session: Session, client_id: str, spec: CommunicationSpec, known: Communication | None
) -> Communication:
    """Write a communication as ``spec`` has it, in its campaign, which is made if need be.

    :param known: the communication to be changed, or None for a new one.
    :raises Refused: with everything that is not there, does not fit or is taken.
    """
    columns, steps = resolve(session, client_id, spec)
    campaign = _campaign(session, client_id, spec.campaign)
    taken = session.scalar(select(Communication).filter_by(campaign_id=campaign.id, name=spec.name))
    if taken is not None and (known is None or taken.id != known.id):
        raise Refused.because(
            f"The campaign “{campaign.name}” has a communication “{spec.name}” already.", "name"
        )
    values = {**columns, "name": spec.name, "campaign_id": campaign.id}
    if known is None:
        known = Communication(client_id=client_id, **values)
        session.add(known)
    else:
        for name, value in values.items():
            setattr(known, name, value)
        known.steps.clear()
    session.flush()
    known.steps.extend(step_row(step) for step in steps)
    session.flush()
    if spec.callbacks is not None:
        save_callbacks(session, client_id, spec.callbacks, communication=known)
    return known


def remove(session: Session, communication: Communication) -> None:
    """Delete a communication that was never run.

    :raises Refused: when the log knows of it: what was sent must stay explicable.
    """
    run = select(
        exists().where(Batch.communication_id == communication.id)
        | exists().where(Message.communication_id == communication.id)
    )
    if session.scalar(run):
        raise Refused.because(
            f"“{communication.name}” has been sent before, so it stays for the log.", code="in_use"
        )
    session.execute(delete(Callback).filter_by(communication_id=communication.id))
    session.delete(communication)
    session.flush()


def resolve(
    session: Session, client_id: str, spec: CommunicationSpec
) -> tuple[dict[str, Any], list[Step]]:
    """Look up what a communication names; return its columns and its further steps.

    :raises Refused: with everything that is not there or does not fit.
    """
    reasons = Reasons()
    kind = TemplateKind(spec.destination)
    template = reasons.get(named.template, session, client_id, spec.template, kind, "template")
    columns: dict[str, Any] = {
        "destination": Channel(spec.destination),
        "template_id": template.id if template else None,
        "population_id": None,
        "suppression_list_id": None,
        **{name: getattr(spec, name) for name in _PLAIN},
        "call_options": spec.call_options.as_stored() if spec.call_options else {},
    }
    if spec.population is not None:
        people = reasons.get(
            named.require, session, Population, client_id, spec.population, "population"
        )
        columns["population_id"] = people.id if people else None
    if spec.suppression_list is not None:
        chosen = reasons.get(
            named.require, session, SuppressionList, client_id, spec.suppression_list,
            "suppression_list",
        )  # fmt: skip
        columns["suppression_list_id"] = chosen.id if chosen else None
    sender = reasons.get(_sender, session, client_id, spec)
    columns["sender_id"] = sender.id if sender else None
    steps: list[Step] = []
    for index, step in enumerate(spec.steps):
        found = reasons.get(
            named.template, session, client_id, step.template, kind, "steps", index, "template"
        )
        if found is not None:
            steps.append((index + 1, found.id, step.after))
    reasons.settle()
    return columns, steps


def step_row(step: Step) -> CommunicationStep:
    """Make the row of a further step."""
    position, template_id, after = step
    return CommunicationStep(position=position, template_id=template_id, after=after)


def _sender(session: Session, client_id: str, spec: CommunicationSpec) -> Sender:
    if spec.messaging_service is not None:
        service = senders.find_service(session, client_id, spec.messaging_service)
        if service is None:
            raise named.unknown("messaging service", spec.messaging_service, "messaging_service")
        return service
    address = spec.sender or ""
    number = senders.find_number(session, client_id, address)
    if number is None:
        raise named.unknown("number", address, "from")
    if spec.destination == "sms" and number.kind is SenderKind.VERIFIED:
        raise Refused.because(
            f"{address} is owned by the institution and only verified with Twilio, so it can place"
            " calls but send no texts.",
            "from",
        )
    if spec.destination == "voice" and number.is_short_code:
        raise Refused.because(f"{address} is a short code, which places no calls.", "from")
    return number


def _campaign(session: Session, client_id: str, name: str) -> Campaign:
    campaign = session.scalar(select(Campaign).filter_by(client_id=client_id, name=name))
    if campaign is None:
        campaign = Campaign(client_id=client_id, name=name)
        session.add(campaign)
        session.flush()
    return campaign
