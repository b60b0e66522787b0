"""What was bought or verified is there again after a restart; what was given back is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import kept
from sandbox.core import Sandbox
from sandbox.records import CallerId
from sandbox.seed import NUMBERS, plant
from sandbox.settings import Settings
from tests.support.sandbox import Running, eventually

BOUGHT = "+13192000001"


def restarted(path: Path) -> Sandbox:
    settings = Settings(app_url="http://127.0.0.1:9")
    box = Sandbox(settings)
    plant(box, settings)
    kept.load(box, path)
    return box


def test_over_a_restart(running: Running, tmp_path: Path) -> None:
    path = tmp_path / "state" / "sandbox.json"
    kept.follow(running.box, path)
    number = running.client().incoming_phone_numbers.create(
        phone_number=BOUGHT, sms_url="https://d.test/inbound/sms"
    )
    running.box.store.caller_ids["PN1"] = CallerId("+13195550142", number.account_sid, sid="PN1")
    service = running.client().messaging.v1.services.create("Outreach 2")
    eventually(lambda: path.exists() and service.sid in path.read_text())
    box = restarted(path)
    again = box.store.numbers[BOUGHT]
    assert (again.sid, again.sms_url) == (number.sid, "https://d.test/inbound/sms")
    assert again.date_created.tzinfo is not None
    assert box.store.caller_ids["PN1"].phone == "+13195550142"
    assert box.store.services[service.sid].friendly_name == "Outreach 2"
    assert set(NUMBERS) < set(box.store.numbers)
    assert len(box.store.caller_ids) == 2  # the office, planted each time, is there once
    number.delete()
    eventually(lambda: BOUGHT not in path.read_text())
    assert BOUGHT not in restarted(path).store.numbers


def test_what_is_no_such_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.json"
    restarted(path)  # nothing was kept yet
    path.write_text("{}")
    with pytest.raises(ValueError, match="remove it to begin anew"):
        restarted(path)
