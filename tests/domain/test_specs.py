"""Every number that anybody can write down has its bounds, in the form and in the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, Lt
from flask import Flask
from pydantic import BaseModel, TypeAdapter, ValidationError
from sqlalchemy import CheckConstraint, Float, Integer, Numeric, inspect, text
from sqlalchemy.exc import DBAPIError

import app.api.openapi
import app.cli.configuration.run  # noqa: F401 - and every part of the file
from app.api import paging, suppression_lists
from app.domain.mistakes import Refused, parse
from app.domain.specs import Instant, Spec
from app.extensions import db, unit_of_work
from app.models.base import HIGHEST_RATE, LOWEST_RATE
from tests.support.house import communication, furnish
from tests.support.rows import Rows

HOSTILE = {
    "true": True,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "1e300": 1e300,
    "1e-300": 1e-300,
    "minus one million": -1_000_000_000_001,
    "beyond BIGINT": 2**63,
    "beyond every integer": 10**400,
    "beyond BIGINT, as text": str(2**64),
    "words": "many",
    "no ASCII digits, a fraction": "٣.٥",
    "5000 digits": "9" * 5000,
    "list": [1],
}


def models(root: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in root.__subclasses__():
        yield model
        yield from models(model)


def numbers_of(annotation: Any, metadata: tuple[Any, ...]) -> Iterator[tuple[type, list[Any]]]:
    """Yield the number types of a field, each with what limits it."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        yield from numbers_of(inner, (*metadata, *more))
    elif get_args(annotation) and get_origin(annotation) not in (list, dict):
        for one in get_args(annotation):
            yield from numbers_of(one, metadata)
    elif annotation in (int, float):
        yield annotation, [limit for one in metadata for limit in getattr(one, "metadata", [one])]


MODELS = {*models(Spec), paging.PageQuery, suppression_lists.EntriesQuery}
FIELDS = [
    (model, name)
    for model in sorted(MODELS, key=lambda model: model.__name__)
    for name, field in model.model_fields.items()
    if list(numbers_of(field.annotation, tuple(field.metadata)))
]


def test_the_walk_finds_fields() -> None:
    assert len(FIELDS) >= 18


@pytest.mark.parametrize(("model", "name"), FIELDS, ids=lambda one: getattr(one, "__name__", one))
def test_a_number_has_a_least_and_a_most(model: type[BaseModel], name: str) -> None:
    field = model.model_fields[name]
    for kind, limits in numbers_of(field.annotation, tuple(field.metadata)):
        assert any(isinstance(one, Ge | Gt) for one in limits), f"{kind} {name} has no least"
        most = [getattr(one, "le", None) or getattr(one, "lt", None) for one in limits
                if isinstance(one, Le | Lt)]  # fmt: skip
        assert most, f"{kind} {name} has no most"
        assert max(most) < 2**31


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize(("model", "name"), FIELDS, ids=lambda one: getattr(one, "__name__", one))
def test_hostile_numbers_get_a_sentence(model: type[BaseModel], name: str, value: object) -> None:
    field = model.model_fields[name]
    with pytest.raises(Refused) as refused:
        parse(model, {field.alias or name: value})
    told = [
        one.message for one in refused.value.mistakes if one.field.startswith(field.alias or name)
    ]
    assert told
    assert all(sentence.endswith(".") and len(sentence) < 300 for sentence in told)


@pytest.mark.parametrize(
    ("year", "possible"), [("0001", False), ("1998", False), ("2026", True), ("9999", False)]
)
def test_a_time_is_in_years_that_can_be_reckoned_with(year: str, possible: bool) -> None:
    written = f"{year}-01-01T00:00:00+14:00" if year == "0001" else f"{year}-12-31T23:59:59-12:00"
    try:
        TypeAdapter(Instant).validate_python(written)
        accepted = True
    except ValidationError:
        accepted = False
    assert accepted is possible


CHECKED = sorted(
    (table.name, str(check.sqltext).split()[0])
    for table in db.metadata.sorted_tables
    for check in table.constraints
    if isinstance(check, CheckConstraint) and str(check.name).endswith("_is_possible")
)
IMPOSSIBLE = ["1e300", "1e-300", "-1", "'NaN'", "9e999", "2147483648"]


def test_rates_lie_where_the_contract_says() -> None:
    assert (LOWEST_RATE, HIGHEST_RATE) == (0.01, 1000)
    assert {("sender", "rate"), ("credential", "calls_per_second"), ("lane", "rate")} <= {*CHECKED}


@pytest.mark.parametrize("value", IMPOSSIBLE)
@pytest.mark.parametrize(("table", "column"), CHECKED, ids=str)
def test_the_database_refuses_what_no_form_lets_in(
    app: Flask, rows: Rows, table: str, column: str, value: str
) -> None:
    if value == "1e-300" and not isinstance(_column(table, column).type, Float):
        pytest.skip("a whole number is rounded to 0, which some of these may be")
    house = furnish(rows)
    communication(rows, house, "one", "two")
    with app.app_context(), unit_of_work() as session:
        session.execute(text("INSERT INTO lane (key, rate, next_slot_us) VALUES ('sms:1', 1, 0)"))
    number = "9e999" if value == "9e999" and db_is_sqlite(app) else value
    number = "'Infinity'" if value == "9e999" and not db_is_sqlite(app) else number
    with app.app_context(), pytest.raises(DBAPIError), unit_of_work() as session:
        session.execute(text(f'UPDATE "{table}" SET "{column}" = {number}'))


def _column(table: str, column: str) -> Any:
    return db.metadata.tables[table].columns[column]


def db_is_sqlite(app: Flask) -> bool:
    with app.app_context():
        return db.engine.dialect.name == "sqlite"


def test_every_number_of_a_clients_own_is_checked(app: Flask) -> None:
    """Of the tables that people write into, each number has its constraint in the database too."""
    with app.app_context():
        inspector = inspect(db.engine)
        for table in {table for table, _ in CHECKED}:
            held = {one["name"] for one in inspector.get_check_constraints(table)}
            for column in db.metadata.tables[table].columns:
                if (
                    isinstance(column.type, Integer | Float | Numeric)
                    and (table, column.name) in CHECKED
                ):
                    assert f"ck_{table}_{column.name}_is_possible" in held
