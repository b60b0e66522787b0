"""A database that was restarted costs nobody an answer."""

from __future__ import annotations

import psycopg
import pytest

from app.models.incoming import Incoming
from tests.support.databases import HARNESS
from tests.support.inbound import Department
from tests.support.rows import Rows
from tests.support.twilio import Twilio


@pytest.mark.database("postgresql")
def test_connections_that_the_server_closed_are_replaced(
    rows: Rows, twilio: Twilio, database_url: str
) -> None:
    Department(rows).auto_reply()
    assert twilio.sms().status_code == 200
    with psycopg.connect(database_url, autocommit=True) as admin:
        closed = admin.execute(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend' AND application_name <> %s",
            [HARNESS],
        ).fetchone()
    assert closed
    assert closed[0] >= 1
    assert twilio.sms().status_code == 200
    assert rows.count(Incoming) == 2
