"""The demonstration's configuration fits the sandbox that it is shown on, and the application."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from flask.testing import FlaskCliRunner

from sandbox.core import Sandbox
from sandbox.seed import NUMBERS, OFFICE, plant
from sandbox.settings import Settings

DEMO = Path(__file__).parents[2] / "sandbox" / "demo.yaml"


def test_it_names_what_the_sandbox_has() -> None:
    settings = Settings()
    plant(box := Sandbox(settings), settings)
    client = yaml.safe_load(DEMO.read_text())["clients"][0]
    credential = client["credentials"][0]
    assert credential["account_sid"] == settings.account_sid
    assert credential["auth_token"] == settings.auth_token
    assert credential["api_key_sid"] == settings.api_key_sid
    assert credential["api_key_secret"] == settings.api_key_secret
    assert client["endpoints"][0]["secret"] == settings.endpoint_secret
    assert {n["number"] for n in client["numbers"]} == {*NUMBERS, OFFICE}
    service = client["messaging_services"][0]
    assert service["sid"] == settings.service_sid
    pool = box.store.numbers_of(settings.service_sid)
    assert service["numbers"] == [number.phone for number in pool]
    named = {p["toPhone"]: p["toName"] for p in client["populations"][1]["members"]}
    for person in box.store.phones.values():
        assert person.name.startswith(named[person.phone])


@pytest.mark.settings(
    ENVIRONMENT="development",
    SANDBOX_PUBLIC_URL="http://127.0.0.1:8001",
    WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8",
)
def test_flask_apply_takes_it_and_finds_nothing_to_do_again(
    flask_command: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDBOX_PUBLIC_URL", "http://127.0.0.1:8001")
    first = flask_command.invoke(args=["apply", str(DEMO)])
    assert first.exit_code == 0, first.output
    assert "client registrar" in first.output
    again = flask_command.invoke(args=["apply", str(DEMO)])
    assert again.exit_code == 0
    assert "+ " not in again.output
