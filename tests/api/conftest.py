"""Two departments, and a client system of each."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.support.departments import Caller, Department, department
from tests.support.rows import Rows


@pytest.fixture
def registrar(rows: Rows) -> Department:
    return department(rows, "registrar", "11")


@pytest.fixture
def library(rows: Rows) -> Department:
    """Another client, whose things must stay unseen."""
    return department(rows, "library", "22")


@pytest.fixture
def api(client: FlaskClient, registrar: Department) -> Caller:
    """The registrar's system, with its key in the header."""
    return Caller.by_header(client, registrar)


@pytest.fixture
def other(client: FlaskClient, library: Department) -> Caller:
    """The library's system."""
    return Caller.by_header(client, library)
