"""Running a communication: starting a batch, pausing, resuming and canceling it, its progress.

Each function works within the caller's transaction; after the commit the caller wakes ``house``
(preparation) and ``send``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.audience import populations, taking
from app.domain.audience.dated import Dated
from app.domain.conversations import mass
from app.domain.reach import Refusal
from app.domain.sending import approval, composing, lanes
from app.domain.sending.composing import Plan, StepPlan
from app.domain.sending.messages import check_client, check_media, check_sender
from app.extensions import current_settings
from app.models.base import new_id, utcnow
from app.models.batch import Batch, BatchMember, BatchState
from app.models.client import Client
from app.models.communication import Communication, MachineDetection
from app.models.credential import Credential
from app.models.route import Destination
from app.models.sender import Sender
from app.models.template import Template, TemplateVersion

LATEST = timedelta(days=366)
"""How far ahead a batch may be scheduled."""


@dataclass(frozen=True)
class LeftOut:
    """A member that gets nothing, and why; ``to`` where the phone could be read."""

    position: int
    refusal: Refusal
    to: str | None

    def as_json(self) -> dict[str, Any]:
        """Return what :attr:`app.models.batch.BatchMember.refusal` stores."""
        said = {
            "code": self.refusal.code, "sentence": self.refusal.sentence, "to": self.to,
            "errorCode": self.refusal.error_code,
        }  # fmt: skip
        return {name: value for name, value in said.items() if value is not None}


def pin(session: Session, communication: Communication, about: Dated | None = None) -> Plan:
    """Return what the communication says now: its plan, as a batch keeps it.

    :param about: the date for whose members it is; None for the whole population.
    :raises Refusal: when a template has no version.
    """
    chain: list[tuple[str, int | None]] = [(communication.template_id, None)]
    chain += [(step.template_id, step.after) for step in communication.steps]
    steps = []
    for template_id, after in chain:
        version = session.scalar(
            select(TemplateVersion)
            .join(Template, Template.id == TemplateVersion.template_id)
            .where(Template.id == template_id, TemplateVersion.number == Template.current_version)
        )
        if version is None:
            raise Refusal("template_error", "The template has no text yet.", "template")
        steps.append(StepPlan(version.id, version.body, tuple(version.media), after))
    return Plan(
        destination=communication.destination,
        steps=tuple(steps),
        link_tracking=communication.link_tracking,
        short_link_base=current_settings().short_link_base_url,
        sender_id=communication.sender_id,
        suppression_list_id=communication.suppression_list_id,
        options=options_of(communication),
        retry_calls=communication.retry_calls,
        retry_calls_after=communication.retry_calls_after,
        dated_by=about.attribute if about else None,
        dated_on=about.date.isoformat() if about else None,
    )


def options_of(communication: Communication) -> dict[str, Any]:
    """Return what Twilio is told besides the text, as a message stores it."""
    if communication.destination is Destination.VOICE:
        detection = communication.machine_detection
        options = dict(communication.call_options)
        if detection is not MachineDetection.OFF:
            options["machineDetection"] = detection.value
        return options
    chosen = {
        "validityPeriod": communication.validity_period,
        "smartEncoded": communication.smart_encoding or None,
        "sendAsMms": communication.send_as_mms or None,
    }
    return {name: value for name, value in chosen.items() if value is not None}


def start_batch(
    session: Session,
    communication: Communication,
    actor: str,
    at: datetime | None = None,
    about: Dated | None = None,
    total: int | None = None,
) -> Batch:
    """Start the communication for its population, now or at ``at``; what it says is pinned now.

    The members are those at the time it begins; where there are so many that somebody else has to
    approve, those of now.

    :param actor: who starts it: an e-mail address, the label of an API key, a command.
    :param about: the date for whose members it is; None for the whole population.
    :param total: how many members that are, where they have been counted.
    :raises Refusal: when it cannot be sent at all: not enabled, stopped, no population, a time
        too far ahead.
    """
    population_id = population_of(communication)
    now = utcnow()
    if at is not None and at > now + LATEST:
        raise Refusal("too_late", "A batch can be scheduled for a year ahead at most.", "at")
    batch = _new_batch(session, communication, actor, at or now, about)
    if at is None or at <= now:
        begin(session, batch, total)
    elif approval.is_needed(session, batch.client_id, populations.size(session, population_id)):
        taking.begin(session, batch, population_id)
        approval.ask(session, batch)
    return batch


def population_of(communication: Communication) -> str:
    """Return whom the communication is for.

    :raises Refusal: when no population has been chosen.
    """
    if communication.population_id is None:
        raise Refusal(
            "no_population", "The communication has no population; choose one.", "population"
        )
    return communication.population_id


def begin(session: Session, batch: Batch, total: int | None = None) -> None:
    """Take the members as they are now, and let preparation begin.

    Of more than may be reached without it, somebody else's approval is asked for first. What was
    approved has its members already.

    :raises Refusal: when no population has been chosen.
    """
    if batch.approval_asked_at is None:
        communication = session.get_one(Communication, batch.communication_id)
        total = taking.begin(session, batch, population_of(communication), total)
        if total is None:
            return
        if approval.is_needed(session, batch.client_id, total):
            approval.ask(session, batch)
            return
    session.execute(
        update(Batch)
        .where(Batch.id == batch.id, Batch.state == BatchState.SCHEDULED)
        .values(state=BatchState.PREPARING, started_at=utcnow())
        .execution_options(synchronize_session="fetch")
    )
    mass.begin(session, batch)


def judge_phones(
    session: Session, communication: Communication, members: Sequence[Mapping[str, Any]]
) -> list[LeftOut]:
    """Return the members whose phones may not be texted or called, in their order.

    Only reads: to be done before the transaction that starts the batch.
    """
    client = session.get_one(Client, communication.client_id)
    sender = session.get_one(Sender, communication.sender_id)
    # Held: a session forgets what nobody holds, and each phone would have it read again.
    credential = session.get_one(Credential, sender.credential_id)
    phones: dict[int, str] = {}
    refused: dict[int, LeftOut] = {}
    for position, attributes in enumerate(members):
        try:
            phones[position] = composing.phone_of(
                attributes, client, sender, communication.destination
            )
        except Refusal as refusal:
            refused[position] = LeftOut(position, refusal, None)
    unreachable = composing.unreachable(
        session, communication.destination, communication.suppression_list_id, client, sender,
        set(phones.values()),
    )  # fmt: skip
    for position, phone in phones.items():
        if phone in unreachable:
            refused[position] = LeftOut(position, unreachable[phone], phone)
    del credential
    return [refused[position] for position in sorted(refused)]


def start_adhoc(
    session: Session,
    communication: Communication,
    members: Sequence[Mapping[str, Any]],
    actor: str,
    refused: Sequence[LeftOut] = (),
) -> Batch:
    """Send the communication to these members only; preparation may begin at once.

    Of many, as soon as somebody else has approved it.

    :param refused: those who get nothing, as :func:`judge_phones` found them.
    :raises Refusal: when it cannot be sent at all.
    """
    batch = _new_batch(session, communication, actor, utcnow())
    why = {one.position: one.as_json() for one in refused}
    rows = [
        {"batch_id": batch.id, "position": position, "attributes": attributes,
         "refusal": why.get(position)}
        for position, attributes in enumerate(members)
    ]  # fmt: skip
    session.execute(insert(BatchMember), rows, execution_options={"render_nulls": True})
    batch.total = len(rows)
    session.flush()
    if approval.is_needed(session, batch.client_id, batch.total):
        approval.ask(session, batch)
        return batch
    batch.state = BatchState.PREPARING
    batch.started_at = utcnow()
    mass.begin(session, batch)
    session.flush()
    return batch


def _new_batch(
    session: Session,
    communication: Communication,
    actor: str,
    at: datetime,
    about: Dated | None = None,
) -> Batch:
    client = session.get_one(Client, communication.client_id)
    sender = session.get_one(Sender, communication.sender_id)
    credential = session.get_one(Credential, sender.credential_id)
    check_client(client)
    check_sender(sender, credential, communication.destination)
    plan = pin(session, communication, about)
    for step in plan.steps:
        check_media(session, client.id, step.media)
    batch = Batch(
        id=new_id(),
        client_id=communication.client_id,
        communication_id=communication.id,
        state=BatchState.SCHEDULED,
        scheduled_at=at,
        lane_key=lanes.ensure_lane(session, sender, communication.destination, credential),
        plan=plan.as_json(),
        created_by=actor[:254],
    )
    session.add(batch)
    session.flush()
    audit.record(session, actor, "start", f"batch of {communication.name}", batch.client_id,
                 {"batch": batch.id})  # fmt: skip
    return batch
