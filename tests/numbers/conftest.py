"""An application and a local Twilio, and a client whose credential opens the demo account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app.models.client import Client
from app.models.credential import Credential
from embedded.process import free_port
from sandbox.settings import ACCOUNT_SID, API_KEY_SECRET, API_KEY_SID, AUTH_TOKEN
from tests.support.environment import BASE
from tests.support.live import sandbox, served
from tests.support.rows import Rows
from tests.support.sandbox import Running


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def box(port: int) -> Iterator[Running]:
    with sandbox(f"http://127.0.0.1:{port}") as running:
        yield running


@pytest.fixture
def environ(
    database_url: str, redis_url: str, box: Running, port: int, tmp_path: Path
) -> dict[str, str]:
    return {
        **BASE,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "TWILIO_API_BASE_URL": box.url,
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
    }


@pytest.fixture
def live(app: Flask, port: int) -> Iterator[None]:
    """The application listens where the sandbox's numbers point."""
    with served(app, port):
        yield


@pytest.fixture
def registrar(rows: Rows) -> Client:
    client = Client(name="registrar", owner_email="owner@example.edu", twilio_enabled=True)
    rows.add(client)
    rows.add(
        Credential(
            client_id=client.id, name="main", account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN,
            api_key_sid=API_KEY_SID, api_key_secret=API_KEY_SECRET,
        )
    )  # fmt: skip
    return client
