"""Run the migrations against the application's own database."""

import sqlalchemy as sa
from alembic import context
from sqlalchemy import Connection, text

import app.models  # noqa: F401 - makes the tables known
from app.extensions import Base, db
from app.models.base import Encrypted, UtcDateTime
from app.models.said import FULL_TEXT

ADVISORY_LOCK = 5_201_319  # any number, as long as nobody else in this database uses it


def _include(_object: object, name: str | None, kind: str, *_: object) -> bool:
    if kind in ("table", "index") and (name or "").startswith(FULL_TEXT):
        return False  # made by hand: SQLAlchemy knows no tables and indexes of words
    return not (kind == "table" and name == "alembic_version")


def _render(kind: str, item: object, _context: object) -> str | bool:
    """Write our own column types as what the database stores, so that old migrations last."""
    if kind == "type":
        if isinstance(item, UtcDateTime):
            return "sa.DateTime(timezone=True)"
        if isinstance(item, Encrypted):
            return "sa.LargeBinary()"
        if isinstance(item, sa.Enum):
            return "sa.String(length=32)"
    return False


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_object=_include,
        render_as_batch=True,
        render_item=_render,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # Two processes that start at once migrate one after the other; and a migration that
            # cannot get its table lock gives up before everybody queues behind it.
            connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        context.run_migrations()


with db.engine.connect() as connection:
    on_sqlite = connection.dialect.name == "sqlite"
    driver = connection.connection.driver_connection
    if on_sqlite:  # batch mode copies tables, which foreign keys would forbid
        driver.execute("PRAGMA foreign_keys = OFF")
    _migrate(connection.execution_options(dispatch_begin_immediate=True))
    if on_sqlite:
        driver.execute("PRAGMA foreign_keys = ON")
