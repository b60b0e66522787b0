"""Campaigns, communications, and whom a client wants told what became of its messages."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.domain import mistakes
from app.domain.configuration.work import Scope, Work
from app.domain.editing.communication_edit import Step, resolve, step_row
from app.domain.editing.specs import CommunicationSpec
from app.domain.mistakes import Refused
from app.domain.relaying.callbacks import CallbacksSpec, grant, save_callbacks
from app.models.communication import Campaign, Communication


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
        grant(work.session, scope.client_id, spec)
        for event in save_callbacks(work.session, scope.client_id, spec):
            work.changed(scope, "update", f"callback {event}", [])


def communications(work: Work, scope: Scope) -> None:
    """Keep communications, in campaigns that are made as they are named."""
    for path, spec in work.items(scope, "communications", CommunicationSpec):
        with work.at(scope, path):
            columns, steps = resolve(work.session, scope.client_id, spec)
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
                known.steps.extend(step_row(step) for step in steps)
                work.session.flush()
                work.changed(scope, "create", target, [])
            else:
                _update(work, scope, target, known, spec, columns, steps)
            if spec.callbacks is not None:
                with work.at(scope, (*path, "callbacks")):
                    grant(work.session, scope.client_id, spec.callbacks)
                    for event in save_callbacks(
                        work.session, scope.client_id, spec.callbacks, communication=known
                    ):
                        work.changed(scope, "update", target, [f"callback {event}"])


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
        known.steps.extend(step_row(step) for step in steps)
        work.session.flush()
        work.changed(scope, "update", target, [f"{len(steps)} steps"])


_COLUMNS = {
    "template": "template_id",
    "population": "population_id",
    "suppression_list": "suppression_list_id",
    "sender": "sender_id",
    "messaging_service": "sender_id",
}
