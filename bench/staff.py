"""How long staff wait for their pages when the log holds 100,000 texts each way.

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
from datetime import timedelta
from pathlib import Path
from statistics import median

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, insert

import config
from app import create_app
from app.domain import passwords
from app.extensions import db, unit_of_work
from app.models.base import new_id, utcnow
from app.models.client import Client
from app.models.credential import Credential
from app.models.incoming import Incoming, Outcome
from app.models.message import Direction, Message, MessageState
from app.models.route import Channel
from app.models.sender import Sender, SenderKind
from app.models.user import Membership, Role, User
from tests.support.databases import PostgresTemplate, SqliteTemplate
from tests.support.environment import BASE

ROWS = 100_000
CHUNK = 5_000
ROUNDS = 15
PASSWORD = "four plain words here"
PAGES = {
    "home": "/",
    "inbox": "/inbox",
    "inbox, search for a word": "/inbox?q=library",
    "inbox, search for a phone": "/inbox?q=(319)+555-0142",
    "inbox, part of a phone": "/inbox?q=555-0142",
    "conversation": "/inbox/phone/+13195550142",
    "canned replies": "/replies",
    "numbers": "/numbers",
}


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


def prepare(app: Flask) -> tuple[str, str, str]:
    """Make a client with a number and a person; return the ids of client, number, credential."""
    with app.app_context(), unit_of_work() as session:
        client = Client(name="registrar", owner_email="r@example.edu", twilio_enabled=True)
        user = User(email="pat@example.edu", password_hash=passwords.hash_password(PASSWORD))
        session.add_all([client, user])
        session.flush()
        session.add(Membership(user_id=user.id, client_id=client.id, role=Role.OWNER))
        credential = Credential(
            client_id=client.id, name="main", account_sid="AC" + "0" * 32, auth_token="t" * 32
        )
        session.add(credential)
        session.flush()
        number = Sender(
            client_id=client.id, credential_id=credential.id, kind=SenderKind.TWILIO,
            address="+13195550100", rate=1.0,
        )  # fmt: skip
        session.add(number)
        session.flush()
        return client.id, number.id, credential.id


def fill(app: Flask, client: str, number: str, credential: str) -> None:
    """Write ROWS texts in and ROWS texts out, spread over 30 days and 5,000 phones."""
    start = utcnow() - timedelta(days=30)
    step = timedelta(days=30) / ROWS
    for first in range(0, ROWS, CHUNK):
        numbers = range(first, first + CHUNK)
        common = {"client_id": client, "sender_id": number, "destination": Channel.SMS}
        texts_in = [
            {**common, "id": new_id(), "sid": f"SM{n:032x}", "from_": f"+1319555{n % 5000:04d}",
             "to": "+13195550100", "body": f"Question {n} about the library?", "media": [],
             "segments": 1, "parameters": {}, "received_at": start + n * step, "commit_order": n,
             "recovered": False, "flagged": n % 1000 == 0, "answer": "<Response/>",
             "outcome": Outcome.REPLIED}
            for n in numbers
        ]  # fmt: skip
        texts_out = [
            {**common, "id": new_id(), "credential_id": credential, "to": f"+1319555{n % 5000:04d}",
             "from_": "+13195550100", "body": f"Answer {n}", "direction": Direction.REPLY,
             "state": MessageState.ACCEPTED, "status": "delivered", "segments": 1,
             "created_at": start + n * step, "commit_order": n}
            for n in numbers
        ]  # fmt: skip
        with app.app_context(), unit_of_work() as session:
            session.execute(insert(Incoming), texts_in)
            session.execute(insert(Message), texts_out)
        print(f"\r  {first + CHUNK:>7,} of {ROWS:,} rows", end="", file=sys.stderr)
    with app.app_context(), unit_of_work() as session:
        session.connection().exec_driver_sql("ANALYZE")
    print(file=sys.stderr)


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


def measure(app: Flask, browser: FlaskClient) -> dict[str, tuple[float, float, int]]:
    """Return median and worst milliseconds, and statements, of each page."""
    statements: list[str] = []
    with app.app_context():
        event.listen(
            db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]), named=False
        )
    found = {}
    for name, path in PAGES.items():
        took = []
        for _ in range(ROUNDS):
            statements.clear()
            start = time.perf_counter()
            answer = browser.get(
                f"/staff/clients/registrar{path}", base_url=BASE["PUBLIC_BASE_URL"]
            )
            took.append(1000 * (time.perf_counter() - start))
            if answer.status_code not in (200, 404):
                raise RuntimeError(f"{path} answered {answer.status_code}")
        found[name] = (median(took), max(took), len(statements))
    return found


def run(name: str) -> None:
    """Measure on one database and print a table."""
    with tempfile.TemporaryDirectory() as folder, database(name, Path(folder)) as url:
        app = create_app(config.load({**BASE, "DATABASE_URL": url}, Path(folder) / "instance"))
        ids = prepare(app)
        browser = sign_in(app)
        empty = measure(app, browser)
        fill(app, *ids)
        full = measure(app, browser)
        print(f"\n{name}: median (worst) ms a page, {ROWS:,} texts each way beside none")
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
