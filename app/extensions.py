"""What the whole house shares: the database, its transactions, Redis, and the settings.

The database is the truth. Each transaction that writes is owned by one :func:`unit_of_work`;
everything else only reads.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from weakref import ReferenceType, ref

from flask import Flask, current_app
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from redis import Redis
from sqlalchemy import Connection, MetaData, event
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import DeclarativeBase, Session
from werkzeug.middleware.proxy_fix import ProxyFix

from app import redis_clients, sqlite
from config import Settings

CONNECT_SECONDS = 3
MAX_REQUEST_BYTES = 16 * 1024 * 1024
"""Largest request of all: a recording or an import of 10 MB, and what surrounds it."""
POSTGRES_OPTIONS = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "timezone": "UTC",
        "lock_timeout": "10s",
        "statement_timeout": "30s",
        "idle_in_transaction_session_timeout": "60s",
    }.items()
)

_NOTICE_SILENCE = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 5000,
}
"""A server that is gone without a word is noticed 9 s after its last, and 5 s after ours."""


class Base(DeclarativeBase):
    """The base of every table; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(metadata=Base.metadata, session_options={"expire_on_commit": False})
migrate = Migrate(render_as_batch=True)


def init_app(app: Flask, settings: Settings) -> None:
    """Bind the extensions to ``app``: one engine and one Redis client per process."""
    app.extensions["settings"] = settings
    if settings.trusted_proxy_hops:  # only the caller's address: our own is PUBLIC_BASE_URL
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.trusted_proxy_hops, x_proto=0, x_host=0
        )
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "hide_parameters": True,  # a failing statement is logged, the words of a text are not
        **_engine_options(settings),
    }
    db.init_app(app)
    migrate.init_app(app, db)
    app.extensions["redis"] = redis_clients.connect(settings.redis_url)
    with app.app_context():
        # Whoever forks keeps his connections, and the child makes its own: a shared one would mix
        # up what is said on it. (Redis's pool looks after itself.)
        os.register_at_fork(after_in_child=partial(_forget, ref(db.engine)))
        if settings.is_sqlite:
            sqlite.prepare(db.engine)
        else:
            event.listen(db.engine, "checkout", _refuse_lost_connection)


def current_settings() -> Settings:
    """Return the settings of the current application."""
    settings: Settings = current_app.extensions["settings"]
    return settings


def redis_client() -> Redis:
    """Return the Redis client of the current application; a call may raise ``RedisError``."""
    client: Redis = current_app.extensions["redis"]
    return client


@contextmanager
def reading() -> Iterator[Connection]:
    """Lend a connection for a look at the database before anything is written.

    PostgreSQL then spends no round trips on a transaction around it; each statement sees what is
    committed.
    """
    with db.engine.connect() as connection:
        is_sqlite = connection.dialect.name == "sqlite"  # commits by itself unless told to begin
        options = {sqlite.NO_BEGIN: True} if is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        yield connection.execution_options(**options)


@contextmanager
def one_write() -> Iterator[Connection]:
    """Lend a connection for a single statement that writes and is a transaction by itself.

    PostgreSQL then spends one round trip instead of three.
    """
    if db.engine.dialect.name == "sqlite":
        with unit_of_work() as session:
            yield session.connection()
    else:
        with reading() as connection:
            yield connection


@contextmanager
def unit_of_work() -> Iterator[Session]:
    """Own one transaction: commit at the end, roll back on any exception.

    On SQLite it alone opens ``BEGIN IMMEDIATE``, before its first read, so that two writers queue
    instead of failing; reads elsewhere stay deferred and take no write lock. Nothing inside may
    commit, and nothing inside may wait for the network.

    :raises RuntimeError: when a unit of work is already open, or when objects were changed
        outside of one.
    """
    session = db.session()
    if session.info.get(_OWNED):
        raise RuntimeError("a unit of work is already open; pass its session on instead")
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("objects were changed outside a unit of work")
    session.rollback()  # ends the reading transaction, if there is one
    session.info[_OWNED] = True
    try:
        session.connection(execution_options={sqlite.IMMEDIATE: True})
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info.pop(_OWNED, None)


_OWNED = "unit_of_work"


def _refuse_stray_writes(session: Session, _context: object, _instances: object) -> None:
    if not session.info.get(_OWNED):
        raise RuntimeError("write inside unit_of_work() only")


event.listen(db.session, "before_flush", _refuse_stray_writes)


def _engine_options(settings: Settings) -> dict[str, Any]:
    if settings.is_sqlite:
        return {"connect_args": {"timeout": sqlite.BUSY_MS / 1000}}
    # What the operator's URL says stands: arguments go before it, without a word.
    asked = make_url(settings.database_url).normalized_query
    ours = {"connect_timeout": CONNECT_SECONDS, **_NOTICE_SILENCE}
    kept = {name: value for name, value in ours.items() if name not in asked}
    options = " ".join([POSTGRES_OPTIONS, *asked.get("options", ())])
    return {"connect_args": {**kept, "options": options}}


def _forget(engine: ReferenceType[Engine]) -> None:
    """Let go of connections that belong to the parent process, without a word to the server."""
    if (one := engine()) is not None:
        one.dispose(close=False)


def _refuse_lost_connection(connection: Any, _record: object, _proxy: object) -> None:
    """Have the pool replace a connection that the server has closed, after a restart for example.

    Nothing arrives on an idle connection but its end, so a look at the socket tells; asking the
    server would cost a round trip each time.
    """
    socket = select.poll()
    if not connection.closed:
        socket.register(connection.fileno(), select.POLLIN)
    if connection.closed or socket.poll(0):
        raise DisconnectionError("the server has closed the connection")
