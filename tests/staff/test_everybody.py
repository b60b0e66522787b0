"""Every route of the staff pages, as every kind of person, with another client's ids.

New pages are covered by being there: the walk goes over the application's own list of routes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import String, inspect, select
from werkzeug.routing import Rule

from app.extensions import Base, db
from app.models.client import Client
from app.models.user import Role, User
from tests.staff.conftest import Staff
from tests.support.departments import Department, department
from tests.support.rows import Rows

THEIRS = "zebra"
AddPerson = Callable[..., User]
SOMEONE = {
    "outsider": {},
    "staff of another client": {"role": Role.STAFF},
    "owner of another client": {"role": Role.OWNER},
}
"""Who must see and change nothing of the client called zebra."""
NOT_PAGES = {
    "staff.static",
    "staff.logout",
    "staff.end_sessions",
    "staff.provider_logout",  # a server's, signed: test_forged_sign_ins.py
}


@pytest.fixture
def zebra(rows: Rows) -> Department:
    return department(rows, THEIRS, "77")


@pytest.fixture
def own(rows: Rows) -> Department:
    return department(rows, "registrar", "11")


def rules(app: Flask) -> Iterator[tuple[Rule, str]]:
    """Return every staff route with each of its methods that a browser uses."""
    for rule in app.url_map.iter_rules():
        if str(rule).startswith("/staff") and rule.endpoint not in NOT_PAGES:
            for method in sorted((rule.methods or set()) & {"GET", "POST"}):
                yield rule, method


def keys_of(app: Flask, client: Client) -> list[str]:
    """Return the primary keys of everything that belongs to a client."""
    with app.app_context():
        found = [
            str(inspect(row).identity[0])
            for mapper in Base.registry.mappers
            if "client_id" in mapper.columns
            for row in db.session.scalars(
                select(mapper.class_).where(mapper.columns["client_id"] == client.id)
            )
        ]
    return sorted(set(found))


def everything_of(app: Flask, client: Client) -> dict[str, list[Any]]:
    """Return all columns of all rows of a client, to be compared."""
    with app.app_context(), db.engine.connect() as connection:
        return {
            table.name: sorted(
                map(str, connection.execute(select(table).where(table.c.client_id == client.id)))
            )
            for table in Base.metadata.sorted_tables
            if "client_id" in table.c
        }


def paths(rule: Rule, names: list[str], keys: list[str]) -> Iterator[str]:
    """Return the route's paths with each client's name and each of the foreign ids.

    Who is no member is turned away before any id is looked at: there one id is enough.
    """
    choices = [names if part == "client" else keys for part in sorted(rule.arguments)]
    for values in itertools.islice(itertools.product(*choices), 60):
        filled = dict(zip(sorted(rule.arguments), values, strict=True))
        ids = {value for part, value in filled.items() if part != "client"}
        if filled.get("client") == THEIRS and ids - set(keys[:1]):
            continue
        for part, converter in rule._converters.items():
            if type(converter).__name__ == "IntegerConverter":
                filled[part] = "1"
            elif type(converter).__name__ == "AnyConverter":
                filled[part] = converter.regex.strip("(?:)").partition("|")[0]
        yield re.sub(r"<(?:[^<>]*:)?(\w+)>", lambda found, known=filled: known[found[1]], str(rule))


@pytest.mark.database("sqlite")
@pytest.mark.timeout(300)  # some two thousand requests
@pytest.mark.parametrize("who", SOMEONE, ids=list(SOMEONE))
def test_nobody_sees_or_changes_another_clients_things(
    app: Flask, zebra: Department, own: Department, add_person: AddPerson, who: str
) -> None:
    visitor = Staff(app.test_client())
    if SOMEONE[who]:
        add_person("pat@example.edu", own.client, **SOMEONE[who])
        visitor.sign_in("pat@example.edu")
        token = visitor.token("/staff/account")
    else:
        token = visitor.token("/staff/login")
    names = ["registrar", THEIRS] if SOMEONE[who] else [THEIRS]
    before = everything_of(app, zebra.client)
    keys = keys_of(app, zebra.client)
    wrong = []
    for rule, method in rules(app):
        for path in dict.fromkeys(paths(rule, names, keys)):
            sent = {"csrf_token": token} if method == "POST" else None
            answer = visitor.http.open(path, method=method, data=sent)
            words = answer.get_data(as_text=True).replace(path, "")
            if answer.status_code >= 500:
                wrong.append(f"{method} {path} failed with {answer.status_code}")
            elif THEIRS in words and not rule.endpoint.startswith("staff."):
                wrong.append(f"{method} {path} shows something of {THEIRS}")
            elif f"/clients/{THEIRS}" in path and answer.status_code not in (302, 404):
                wrong.append(f"{method} {path} answered {answer.status_code}")
    assert wrong == []
    assert everything_of(app, zebra.client) == before


@pytest.mark.database("sqlite")
def test_no_form_is_taken_without_its_token(
    app: Flask, own: Department, add_person: AddPerson
) -> None:
    add_person("pat@example.edu", own.client)
    pat = Staff(app.test_client())
    pat.sign_in("pat@example.edu")
    taken = [
        path
        for rule, method in rules(app)
        if method == "POST"
        for path in paths(rule, ["registrar"], ["1"])
        if pat.http.post(path, data={"name": "x"}).status_code != 400
    ]
    assert taken == []


@pytest.mark.database("sqlite")
def test_every_page_opens_for_its_owner_and_with_hostile_words(
    app: Flask, own: Department, add_person: AddPerson, rows: Rows
) -> None:
    """Names and texts are what clients and strangers wrote: none is ever markup."""
    hostile = "<img src=x onerror=alert(1)>"
    add_person("pat@example.edu", own.client)
    pat = Staff(app.test_client())
    pat.sign_in("pat@example.edu")
    _poison(app, own.client, hostile)
    keys = keys_of(app, own.client)
    for rule, method in rules(app):
        if method == "GET" and rule.endpoint != "staff.accept_invitation":
            for path in dict.fromkeys(paths(rule, ["registrar"], keys)):
                answer = pat.http.get(path)
                assert answer.status_code < 500, path
                assert "<img src=x" not in answer.get_data(as_text=True), path


def _poison(app: Flask, client: Client, words: str) -> None:
    """Write hostile words into every column of the client's rows that people may fill."""
    with app.app_context(), db.engine.begin() as connection:
        for table in Base.metadata.sorted_tables:
            for name in ("name", "url", "label"):
                column = table.c.get(name)
                if (
                    column is not None
                    and isinstance(column.type, String)
                    and "client_id" in table.c
                ):
                    connection.execute(
                        table.update()
                        .where(table.c.client_id == client.id)
                        .values({name: column + words})
                    )
