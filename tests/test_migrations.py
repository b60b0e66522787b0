"""The tables come and go by migrations alone, on both databases, and are what the models say."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy import inspect

import config
from app import create_app
from app.extensions import db
from tests.support.databases import PostgresTemplate, migrate
from tests.support.environment import BASE

Run = Callable[..., set[str]]


@pytest.fixture
def run(request: pytest.FixtureRequest, database_url: str) -> Iterator[Run]:
    """Runs `flask db …` on a migrated database of this test alone; returns its tables."""
    url = database_url
    if not url.startswith("sqlite"):
        template: PostgresTemplate = request.getfixturevalue("postgres_template")
        url = template.create("migrations")
        migrate(url)
    app = create_app(config.load({**BASE, "DATABASE_URL": url}))

    def run(*arguments: str) -> set[str]:
        result = FlaskCliRunner(app).invoke(args=["db", *arguments])
        assert result.exit_code == 0, result.output
        with app.app_context():
            return set(inspect(db.engine).get_table_names()) - {"alembic_version"}

    yield run
    with app.app_context():
        db.engine.dispose()


def test_up_down_and_up_again(run: Run) -> None:
    assert run("downgrade", "base") == set()
    assert run("upgrade") == set(db.metadata.tables)


def test_the_models_ask_for_nothing_more(run: Run) -> None:
    run("check")
