"""Whatever breaks: nothing lost, nothing twice, and Twilio is answered.

Real processes in traffic, judged by the records of Twilio and of the department's system. Here the
quick faults happen one after the other, each once, to three houses. `make faults` (``--faults``)
gives each of all of them a house of its own, on both databases, and prints the table.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import pytest

from tests.faults.catalogue import FAULTS, Fault
from tests.faults.conftest import ROWS, Build
from tests.faults.house import House
from tests.faults.table import HEAD, Row

SEEDS = range(3)
PATIENCE = 90.0
"""Seconds after a fault within which all must have come to its end."""
ANSWER_SECONDS = 1.0
AFTERWARDS_SECONDS = 2.0
"""How long traffic goes on when a fault is over."""
pytestmark = pytest.mark.processes


@pytest.mark.timeout(300)
@pytest.mark.database("postgresql")
@pytest.mark.parametrize("seed", SEEDS)
def test_quick_faults_lose_nothing_and_do_nothing_twice(seed: int, build: Build) -> None:
    quick = [fault for fault in FAULTS if fault.quick and "postgresql" in fault.databases]
    random.Random(len(SEEDS)).shuffle(quick)
    house = build(seed)
    began = time.monotonic()
    with house.traffic():
        house.send_to_many()
        for fault in quick[seed :: len(SEEDS)]:
            time.sleep(house.chance.uniform(0.2, 0.5))
            fault.happen(house)
    over = time.monotonic()
    house.settle(PATIENCE)
    _judge(house, [Row.of(f"seed {seed}", "postgresql", house.outside, began, over, over)])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_loses_nothing_and_does_nothing_twice(
    fault: Fault, build: Build, database_url: str, request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    house = build(1)
    with house.traffic():
        time.sleep(house.chance.uniform(0.5, 1.0))
        house.send_to_many()
        began = time.monotonic()
        fault.happen(house)
        over = time.monotonic()
        time.sleep(AFTERWARDS_SECONDS)
    end = time.monotonic()
    house.settle(PATIENCE)
    dialect = database_url.partition(":")[0]
    row = Row.of(fault.name, dialect, house.outside, began, over, end)
    request.config.stash.setdefault(ROWS, []).append(str(row))
    with capsys.disabled():
        print(f"\n{row}")
    _judge(house, [row])
    assert row.slowest_afterwards <= ANSWER_SECONDS, row
    assert row.unanswered_afterwards == 0, row
    if not fault.stops_answers:
        assert row.slowest <= ANSWER_SECONDS, row
        assert row.unanswered == 0, row


def _judge(house: House, table: Sequence[Row]) -> None:
    """Fail if anything was lost or came twice, whenever it began."""
    wrong = [unit for unit in house.outside.units.values() if unit.is_lost or unit.is_twice]
    if wrong:
        report = [*HEAD, *map(str, table), house.locks(), *map(str, wrong)]
        pytest.fail("\n".join(report), pytrace=False)
    house.eventually(
        lambda: set(house.outside.states_of_batches()) == {"complete"}, "the batches are over"
    )
