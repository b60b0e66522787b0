"""How the database is opened."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url, text

import config
from app import create_app
from app.extensions import db
from tests.support.environment import BASE


@pytest.mark.database("postgresql")
def test_what_the_operators_url_says_of_the_connection_stands(database_url: str) -> None:
    url = make_url(database_url).set(
        query={
            "connect_timeout": "7",
            "application_name": "us",
            "options": "-c search_path=pg_catalog -c lock_timeout=4s",
        }
    )
    asked = url.render_as_string(hide_password=False)
    app = create_app(config.load({**BASE, "DATABASE_URL": asked}))
    with app.app_context(), db.engine.connect() as connection:
        opened = connection.connection.dbapi_connection.info.get_parameters()
        assert (opened["connect_timeout"], opened["application_name"]) == ("7", "us")
        assert opened["keepalives_idle"] == "5"
        shown = {
            name: connection.execute(text(f"SHOW {name}")).scalar_one()
            for name in ("search_path", "lock_timeout", "statement_timeout", "timezone")
        }
        assert shown == {
            "search_path": "pg_catalog",
            "lock_timeout": "4s",
            "statement_timeout": "30s",
            "timezone": "UTC",
        }
