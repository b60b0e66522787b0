"""What templates cost when many people get one: each by itself, and all of them in bounds."""

from __future__ import annotations

import pytest
from flask import Flask

from app.domain.content import budget
from app.domain.sending import preflight
from app.domain.sending.forecast import Forecast
from app.extensions import db
from app.models.communication import Communication
from tests.support.house import communication, furnish, join
from tests.support.rows import Rows

PEOPLE = 12
DEAR = "Hi {{ toName }}{% set x = 'a-' %}" + "{% set x = x ~ x %}" * 12 + "{{ x|title|length }}" * 4
"""About 200,000 units: five such people cost more than the budget of one request."""


def forecast(app: Flask, rows: Rows, examined: int | None = preflight.EXAMINED) -> Forecast:
    made = communication(rows, furnish(rows), DEAR)
    for n in range(PEOPLE):
        name = {"toName": f"Ann {n}"} if n else {"toName": "x" * 20_000}
        join(rows, made, {**name, "toPhone": f"+131955501{n:02}"})
    with app.app_context(), budget.fresh():  # as in a web request
        session = db.session()
        found = session.get_one(Communication, made.id)
        return preflight.preflight(session, found, examined=examined)


def test_what_one_person_costs_is_no_others_loss(app: Flask, rows: Rows) -> None:
    found = forecast(app, rows)
    assert found.examined == PEOPLE
    assert found.recipients == PEOPLE - 1
    assert found.invalid == 1


def test_a_look_ahead_stops_where_it_would_take_long_and_says_so(
    app: Flask, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "WORK", budget.UNITS)
    found = forecast(app, rows)
    assert 1 < found.examined < PEOPLE
    assert found.is_estimate
    assert found.total == PEOPLE


def test_a_look_at_everybody_looks_at_everybody(
    app: Flask, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "WORK", budget.UNITS)
    assert forecast(app, rows, examined=None).examined == PEOPLE
