from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from app.domain.relaying import events
from app.extensions import unit_of_work
from app.models.delivery import Delivery, EventType
from app.models.endpoint import Endpoint
from tests.support.clients import Department, department
from tests.support.relay import Receiver, receiving
from tests.support.rows import Rows


@pytest.fixture
def registrar(rows: Rows) -> Department:
    return department(rows)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as endpoint:
        yield endpoint


class Recorder:
    """Records events."""

    def __init__(self, app: Flask, registrar: Department) -> None:
        self._app, self._registrar = app, registrar

    def __call__(self, endpoint: Endpoint, times: int = 1, **data: Any) -> Delivery:
        """Record `times` events and return the last one's delivery."""
        with self._app.app_context(), unit_of_work() as session:
            for _ in range(times):
                delivery = events.record(
                    session,
                    events.Happening(
                        endpoint.id,
                        EventType.MESSAGE_STATUS,
                        data or {"status": "sent"},
                        client_id=self._registrar.client.id,
                        occurred_at=datetime.now(UTC),
                    ),
                )
            assert delivery is not None
            return delivery


@pytest.fixture
def record(app: Flask, registrar: Department) -> Recorder:
    return Recorder(app, registrar)
