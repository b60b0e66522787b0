"""`flask keys rotate`: every secret under the newest key, so that the old one can go."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import LargeBinary, select, type_coerce

from app.domain import encryption
from app.extensions import db
from app.models.client import Client
from app.models.credential import Credential, SavedCredential
from app.models.endpoint import Endpoint, EndpointKind, EndpointSecret
from tests.support.rows import Rows

NEW = Fernet.generate_key().decode()
COLUMNS = {
    "credential.auth_token", "credential.next_auth_token", "credential.api_key_secret",
    "credential.webhook_key", "credential.next_webhook_key",
    "saved_credential.password", "endpoint_secret.secret",
}  # fmt: skip


@pytest.fixture
def secrets(rows: Rows) -> None:
    client = Client(name="registrar", owner_email="owner@example.edu")
    rows.add(client)
    endpoint = Endpoint(
        client_id=client.id, kind=EndpointKind.WEBHOOK, name="sis", url="https://sis.example.edu"
    )
    rows.add(
        endpoint,
        SavedCredential(client_id=client.id, name="legacy", username="u", password="legacy"),
        *(
            Credential(
                client_id=client.id, name=f"c{n}", account_sid="AC" + "0" * 32, auth_token=f"t{n}"
            )
            for n in range(7)
        ),
    )
    rows.add(EndpointSecret(endpoint_id=endpoint.id, secret="whsec_x"))


def use_keys(app: Flask, *keys: str) -> None:
    settings = app.extensions["settings"]
    app.extensions["settings"] = replace(settings, encryption_keys=keys)


def readable_with(app: Flask, key: str) -> int:
    """Count the stored values that `key` reads by itself."""
    found = 0
    with app.app_context():
        for _table, column in encryption.encrypted_columns():
            for token in db.session.scalars(select(type_coerce(column, LargeBinary))):
                if token is not None:
                    Fernet(key).decrypt(token)
                    found += 1
    return found


def test_every_encrypted_column_is_found(app: Flask) -> None:
    found = {f"{table.name}.{column.name}" for table, column in encryption.encrypted_columns()}
    assert found >= COLUMNS


@pytest.mark.usefixtures("secrets")
def test_everything_can_be_read_with_the_new_key_alone(
    app: Flask, flask_command: FlaskCliRunner, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encryption, "BATCH", 3)  # so that there are several
    old = app.extensions["settings"].encryption_keys[0]
    use_keys(app, NEW, old)
    result = flask_command.invoke(args=["keys", "rotate"])
    assert result.exit_code == 0
    assert "credential.auth_token: 7 encrypted anew, 0 fresh already" in result.output
    assert readable_with(app, NEW) == 9
    use_keys(app, NEW)
    assert {one.auth_token for one in rows.all(Credential)} == {f"t{n}" for n in range(7)}
    assert rows.one(SavedCredential).password == "legacy"
    assert rows.one(EndpointSecret).secret == "whsec_x"


@pytest.mark.usefixtures("secrets")
def test_a_second_run_writes_nothing(app: Flask, flask_command: FlaskCliRunner) -> None:
    result = flask_command.invoke(args=["keys", "rotate"])
    assert "credential.auth_token: 0 encrypted anew, 7 fresh already" in result.output


@pytest.mark.usefixtures("secrets")
def test_what_no_key_reads_is_reported_and_left(
    app: Flask, flask_command: FlaskCliRunner, rows: Rows
) -> None:
    old = app.extensions["settings"].encryption_keys[0]
    use_keys(app, NEW)
    result = flask_command.invoke(args=["keys", "rotate"])
    assert result.exit_code == 1
    assert "credential.auth_token: 7 cannot be read" in result.output
    assert readable_with(app, old) == 9
