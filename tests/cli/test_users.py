"""`flask user add`: people who sign in."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskCliRunner

from app.domain import passwords
from app.models.client import Client
from app.models.house import AuditEntry
from app.models.user import Membership, Role, User
from tests.support.rows import Rows


@pytest.fixture(autouse=True)
def registrar(rows: Rows) -> None:
    rows.add(Client(name="registrar", owner_email="owner@example.edu"))


def add(runner: FlaskCliRunner, *arguments: str, code: int = 0) -> str:
    result = runner.invoke(args=["user", "add", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_a_person_of_a_client_gets_a_generated_password_off_a_terminal(
    flask_command: FlaskCliRunner, rows: Rows
) -> None:
    printed = add(flask_command, "Pat@Example.edu", "--client", "registrar", "--role", "owner")
    user = rows.one(User)
    assert (user.email, user.is_support) == ("pat@example.edu", False)
    assert rows.one(Membership).role is Role.OWNER
    found = re.search(r"shown only now: (\S+)", printed)
    assert found is not None
    assert passwords.verify(user.password_hash, found[1])
    assert found[1] not in "".join(str(entry.details) for entry in rows.all(AuditEntry))


def test_a_person_of_support(flask_command: FlaskCliRunner, rows: Rows) -> None:
    add(flask_command, "sam@example.edu", "--support")
    assert rows.one(User).is_support
    assert rows.count(Membership) == 0


def test_a_person_who_is_there_keeps_the_password(
    flask_command: FlaskCliRunner, rows: Rows
) -> None:
    add(flask_command, "pat@example.edu", "--client", "registrar")
    before = rows.one(User)
    printed = add(flask_command, "pat@example.edu", "--client", "registrar", "--role", "owner")
    assert "shown only now" not in printed
    assert rows.one(User).password_hash == before.password_hash
    assert rows.one(Membership).role is Role.OWNER
    again = add(flask_command, "pat@example.edu", "--client", "registrar", "--role", "owner")
    assert again == "nothing to change\n"


def test_a_person_without_a_password_gets_the_first(
    flask_command: FlaskCliRunner, rows: Rows
) -> None:
    rows.add(User(email="lee@example.edu"))
    assert "shown only now" in add(flask_command, "lee@example.edu")
    assert rows.one(User).password_hash


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pat@example.edu", "--client", "library"), "There are: registrar."),
        (("pat", "--support"), "not an e-mail address"),
        (("pat@example.edu",), "--client NAME"),
        (("pat@example.edu", "--client", "registrar", "--role", "boss"), "owner"),
    ],
    ids=["client", "address", "nothing", "role"],
)
@pytest.mark.database("sqlite")
def test_what_is_wrong_is_said_and_nobody_added(
    flask_command: FlaskCliRunner, rows: Rows, arguments: tuple[str, ...], words: str
) -> None:
    assert words in add(flask_command, *arguments, code=2)
    assert rows.count(User) == 0
