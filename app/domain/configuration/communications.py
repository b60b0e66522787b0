"""Campaigns, communications, and whom a client wants told what became of its messages."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.domain import mistakes, named, senders
from app.domain.callbacks import CallbacksSpec, save_callbacks
from app.domain.configuration.schema import CommunicationSpec
from app.domain.configuration.work import Scope, Work
from app.domain.mistakes import Reasons, Refused
from app.models.audience import Population
from app.models.communication import Campaign, Communication, CommunicationStep
from app.models.route import Channel
from app.models.sender import Sender, SenderKind
from app.models.suppression import SuppressionList
from app.models.template import TemplateKind

_PLAIN = (
    "machine_detection", "link_tracking", "smart_encoding", "send_as_mms", "purpose",
    "validity_period", "retry_calls", "retry_calls_after",
)  # fmt: skip


def default_callbacks(work: Work, scope: Scope) -> None:
    """Set whom the client wants told where a communication or message does not say."""
    data = scope.data.get("callbacks")
    if data is None:
        return
    path = (*scope.path, "callbacks")
    try:
        spec = mistakes.parse(CallbacksSpec, data)
    except Refused:
        return  # noted already, with the client's other settings
    with work.at(scope, path):
        for event in save_callbacks(work.session, scope.client_id, spec):
            work.changed(scope, "update", f"callback {event}", [])


def communications(work: Work, scope: Scope) -> None:
    """Keep communications, in campaigns that are made as they are named."""
    for path, spec in work.items(scope, "communications", CommunicationSpec):
        with work.at(scope, path):
            columns, steps = _resolve(work, scope, spec)
            target = f"communication {spec.campaign} / {spec.name}"
            campaign = _campaign(work, scope, spec.campaign)
            known = work.session.scalar(
                select(Communication).filter_by(campaign_id=campaign.id, name=spec.name)
            )
            if known is None:
                known = work.create(
                    Communication(
                        client_id=scope.client_id, campaign_id=campaign.id, name=spec.name,
                        **columns,
                    )
                )  # fmt: skip
                known.steps.extend(_step(step) for step in steps)
                work.session.flush()
                work.changed(scope, "create", target, [])
            else:
                _update(work, scope, target, known, spec, columns, steps)
            if spec.callbacks is not None:
                with work.at(scope, (*path, "callbacks")):
                    for event in save_callbacks(
                        work.session, scope.client_id, spec.callbacks, communication=known
                    ):
                        work.changed(scope, "update", target, [f"callback {event}"])


Step = tuple[int, str, int]
"""Its position from 1, its template's id, and the seconds after the one before."""


def _resolve(
    work: Work, scope: Scope, spec: CommunicationSpec
) -> tuple[dict[str, Any], list[Step]]:
    """Look up what the communication names.

    :raises Refused: with everything that is not there or does not fit.
    """
    reasons = Reasons()
    session, client = work.session, scope.client_id
    kind = TemplateKind(spec.destination)
    template = reasons.get(named.template, session, client, spec.template, kind, "template")
    columns: dict[str, Any] = {
        "destination": Channel(spec.destination),
        "template_id": template.id if template else None,
        "population_id": None,
        "suppression_list_id": None,
        **{name: getattr(spec, name) for name in _PLAIN},
    }
    if spec.population is not None:
        people = reasons.get(
            named.require, session, Population, client, spec.population, "population"
        )
        columns["population_id"] = people.id if people else None
    if spec.suppression_list is not None:
        chosen = reasons.get(
            named.require, session, SuppressionList, client, spec.suppression_list,
            "suppression_list",
        )  # fmt: skip
        columns["suppression_list_id"] = chosen.id if chosen else None
    sender = reasons.get(_sender, work, scope, spec)
    columns["sender_id"] = sender.id if sender else None
    steps: list[Step] = []
    for index, step in enumerate(spec.steps):
        found = reasons.get(
            named.template, session, client, step.template, kind, "steps", index, "template"
        )
        if found is not None:
            steps.append((index + 1, found.id, step.after))
    reasons.settle()
    return columns, steps


def _sender(work: Work, scope: Scope, spec: CommunicationSpec) -> Sender:
    if spec.messaging_service is not None:
        service = senders.find_service(work.session, scope.client_id, spec.messaging_service)
        if service is None:
            raise named.unknown("messaging service", spec.messaging_service, "messaging_service")
        return service
    address = spec.sender or ""
    number = senders.find_number(work.session, scope.client_id, address)
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


def _campaign(work: Work, scope: Scope, name: str) -> Campaign:
    key = {"client_id": scope.client_id, "name": name}
    return work.save(scope, f"campaign {name}", Campaign, key, {})


def _update(
    work: Work,
    scope: Scope,
    target: str,
    known: Communication,
    spec: CommunicationSpec,
    columns: dict[str, Any],
    steps: list[Step],
) -> None:
    """Change what the file gives; everything, when texts become calls or the other way round."""
    names = {
        _COLUMNS.get(name, name) for name in spec.model_fields_set
    } if known.destination is columns["destination"] else set(columns)  # fmt: skip
    work.update(scope, target, known, {k: v for k, v in columns.items() if k in names})
    before = [(step.position, step.template_id, step.after) for step in known.steps]
    is_described = "steps" in spec.model_fields_set or spec.destination == "voice"
    if before != steps and is_described:
        known.steps.clear()
        work.session.flush()
        known.steps.extend(_step(step) for step in steps)
        work.session.flush()
        work.changed(scope, "update", target, [f"{len(steps)} steps"])


_COLUMNS = {
    "template": "template_id",
    "population": "population_id",
    "suppression_list": "suppression_list_id",
    "sender": "sender_id",
    "messaging_service": "sender_id",
}


def _step(step: Step) -> CommunicationStep:
    position, template_id, after = step
    return CommunicationStep(position=position, template_id=template_id, after=after)
