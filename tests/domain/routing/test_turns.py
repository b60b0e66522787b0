"""Two people at once: one hands a number's texts over, one gives it a suppression list."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from flask import Flask

from app.domain.mistakes import Refused
from app.domain.routing import routes
from app.extensions import unit_of_work
from app.models.route import Destination
from app.models.sender import Sender
from tests.support.departments import Department, department
from tests.support.rows import Rows

OWN = {"handler": "handle_yourself", "url": "https://twiml.example.edu/sms"}
PATIENCE = 0.5
"""Seconds for which the first keeps the second waiting, who would be done long before."""


def hand_over(house: Department, hold: Callable[[], None]) -> None:
    with unit_of_work() as session:
        number = session.get_one(Sender, house.number.id)
        routes.save_route(
            session, number, Destination.SMS, routes.parse(Destination.SMS, OWN), "pat"
        )
        hold()


def choose_list(house: Department, hold: Callable[[], None]) -> None:
    with unit_of_work() as session:
        number = session.get_one(Sender, house.number.id)
        number.suppression_list_id = house.suppression.id
        if reason := routes.conflict(session, number):
            raise Refused.because(reason)
        hold()


@pytest.mark.database("postgresql")  # SQLite has one writer at a time
@pytest.mark.parametrize(
    ("first", "second"),
    [(hand_over, choose_list), (choose_list, hand_over)],
    ids=["texts handed over first", "list chosen first"],
)
def test_whoever_is_second_is_refused(
    app: Flask,
    rows: Rows,
    first: Callable[[Department, Callable[[], None]], None],
    second: Callable[[Department, Callable[[], None]], None],
) -> None:
    house = department(rows, "registrar", "11")
    saved, done = Event(), Event()

    def hold() -> None:
        saved.set()
        done.wait(PATIENCE)

    def begin() -> None:
        with app.app_context():
            first(house, hold)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(begin)
        assert saved.wait(10)
        with app.app_context(), pytest.raises(Refused, match="STOP"):
            second(house, done.set)
        running.result(10)
