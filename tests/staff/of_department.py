"""A department, and Pat of its staff who is signed in: for modules that import both."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.models.user import Role, User
from tests.staff.conftest import Staff
from tests.support.departments import Department, department
from tests.support.rows import Rows


@pytest.fixture
def ours(rows: Rows) -> Department:
    return department(rows, "registrar", "11")


@pytest.fixture
def pat(staff: Staff, ours: Department, add_person: Callable[..., User]) -> Staff:
    add_person("pat@example.edu", ours.client, role=Role.STAFF)
    staff.sign_in("pat@example.edu")
    return staff
