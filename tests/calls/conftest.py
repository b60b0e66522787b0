"""The application and a local Twilio, each calling the other, and a department with a number."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import update

from app.models.credential import Credential
from embedded.process import free_port
from sandbox.settings import ACCOUNT_SID, AUTH_TOKEN
from tests.support.environment import BASE
from tests.support.house import House, furnish
from tests.support.live import sandbox, served
from tests.support.rows import Rows
from tests.support.sandbox import Running


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def box(port: int) -> Iterator[Running]:
    with sandbox(f"http://127.0.0.1:{port}") as running:
        running.put(f"accounts/{ACCOUNT_SID}", {"calls_per_second": 100})
        yield running


@pytest.fixture
def environ(database_url: str, redis_url: str, box: Running, port: int) -> dict[str, str]:
    return {
        **BASE,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "TWILIO_API_BASE_URL": box.url,
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
    }


@pytest.fixture
def live(app: Flask, port: int) -> Iterator[None]:
    with served(app, port):
        yield


@pytest.fixture
def house(rows: Rows, live: None) -> House:
    made = furnish(rows, account_sid=ACCOUNT_SID)
    rows.change(update(Credential).values(calls_per_second=50, auth_token=AUTH_TOKEN))
    return made
