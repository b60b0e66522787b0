"""Communications: a template joined to a population, a sender and options."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.api.auth import Caller
from app.api.operation import operation
from app.api.reading import Shape
from app.api.urls import Url, owned, url, url_or_none
from app.domain.sending import scheduling
from app.domain.sending.recurrence import RelativeSpec, RepeatSpec
from app.extensions import db, unit_of_work
from app.models.communication import Communication, MachineDetection, Purpose
from app.models.credential import Scope
from app.models.route import Destination
from app.models.sender import Sender


class StepObject(Shape):
    """A further text to the same person."""

    template: Url
    after: int = Field(description="Seconds after the text before it.")


class CallOptionsObject(Shape):
    """How calls are placed; what is null is left to Twilio."""

    timeout: int | None = Field(None, description="Seconds for which it rings.")
    time_limit: int | None = Field(None, description="Seconds that a call may last.")
    machine_detection_timeout: int | None = Field(
        None, description="Seconds for which Twilio listens for a machine."
    )
    machine_detection_speech_threshold: int | None = Field(
        None, description="Milliseconds of speech from which it is a machine's."
    )
    machine_detection_speech_end_threshold: int | None = Field(
        None, description="Milliseconds of silence that end a greeting."
    )
    machine_detection_silence_timeout: int | None = Field(
        None, description="Milliseconds of silence at first, after which it is unknown who answers."
    )


class CommunicationObject(Shape):
    """What is said, to whom, from which sender, and how."""

    id: str
    name: str
    type: Literal["twilio"]
    destination: Destination
    campaign: Url
    template: Url
    population: Url | None
    from_: str | None = Field(
        alias="from", description="The number; null with a messaging service."
    )
    messaging_service: str | None = Field(description="The messaging service's SID.")
    suppression_list: Url | None
    machine_detection: MachineDetection = Field(description="When a machine answers a call.")
    retry_calls: int = Field(description="How often a busy or unanswered call is placed again.")
    retry_calls_after: int = Field(description="Seconds between such calls.")
    call_options: CallOptionsObject
    link_tracking: bool
    purpose: Purpose
    validity_period: int | None = Field(description="Seconds.")
    steps: list[StepObject]
    repeat: RepeatSpec | None = Field(
        description="It goes out again and again by itself, each time as a batch of its own."
    )
    relative: RelativeSpec | None = Field(
        description="It goes out by itself by a date of each member: `days` before (negative) or"
        " after what is in `attribute`."
    )
    next_run_at: datetime | None = Field(description="When it goes out by itself next.")


class ScheduleBody(Shape):
    """When a communication goes out by itself: one of the two, or neither."""

    repeat: RepeatSpec | None = Field(None, description="Again and again.")
    relative: RelativeSpec | None = Field(None, description="By a date of each member.")


@operation("GET", "/communications/<communication_id>", Scope.READ, {200: CommunicationObject})
def show(caller: Caller, communication_id: str) -> CommunicationObject:
    """Show one communication."""
    return _describe(owned(Communication, caller, communication_id, "communication"))


@operation(
    "PUT",
    "/communications/<communication_id>/schedule",
    Scope.SEND,
    {200: CommunicationObject},
    example={"repeat": {"every": "week", "on": ["mon"], "at": "09:00", "until": "2027-05-31"}},
)
def schedule(caller: Caller, communication_id: str, body: ScheduleBody) -> CommunicationObject:
    """Let a communication go out by itself, or with an empty body not any more.

    Each run is a batch of its own, of the list as it is then, by the rules of any other batch.
    Times are those of the client's zone. With `relative` a phone is told of a date once. Runs that
    could not go out for more than 12 hours are skipped, and the owner is mailed.
    """
    with unit_of_work() as session:
        one = owned(Communication, caller, communication_id, "communication")
        scheduling.save(session, one, body.repeat, body.relative, caller.actor)
    return _describe(one)


def _describe(one: Communication) -> CommunicationObject:
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
        retry_calls=one.retry_calls,
        retry_calls_after=one.retry_calls_after,
        call_options=CallOptionsObject.model_validate(one.call_options),
        link_tracking=one.link_tracking,
        purpose=one.purpose,
        validity_period=one.validity_period,
        steps=[
            StepObject(template=url("templates", step.template_id), after=step.after)
            for step in one.steps
        ],
        repeat=RepeatSpec.model_validate(one.repeat) if one.repeat else None,
        relative=RelativeSpec.model_validate(one.relative) if one.relative else None,
        next_run_at=one.next_run_at,
    )
