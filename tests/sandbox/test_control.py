"""The control API: mistakes are explained, switches switch, the program starts and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from embedded.process import free_port
from sandbox.overrides import split
from sandbox.settings import from_environment
from tests.support.sandbox import PERSON, Running, eventually

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("method", "path", "data", "words"),
    [
        ("post", "texts", {"from": PERSON, "to": "+13195559999"}, "No account"),
        ("post", "texts", {"from": 5, "to": "+13195550100"}, "from must be a string"),
        ("post", "texts", {"from": PERSON, "to": "+13195550100", "media": [1]}, "media is a list"),
        ("post", "calls", {"from": PERSON, "to": "31955"}, "takes calls"),
        ("post", "calls/CA0/hangup", {}, "has ended"),
        ("put", f"phones/{PERSON}", {"answers": "maybe"}, "answers is one of"),
        ("put", f"phones/{PERSON}", {"colour": "red"}, "A phone has"),
        ("put", "faults", {"rest": [{"mode": "fire"}]}, "needs a mode"),
        ("put", "faults", {"webhooks": {"fire": 1}}, "webhook faults are"),
        ("put", "faults", {"fire": 1}, "unknown fault: fire"),
        ("put", "time", {"speed": 0}, "speed must be above 0"),
        ("put", "time", {"sent": -1}, "0 or more"),
        ("put", "numbers/+13195550188", {"account_sid": "AC0"}, "There is no account"),
        ("put", "services/MG0", {}, "There is no messaging service"),
        ("put", "endpoints/demo", {"mode": "fire"}, "mode is one of"),
    ],
)
def test_mistakes(running: Running, method: str, path: str, data: object, words: str) -> None:
    answer = requests.request(method, f"{running.url}/sandbox/{path}", json=data, timeout=5)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_a_form_of_another_site_is_refused(running: Running) -> None:
    data = {"from": PERSON, "to": "+13195550100"}
    answer = requests.post(f"{running.url}/sandbox/texts", data=data, timeout=5)
    assert answer.status_code == 400


def test_a_new_number_points_at_an_application(running: Running) -> None:
    running.put("numbers/+13195550188", {"app_url": "http://127.0.0.1:9", "rate": 7})
    number = running.client().incoming_phone_numbers.list(phone_number="+13195550188")[0]
    assert number.sms_url.startswith("http://127.0.0.1:9/inbound/sms#rc=")
    assert running.box.store.numbers["+13195550188"].segments_per_second == 7


def test_unknown_paths(running: Running) -> None:
    sid = running.box.settings.account_sid
    answer = requests.get(f"{running.url}/2010-04-01/Accounts/{sid}/Nothing.json", timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/x", (5.0, 15.0, 15.0, 1, {"ct"})),
        ("https://a.example/x#rc=2&rp=5xx,ct,rt", (5.0, 15.0, 15.0, 2, {"5xx", "ct", "rt"})),
        ("https://a.example/x#ct=200&rt=300&tt=400&rc=0", (0.2, 0.3, 0.4, 0, {"ct"})),
    ],
)
def test_overrides(url: str, expected: tuple[object, ...]) -> None:
    bare, got = split(url)
    assert bare == "https://a.example/x"
    assert (got.connect, got.read, got.total, got.retries, set(got.policy)) == expected


@pytest.mark.parametrize("fragment", ["rc=6", "ct=50", "tt=x", "rp=never"])
def test_wrong_overrides(fragment: str) -> None:
    with pytest.raises(ValueError, match=r"must be|knows"):
        split("https://a.example/x#" + fragment)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SANDBOX_PORT", "http"), ("SANDBOX_SPEED", "0"), ("SANDBOX_APP_URL", "localhost")],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        from_environment({name: value})


@pytest.mark.processes
def test_it_starts_and_stops_as_a_program() -> None:
    ports = {"SANDBOX_PORT": str(free_port()), "SANDBOX_SMTP_PORT": str(free_port())}
    environment = {**os.environ, **ports}
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox"], cwd=ROOT, env=environment, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"sandbox: phone page")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()


def test_a_slow_application_is_cut_off_in_time(running: Running) -> None:
    """A byte now and then does not keep a request alive beyond its total."""
    import socket
    import threading
    import time

    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        try:
            for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000:
                connection.sendall(bytes([byte]))
                time.sleep(0.05)
        except OSError:
            connection.close()

    threading.Thread(target=drip, daemon=True).start()
    port = listener.getsockname()[1]
    number = running.box.store.numbers["+13195550100"]
    number.sms_url, number.sms_fallback_url = f"http://127.0.0.1:{port}/#tt=600", ""
    started = time.monotonic()
    running.text("Hi")
    assert time.monotonic() - started < 20  # all of it would take five minutes
    assert eventually(lambda: running.get("alerts")["items"])[0]["code"] == 11203
    listener.close()
