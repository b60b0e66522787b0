"""How long staff wait for their pages when everything is long: 100,000 of each thing.

    python -m bench.staff [sqlite|postgresql …]

Times whole requests through the application (sign-in, templates and all), without the network,
with an empty log and with a full one in the same run, on both databases.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select

import config
from app import create_app
from app.extensions import db
from app.models.incoming import Incoming
from bench.staff_rows import PASSWORD, ROWS, Ids, fill, prepare
from tests.support.databases import PostgresTemplate, SqliteTemplate
from tests.support.environment import BASE

ROUNDS = 15
PAGES = {
    "home": "/",
    "conversations": "/conversations",
    "conversations, all": "/conversations?state=all",
    "conversations, mine": "/conversations?mine=1",
    "conversations, last words": "/conversations?q=library",
    "conversations, no such words": "/conversations?state=all&q=zebra",
    "conversation, its own page": "/conversations/{number}/+13195550008",
    "conversation, news": "/conversation-news/{number}/+13195550008",
    "search": "/search?q=library",
    "search, a name": "/search?q=Person+4711",
    "search, a phone": "/search?q=555-0142",
    "search, nothing fits": "/search?q=zebra",
    "inbox": "/inbox",
    "inbox, older": "/inbox?before={incoming}",
    "inbox, search for a word": "/inbox?q=library",
    "inbox, a word nobody wrote": "/inbox?q=zebra",
    "inbox, search for a phone": "/inbox?q=(319)+555-0142",
    "inbox, part of a phone": "/inbox?q=555-0142",
    "inbox, no such part": "/inbox?q=777-0142",
    "inbox, to read": "/inbox?kind=flagged",
    "inbox, opt-outs": "/inbox?kind=opt_out",
    "conversation": "/inbox/phone/+13195550007",
    "person, nothing said": "/inbox/phone/+13200099999",
    "canned replies": "/replies",
    "numbers": "/numbers",
    "number": "/numbers/{number}",
    "try a call": "/numbers/{number}/voice/try",
    "office hours": "/hours",
    "on duty": "/rotas",
    "templates": "/templates",
    "recordings": "/recordings",
    "communications": "/communications",
    "communication": "/communications/{communication}",
    "calendar": "/calendar",
    "batch": "/batches/{batch}",
    "batch, its failures": "/batches/{batch}?status=failed",
    "batch, by reason": "/batches/{batch}?status=failed&why=30003",
    "batch, far on": "/batches/{batch}?after=90000.0",
    "batch, progress": "/batches/{batch}/progress",
    "batch, news": "/batches/{batch}/results",
    "batch, send again": "/batches/{batch}/again",
    "before it is sent": "/communications/{communication}/check",
    "population": "/populations/{population}",
    "population, search": "/populations/{population}?q=nobody",
    "populations": "/populations",
    "suppression list": "/suppression-lists/{suppression}",
    "suppression list, search": "/suppression-lists/{suppression}?q=99999999",
    "suppression lists": "/suppression-lists",
    "deliveries": "/deliveries",
    "deliveries given up": "/deliveries?state=exhausted",
    "deliveries, a phone": "/deliveries?q=(319)+555-0142",
    "deliveries, part of a phone": "/deliveries?q=555-0142",
    "deliveries, no such words": "/deliveries?q=zebra",
    "endpoints": "/endpoints",
    "endpoint": "/endpoints/{endpoint}",
    "credentials": "/credentials",
    "API keys": "/api-keys",
    "people": "/people",
    "settings": "/settings",
    "usage": "/usage",
    "history": "/history",
    "history, search": "/history?q=nobody",
}
HOUSE = {
    "clients": "/staff/clients",
    "accounts": "/staff/accounts",
    "sign-ins": "/staff/history",
    "sign-ins, search": "/staff/history?q=nobody",
    "set aside": "/staff/set-aside",
}
"""Pages of support, which belong to no client."""

OF_CLIENT = {name: f"/staff/clients/registrar{path}" for name, path in PAGES.items()}


@contextmanager
def database(name: str, folder: Path) -> Iterator[str]:
    """Give a migrated, empty database."""
    if name == "sqlite":
        yield SqliteTemplate(folder).fresh(folder)
        return
    template = PostgresTemplate()
    try:
        yield template.fresh()
    finally:
        template.stop()


def sign_in(app: Flask) -> FlaskClient:
    """Return a browser that is signed in."""
    browser = app.test_client()
    page = browser.get("/staff/login", base_url=BASE["PUBLIC_BASE_URL"]).get_data(as_text=True)
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    if found is None:
        raise RuntimeError("the sign-in page has no form")
    form = {"csrf_token": found[1], "email": "pat@example.edu", "password": PASSWORD}
    browser.post("/staff/login", data=form, base_url=BASE["PUBLIC_BASE_URL"])
    return browser


def measure(app: Flask, browser: FlaskClient, ids: Ids) -> dict[str, tuple[float, float, int]]:
    """Return median and worst milliseconds, and statements, of each page."""
    statements: list[str] = []
    with app.app_context():
        event.listen(
            db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]), named=False
        )
    found = {}
    for name, pattern in (OF_CLIENT | HOUSE).items():
        path = pattern.format(**vars(ids), incoming=_halfway(app))
        took = []
        for _ in range(ROUNDS):
            statements.clear()
            start = time.perf_counter()
            answer = browser.get(path, base_url=BASE["PUBLIC_BASE_URL"])
            took.append(1000 * (time.perf_counter() - start))
            if answer.status_code not in (200, 204, 404):
                raise RuntimeError(f"{path} answered {answer.status_code}")
        found[name] = (median(took), max(took), len(statements))
    return found


def _halfway(app: Flask) -> str:
    """Return the id of a text in the middle of the log, or nothing."""
    with app.app_context():
        middle = select(Incoming.id).order_by(Incoming.received_at).offset(ROWS // 2).limit(1)
        return db.session.scalar(middle) or ""


def run(name: str) -> None:
    """Measure on one database and print a table."""
    with tempfile.TemporaryDirectory() as folder, database(name, Path(folder)) as url:
        app = create_app(config.load({**BASE, "DATABASE_URL": url}, Path(folder) / "instance"))
        ids = prepare(app)
        browser = sign_in(app)
        empty = measure(app, browser, ids)
        fill(app, ids)
        full = measure(app, browser, ids)
        print(f"\n{name}: median (worst) ms a page, {ROWS:,} of everything beside none")
        for page, (middle, worst, statements) in full.items():
            print(
                f"  {page:<28} {middle:7.1f} ({worst:6.1f})   none: {empty[page][0]:6.1f}"
                f"   ratio {middle / empty[page][0]:5.2f}   {statements} statements"
            )
        with app.app_context():
            db.engine.dispose()


if __name__ == "__main__":
    for chosen in sys.argv[1:] or ["sqlite", "postgresql"]:
        run(chosen)
