"""What a sender should know before a batch of calls is started."""

from __future__ import annotations

import pytest
from flask import Flask

from app.domain.sending.preflight import preflight
from app.extensions import db
from app.models.communication import Communication, MachineDetection
from app.models.route import Destination
from tests.support.house import communication, furnish, join
from tests.support.rows import Rows

SPEAKS = "<Say>Please call back.</Say>"
TO_MACHINES = f"{{% if AnsweredBy == 'machine' %}}{SPEAKS}{{% endif %}}"


@pytest.mark.parametrize(
    ("detection", "inside", "advised"),
    [
        (MachineDetection.CONTINUE, TO_MACHINES, True),
        (MachineDetection.WAIT_FOR_BEEP, TO_MACHINES, False),
        (MachineDetection.HANG_UP, TO_MACHINES, False),
        (MachineDetection.OFF, TO_MACHINES, False),
        (MachineDetection.CONTINUE, SPEAKS, False),
        (MachineDetection.CONTINUE,
         "{% if AnsweredBy == 'machine' %}<Hangup/>{% else %}" + SPEAKS + "{% endif %}", False),
    ],
    ids=["speaks to machines", "after the beep", "hangs up", "does not listen", "to everybody",
         "template hangs up"],
)  # fmt: skip
def test_waiting_for_the_beep_is_suggested_where_a_template_speaks_to_machines(
    detection: MachineDetection, inside: str, advised: bool, app: Flask, rows: Rows
) -> None:
    house = furnish(rows)
    made = communication(
        rows, house, f"<Response>{inside}</Response>", destination=Destination.VOICE,
        machine_detection=detection,
    )  # fmt: skip
    join(rows, made, {"toPhone": "+13195550150"})
    with app.app_context():
        session = db.session()
        found = preflight(session, session.get_one(Communication, made.id))
    kinds = [warned.code for warned in found.warnings]
    assert ("wait_for_beep" in kinds) is advised
