"""What `make run` prints: a curl that anybody can paste, signed for the demo number."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from twilio.request_validator import RequestValidator

from embedded import demo
from embedded.process import free_port
from embedded.run import demo_environment
from tests.support.inbound import NUMBER, Department
from tests.support.processes import Processes
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, AUTH_TOKEN

CONFIGURATION = """
support_users: [{email: support@example.edu, password: "${SUPPORT}"}]
clients:
  - name: silent
    numbers: [{number: "+13195550101", kind: verified}]
  - name: registrar
    users: [{email: pat@example.edu, role: owner, password: letmein}]
    credentials: [{name: main, account_sid: AC00, auth_token: "${TOKEN}"}]
    numbers:
      - {number: "+13195550102", credential: main}
      - {number: "+13195550103", credential: main, sms: {handler: auto_reply, template: away}}
"""
ENVIRON = {"SUPPORT": "s3cret", "TOKEN": "12345"}


def test_it_finds_the_number_that_answers_and_who_may_log_in(tmp_path: Path) -> None:
    file = tmp_path / "demo.yaml"
    file.write_text(CONFIGURATION)
    assert demo.read(file, ENVIRON) == demo.Demo(
        number="+13195550103",
        account_sid="AC00",
        auth_token="12345",
        logins=(("pat@example.edu", "letmein"), ("support@example.edu", "s3cret")),
    )


@pytest.mark.parametrize("content", ["", "clients: []", "clients: [{name: a}]"])
def test_without_a_number_that_answers_there_is_none(content: str, tmp_path: Path) -> None:
    file = tmp_path / "demo.yaml"
    file.write_text(content)
    assert demo.read(file, {}) is None


def test_the_curl_carries_a_signature_that_twilios_library_accepts() -> None:
    found = demo.Demo("+13195550103", "AC00", "12345", ())
    words = shlex.split(demo.signed_curl(found, "http://127.0.0.1:8000").replace("\\\n", ""))
    assert words[:3] == ["curl", "-sS", "http://127.0.0.1:8000/inbound/sms"]
    options = list(zip(words[3::2], words[4::2], strict=True))
    parameters = dict(v.split("=", 1) for k, v in options if k == "--data-urlencode")
    headers = dict(v.split(": ", 1) for k, v in options if k == "-H")
    assert parameters["To"] == "+13195550103"
    assert parameters["AccountSid"] == "AC00"
    assert RequestValidator("12345").validate(words[2], parameters, headers["X-Twilio-Signature"])


@pytest.mark.processes
@pytest.mark.database("sqlite")
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
def test_the_curl_gets_twiml_back_and_the_same_again(rows: Rows, processes: Processes) -> None:
    Department(rows).auto_reply("We open at 8.")
    processes.web()
    found = demo.Demo(NUMBER, ACCOUNT_SID, AUTH_TOKEN, ())
    command = demo.signed_curl(found, processes.base_url)
    first, second = (
        subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    assert "<Message" in first.stdout
    assert "We open at 8." in first.stdout
    assert second.stdout == first.stdout


def test_ports_that_are_taken_are_replaced_and_everything_agrees_on_them() -> None:
    wanted = free_port()
    environ = {"PORT": str(wanted), "SANDBOX_PORT": str(wanted), "SANDBOX_SMTP_PORT": str(wanted)}
    chosen = demo_environment(environ, "unix:///redis")
    ports = [chosen[name] for name in ("PORT", "SANDBOX_PORT", "SANDBOX_SMTP_PORT")]
    assert len(set(ports)) == 3
    web, sandbox, smtp = ports
    assert web == str(wanted)
    assert chosen["PUBLIC_BASE_URL"] == chosen["SANDBOX_APP_URL"] == f"http://127.0.0.1:{web}"
    assert chosen["TWILIO_API_BASE_URL"] == f"http://127.0.0.1:{sandbox}"
    assert chosen["SMTP_URL"] == f"smtp://127.0.0.1:{smtp}"


def test_settings_of_the_caller_win() -> None:
    environ = {"DATABASE_URL": "postgresql://db/dispatch", "LOG_LEVEL": "DEBUG"}
    chosen = demo_environment(environ, "unix:///redis")
    assert {name: chosen[name] for name in environ} == environ
