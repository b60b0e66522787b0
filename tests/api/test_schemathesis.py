"""The served document against the served API: no 5xx, no undocumented answer, no leak.

Two departments are there. Every call is made with the registrar's key: with what the document
allows and with what it does not, and with the ids of the registrar's things and of the library's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from app.api.operation import IDEMPOTENCY_KEY
from app.models.base import utcnow
from app.models.batch import Batch
from app.models.delivery import Delivery, DeliveryState, EventType
from app.models.hours import Hours
from tests.api.test_lists import incoming, message
from tests.support.departments import Caller, Department
from tests.support.rows import Rows

pytestmark = [
    pytest.mark.settings(API_REQUESTS_PER_MINUTE="1000000"),
    pytest.mark.timeout(240),
]
EXAMPLES = 8
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


def furnish(rows: Rows, of: Department) -> dict[str, list[str]]:
    """Add what the departments lack; return the parts of paths that lead to each thing."""
    now = utcnow()
    sent, came = message(of), incoming(of)
    batch = Batch(
        client_id=of.client.id,
        communication_id=of.texts.id,
        scheduled_at=now,
        created_by="test",
        lane_key=f"sms:{of.number.id}",
    )
    delivery = Delivery(
        client_id=of.client.id, type=EventType.SMS_RECEIVED, body="{}", sequence=1,
        endpoint_id=of.endpoint.id, occurred_at=now, give_up_at=now, state=DeliveryState.DELIVERED,
    )  # fmt: skip
    hours = Hours(
        client_id=of.client.id, name=f"office {of.number.id}", week={"mon": ["08:00-17:00"]}
    )
    rows.add(sent, came, batch, delivery, hours)
    return {
        "campaign_id": [of.campaign.id],
        "communication_id": [of.texts.id, of.calls.id],
        "population_id": [of.population.id],
        "template_id": [of.reply.id],
        "list_id": [of.suppression.id],
        "number": [of.number.address, of.number.id],
        "endpoint_id": [of.endpoint.id],
        "message_id": [sent.id],
        "inbound_id": [came.id],
        "batch_id": [batch.id],
        "delivery_id": [delivery.id],
        "phone": ["+13195550198"],
        "name": [hours.name],
    }


def test_every_call_answers_as_documented(
    app: Flask, api: Caller, registrar: Department, library: Department, rows: Rows
) -> None:
    mine, theirs = furnish(rows, registrar), furnish(rows, library)
    secrets = [library.key, library.client.id, library.client.name, library.number.address]
    seen: Counter[int] = Counter()
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)

    def try_out(case: Any, known: dict[str, list[str]] | None) -> None:
        names = set(case.path_parameters or {})
        if known is not None:
            case.path_parameters = {name: known[name][-1] for name in names}
        if known is theirs:  # one used before for something of mine is 409, whatever it asks for
            (case.headers or {}).pop(IDEMPOTENCY_KEY, None)
        response = case.call(headers=api.headers)
        seen[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)
        assert not any(secret in response.text for secret in secrets)
        if known is theirs:
            assert response.status_code in (404, 422, 400)

    for result in schema.get_all_operations():
        operation = result.ok()
        names = {parameter.name for parameter in operation.path_parameters}
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
                continue
            strategy = operation.as_strategy(generation_mode=mode)
            # Names are each client's own: with another's name one makes a thing for oneself.
            others = (mine,) if "name" in names else (mine, theirs)
            for known in (None, *others) if names else (None,):
                _explore(strategy, partial(try_out, known=known))
    assert {200, 201, 404, 422} <= set(seen)
    assert sum(seen.values()) > 500


def _explore(strategy: Any, try_out: Callable[[Any], None]) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def explore(case: Any) -> None:
        try_out(case)

    explore()
