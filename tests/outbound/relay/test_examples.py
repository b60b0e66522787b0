"""The examples in docs believe what we sign and what the library signs, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from standardwebhooks import Webhook

from app.models.delivery import Delivery
from tests.support.clients import SECRET, Department
from tests.support.relay import Receiver, run

EXAMPLES = Path(__file__).parents[3] / "docs/examples"
PROGRAMS = {".py": sys.executable, ".mjs": "node", ".php": "php"}
OTHER = "whsec_" + "b3RoZXI" * 4


@dataclass(frozen=True)
class Event:
    """A signed request, as it arrived."""

    id: str
    timestamp: str
    signature: str
    body: str


@pytest.fixture(params=sorted(EXAMPLES.iterdir()), ids=lambda path: path.suffix)
def example(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    if shutil.which(PROGRAMS[path.suffix]) is None:
        pytest.skip(f"There is no {PROGRAMS[path.suffix]} on this machine.")
    return path


def judge(example: Path, event: Event, secret: str = SECRET) -> tuple[int, str]:
    done = subprocess.run(
        [PROGRAMS[example.suffix], example, event.id, event.timestamp, event.signature],
        input=event.body.encode(), capture_output=True, check=False,
        env={"PATH": os.environ["PATH"], "WEBHOOK_SECRET": secret},
    )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).decode().strip()


def by_the_library(at: float) -> Event:
    body = '{"type":"sms.received","data":{"body":"I can’t come 🎓"}}'
    signature = Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(int(at), UTC), body)
    return Event("msg_1", str(int(at)), signature, body)


@pytest.mark.settings(WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8")
def test_what_we_send_is_believed(
    app: Flask, registrar: Department, receiver: Receiver, record: Callable[..., Delivery],
    example: Path,
) -> None:  # fmt: skip
    delivery = record(registrar.endpoint(receiver.url("/hooks")), status="delivered", to="Zoë 🎓")
    run(app)
    (received,) = receiver.received
    headers = [received.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")]
    answer = judge(example, Event(*headers, received.body))
    assert answer == (0, f"{delivery.type.value} {delivery.event_id}")


def test_what_the_library_signs_is_believed_and_what_was_changed_is_not(example: Path) -> None:
    now = time.time()
    event = by_the_library(now)
    assert judge(example, event) == (0, "sms.received msg_1")
    two = replace(event, signature=f"v1,AAAA v1a,BBBB {event.signature}")
    assert judge(example, two) == (0, "sms.received msg_1"), "one of several fits"
    no_fit = (1, "refused: no signature fits")
    for changed in (
        replace(event, id="msg_2"),
        replace(event, timestamp=str(int(now) - 1)),
        replace(event, body=event.body.replace("come", "Come")),
        replace(event, signature=event.signature.replace("v1,", "v2,")),
        replace(event, signature=event.signature[:-2]),
    ):
        assert judge(example, changed) == no_fit
    assert judge(example, event, OTHER) == no_fit


def test_an_old_one_is_refused_and_what_is_no_timestamp(example: Path) -> None:
    for at in (time.time() - 330, time.time() + 330):
        old = (1, "refused: the timestamp is too old or too new")
        assert judge(example, by_the_library(at)) == old
    wrong = replace(by_the_library(time.time()), timestamp="now")
    assert judge(example, wrong) == (1, "refused: the timestamp is no number")


def test_the_page_names_every_example() -> None:
    page = (EXAMPLES.parent / "endpoints.md").read_text()
    assert [one.name for one in EXAMPLES.iterdir() if f"examples/{one.name}" not in page] == []
    assert {one.suffix for one in EXAMPLES.iterdir()} == set(PROGRAMS)
