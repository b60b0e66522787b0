"""The naive minimum: check the signature, insert one row with a commit, enqueue one job, answer.

No routes, no templates, no replies in the log, no opt-outs, no repeats: what the shortest Flask
application does that logs a text and lets a worker do the rest.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, abort, request
from flask_sqlalchemy import SQLAlchemy
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import DateTime, String, Text, event
from sqlalchemy.orm import Mapped, mapped_column
from twilio.request_validator import RequestValidator
from twilio.twiml.messaging_response import MessagingResponse

URL = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = URL
db = SQLAlchemy(app)
queue = Queue(
    "texts", connection=Redis.from_url(os.environ["REDIS_URL"]), serializer=JSONSerializer
)
validator = RequestValidator(os.environ["BENCH_AUTH_TOKEN"])
base_url = os.environ["PUBLIC_BASE_URL"]


class Text_(db.Model):  # type: ignore[name-defined,misc]
    """An incoming text."""

    __tablename__ = "naive_text"

    id: Mapped[int] = mapped_column(primary_key=True)
    sid: Mapped[str] = mapped_column(String(34), unique=True)
    sender: Mapped[str] = mapped_column(String(64))
    to: Mapped[str] = mapped_column(String(64))
    body: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


def _prepare(connection: Any, _record: object) -> None:
    """SQLite as the application has it: several processes may write."""
    connection.isolation_level = None
    for pragma in ("busy_timeout = 10000", "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")


with app.app_context():
    if URL.startswith("sqlite"):
        event.listen(db.engine, "connect", _prepare)
        event.listen(
            db.engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE")
        )


class Report(db.Model):  # type: ignore[name-defined,misc]
    """What Twilio says of a text of ours."""

    __tablename__ = "naive_report"

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[str] = mapped_column(String(26), index=True)
    status: Mapped[str] = mapped_column(String(32))
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


@app.post("/inbound/sms/status/<message_id>")
def report(message_id: str) -> Response:
    """Take a status report: one row, and nothing follows."""
    signature = request.headers.get("X-Twilio-Signature", "")
    if not validator.validate(base_url + request.path, request.form, signature):
        abort(403)
    status = request.form["MessageStatus"]
    db.session.add(Report(message_id=message_id, status=status, received_at=datetime.now(UTC)))
    db.session.commit()
    return Response(status=204)


@app.post("/inbound/sms")
def receive() -> Response:
    """Answer a text."""
    signature = request.headers.get("X-Twilio-Signature", "")
    if not validator.validate(base_url + request.path, request.form, signature):
        abort(403)
    form = request.form
    text = Text_(
        sid=form["MessageSid"],
        sender=form["From"],
        to=form["To"],
        body=form["Body"],
        received_at=datetime.now(UTC),
    )
    db.session.add(text)
    db.session.commit()
    queue.enqueue("naive.work", text.id, result_ttl=0)
    answer = MessagingResponse()
    answer.message("This is an automated service. Please call 319-335-0000.")
    return Response(str(answer), content_type="text/xml")


if os.environ.get("BENCH_CREATE"):
    with app.app_context():
        db.create_all()
