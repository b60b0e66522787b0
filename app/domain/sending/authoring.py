"""Communications as people write them: looked up, saved, and deleted while they were never run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from app.domain import audit, changes, named
from app.domain.changes import Change
from app.domain.mistakes import Reasons, Refused, under
from app.domain.relaying.callbacks import CallbacksSpec, grant, save_callbacks
from app.domain.sending import scheduling
from app.domain.sending.call_options import CallOptionsSpec
from app.domain.sending.recurrence import RelativeSpec, RepeatSpec
from app.domain.specs import Address, Empty, Name, Spec, Trimmed
from app.models.audience import Population
from app.models.batch import Batch
from app.models.communication import (
    MAX_STEP_DELAY,
    Callback,
    Campaign,
    Communication,
    CommunicationStep,
    MachineDetection,
    Purpose,
)
from app.models.message import Message
from app.models.route import Destination
from app.models.run import CommunicationRun, DatedSend
from app.models.sender import Sender, SenderKind
from app.models.suppression import SuppressionList
from app.models.template import TemplateKind

_PLAIN = (
    "machine_detection", "link_tracking", "smart_encoding", "send_as_mms", "purpose",
    "validity_period", "retry_calls", "retry_calls_after",
)  # fmt: skip

Step = tuple[int, str, int]
"""Its position from 1, its template's id, and the seconds after the one before."""


class StepSpec(Spec):
    """A further text, some seconds after the one before."""

    template: Name
    after: Annotated[int, Field(ge=0, le=MAX_STEP_DELAY)]


class CommunicationSpec(Spec):
    """What is said, to whom, from where, and how."""

    name: Name
    campaign: Name = "General"
    type: Literal["twilio"] = "twilio"
    destination: Literal["sms", "voice"]
    template: Name
    population: Name | None = None
    sender: Address | None = Field(default=None, alias="from")
    messaging_service: Name | None = None
    machine_detection: MachineDetection = MachineDetection.OFF
    suppression_list: Name | None = None
    link_tracking: bool = False
    smart_encoding: bool = False
    send_as_mms: bool = False
    purpose: Annotated[Purpose, Trimmed] = Purpose.NOTIFICATION
    validity_period: Annotated[int, Field(ge=1, le=36_000)] | None = None
    """Seconds (Twilio, ValidityPeriod: 1 to 36,000)."""
    retry_calls: Annotated[int, Field(ge=0, le=10)] = 0
    retry_calls_after: Annotated[int, Field(ge=60, le=86_400)] = 900
    call_options: CallOptionsSpec | None = None
    steps: Annotated[list[StepSpec], Empty] = Field(default_factory=list, max_length=20)
    callbacks: CallbacksSpec | None = None
    repeat: RepeatSpec | None = None
    relative: RelativeSpec | None = None

    @model_validator(mode="after")
    def _fits_its_destination(self) -> CommunicationSpec:
        if (self.sender is None) == (self.messaging_service is None):
            raise ValueError("Give exactly one of “from” and “messaging_service”.")
        is_call = self.destination == "voice"
        if is_call and self.messaging_service:
            raise ValueError("A messaging service places no calls: give “from”, a number.")
        for name, unused in (_ONLY_SMS if is_call else _ONLY_VOICE).items():
            if getattr(self, name) != unused:
                kinds = ("texts", "a call") if is_call else ("calls", "a text")
                raise ValueError(f"“{name}” is for {kinds[0]}, but this is {kinds[1]}.")
        return self


_ONLY_SMS: dict[str, Any] = {
    "suppression_list": None,
    "link_tracking": False,
    "smart_encoding": False,
    "send_as_mms": False,
    "validity_period": None,
    "steps": [],
}
_ONLY_VOICE: dict[str, Any] = {
    "machine_detection": MachineDetection.OFF,
    "retry_calls": 0,
    "retry_calls_after": 900,
    "call_options": None,
}


_COLUMNS = {
    "template": "template_id",
    "population": "population_id",
    "suppression_list": "suppression_list_id",
    "sender": "sender_id",
    "messaging_service": "sender_id",
}
"""The columns that do not have the name of their field."""


def find(session: Session, client_id: str, campaign: str, name: str) -> Communication | None:
    """Return the client's communication of that name in a campaign, or None."""
    query = select(Communication).join(Campaign, Campaign.id == Communication.campaign_id)
    wanted = query.where(Campaign.client_id == client_id, Campaign.name == campaign)
    return session.scalar(wanted.where(Communication.name == name))


def save(
    session: Session,
    client_id: str,
    spec: CommunicationSpec,
    known: Communication | None,
    by: str,
    *,
    granting: bool = False,
) -> Change[Communication]:
    """Write a communication down, in its campaign, which is made if need be.

    Of a known one what is left out stays, unless texts become calls or the other way round.

    :param granting: whoever saves it may let saved credentials go to new places.
    :raises Refused: with everything that is not there, does not fit or is taken.
    """
    columns, steps = _resolve(session, client_id, spec)
    if find(session, client_id, spec.campaign, spec.name) not in (None, known):
        said = f"The campaign “{spec.campaign}” has a communication “{spec.name}” already."
        raise Refused.because(said, "name", code="taken")
    given = {_COLUMNS.get(name, name) for name in spec.model_fields_set}
    if known is None or known.destination is not columns["destination"]:
        given = {*columns, "steps"}
    values = {name: value for name, value in columns.items() if name in given}
    values |= {"name": spec.name, "campaign_id": _campaign(session, client_id, spec.campaign)}
    row = known or Communication(client_id=client_id)
    details = changes.write(session, row, values)
    details |= scheduling.write(session, row, spec.repeat, spec.relative, by, spec.model_fields_set)
    if "steps" in given and steps != [
        (one.position, one.template_id, one.after) for one in row.steps
    ]:
        row.steps.clear()
        session.flush()
        row.steps.extend(
            CommunicationStep(position=position, template_id=template, after=after)
            for position, template, after in steps
        )
        session.flush()
        details["steps"] = f"{len(steps)} steps"
    if spec.callbacks is not None:
        if granting:
            grant(session, client_id, spec.callbacks)
        with under("callbacks"):
            changed = save_callbacks(session, client_id, spec.callbacks, communication=row)
        details |= {f"callback {event}": f"callback {event}" for event in changed}
    target = f"communication {spec.campaign} / {spec.name}"
    change = Change(row, target, {} if known is None else details, is_new=known is None)
    return changes.note(session, change, by)


def change_sender(session: Session, communication: Communication, sender: Sender, by: str) -> None:
    """Let a communication go out from another number or service of its client.

    Batches that have been started keep theirs.
    """
    details = changes.write(session, communication, {"sender_id": sender.id})
    target = f"communication {communication.name}"
    changes.note(session, Change(communication, target, details, is_new=False), by)


def remove(session: Session, communication: Communication, by: str) -> None:
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
    for about in (Callback, CommunicationRun, DatedSend):
        session.execute(delete(about).filter_by(communication_id=communication.id))
    session.delete(communication)
    session.flush()
    target = f"communication {communication.name}"
    audit.record(session, by, "delete", target, communication.client_id)


def _resolve(
    session: Session, client_id: str, spec: CommunicationSpec
) -> tuple[dict[str, Any], list[Step]]:
    """Look up what a communication names; return its columns and its further steps.

    :raises Refused: with everything that is not there or does not fit.
    """
    reasons = Reasons()
    kind = TemplateKind(spec.destination)
    template = reasons.get(named.template, session, client_id, spec.template, kind, "template")
    columns: dict[str, Any] = {
        "destination": Destination(spec.destination),
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
    reasons.refuse_if_any()
    return columns, steps


def _sender(session: Session, client_id: str, spec: CommunicationSpec) -> Sender:
    if spec.messaging_service is not None:
        service = named.find_service(session, client_id, spec.messaging_service)
        if service is None:
            raise named.unknown("messaging service", spec.messaging_service, "messaging_service")
        return service
    address = spec.sender or ""
    number = named.find_number(session, client_id, address)
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


def _campaign(session: Session, client_id: str, name: str) -> str:
    """Return the id of the campaign of that name, made if there is none."""
    campaign = session.scalar(select(Campaign).filter_by(client_id=client_id, name=name))
    if campaign is None:
        campaign = Campaign(client_id=client_id, name=name)
        session.add(campaign)
        session.flush()
    return campaign.id
