"""/metrics: figures for those who have the token."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from app.models.message import Message, MessageState
from app.models.route import Channel
from tests.support.inbound import NUMBER, PHONE, Department
from tests.support.rows import Rows
from tests.support.twilio import Twilio, call_parameters

TOKEN = "let-me-see"


def test_without_the_setting_there_is_none(client: FlaskClient) -> None:
    assert client.get("/metrics").status_code == 404


@pytest.mark.settings(METRICS_TOKEN=TOKEN)
@pytest.mark.parametrize("given", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "é"])
def test_only_with_the_token(given: str | None, client: FlaskClient) -> None:
    headers = {} if given is None else {"Authorization": given.encode().decode("latin-1")}
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def figures(client: FlaskClient) -> dict[tuple[str, str], float]:
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.mark.settings(METRICS_TOKEN=TOKEN)
def test_what_waits_is_counted(rows: Rows, client: FlaskClient) -> None:
    department = Department(rows)
    number = department.number()
    for state in (MessageState.WAITING, MessageState.WAITING, MessageState.ACCEPTED):
        rows.add(
            Message(
                client_id=department.client.id,
                destination=Channel.SMS,
                sender_id=number.id,
                credential_id=department.credential.id,
                to=PHONE,
                from_=NUMBER,
                state=state,
            )
        )
    found = figures(client)
    assert found["dispatch_database_up", ""] == 1
    assert found["dispatch_messages", "waiting"] == 2
    assert found["dispatch_messages", "claimed"] == 0
    assert found["dispatch_deliveries", "pending"] == 0


@pytest.mark.settings(METRICS_TOKEN=TOKEN)
def test_reports_about_what_is_gone_are_counted(
    rows: Rows, client: FlaskClient, twilio: Twilio
) -> None:
    Department(rows).number()
    before = figures(client).get(("dispatch_unknown_ids_total", "dialed"), 0)
    assert twilio.post(f"/inbound/voice/dialed/{'0' * 26}", call_parameters()).status_code == 204
    assert figures(client)["dispatch_unknown_ids_total", "dialed"] == before + 1
