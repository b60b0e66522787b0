"""Communications: a template joined to a population, a sender and options."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.auth import Caller
from app.api.operation import operation
from app.api.reading import Shape
from app.api.urls import Url, owned, url, url_or_none
from app.extensions import db
from app.models.communication import Communication, MachineDetection, Purpose
from app.models.credential import Scope
from app.models.route import Channel
from app.models.sender import Sender


class StepObject(Shape):
    """A further text to the same person."""

    template: Url
    after: int = Field(description="Seconds after the text before it.")


class CommunicationObject(Shape):
    """What is said, to whom, from which sender, and how."""

    id: str
    name: str
    type: Literal["twilio"]
    destination: Channel
    campaign: Url
    template: Url
    population: Url | None
    from_: str | None = Field(
        alias="from", description="The number; null with a messaging service."
    )
    messaging_service: str | None = Field(description="The messaging service's SID.")
    suppression_list: Url | None
    machine_detection: MachineDetection
    link_tracking: bool
    purpose: Purpose
    validity_period: int | None = Field(description="Seconds.")
    steps: list[StepObject]


@operation("GET", "/communications/<communication_id>", Scope.READ, {200: CommunicationObject})
def show(caller: Caller, communication_id: str) -> CommunicationObject:
    """Show one communication."""
    one = owned(Communication, caller, communication_id, "communication")
    sender = db.session.get_one(Sender, one.sender_id)
    return CommunicationObject(
        id=one.id,
        name=one.name,
        type="twilio",
        destination=one.destination,
        campaign=url("campaigns", one.campaign_id),
        template=url("templates", one.template_id),
        population=url_or_none("populations", one.population_id),
        from_=sender.address if sender.is_number else None,
        messaging_service=None if sender.is_number else sender.address,
        suppression_list=url_or_none("suppressionlists", one.suppression_list_id),
        machine_detection=one.machine_detection,
        link_tracking=one.link_tracking,
        purpose=one.purpose,
        validity_period=one.validity_period,
        steps=[
            StepObject(template=url("templates", step.template_id), after=step.after)
            for step in one.steps
        ],
    )
