"""The naive stack: a Flask route per kind, an RQ job per thing, a row per thing.

The web part is `bench.naive`, with one more: a report enqueues its relay. Nothing is paced, put in
order, claimed, signed or tried again. To its advantage, RQ does not fork for each job, and
relays go before texts.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import requests
from flask import Response, request
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from bench import naive
from bench.full.shape import ACCOUNT, CLIENTS, TOKEN
from bench.naive import app, db

TWILIO = os.environ["TWILIO_API_BASE_URL"]
ENDPOINTS = os.environ["BENCH_ENDPOINTS"]
_SENT = "created"


class Sending(db.Model):  # type: ignore[name-defined,misc]
    """A text that goes out."""

    __tablename__ = "naive_sending"

    id: Mapped[int] = mapped_column(primary_key=True)
    sender: Mapped[str] = mapped_column(String(64))
    to: Mapped[str] = mapped_column(String(64))
    body: Mapped[str] = mapped_column(String(1600))
    sid: Mapped[str | None] = mapped_column(String(34))
    status: Mapped[str] = mapped_column(String(32), default="waiting")


@app.after_request
def relay_reports(response: Response) -> Response:
    """Have each report that was taken relayed by a job."""
    if request.path.startswith("/inbound/sms/status/") and response.status_code == 204:
        sending = int(request.path.rsplit("/", 1)[1])
        naive.queue.enqueue(
            relay, sending, request.form["MessageStatus"], result_ttl=0, at_front=True
        )
    return response


def send(sending: int) -> None:
    """Send one text."""
    with app.app_context():
        row = db.session.get_one(Sending, sending)
        form: dict[str, Any] = {
            "From": row.sender, "To": row.to, "Body": row.body,
            "StatusCallback": f"{naive.base_url}/inbound/sms/status/{sending}",
        }  # fmt: skip
        url = f"{TWILIO}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        answer = requests.post(url, form, auth=(ACCOUNT, TOKEN), timeout=15)
        row.sid, row.status = answer.json()["sid"], _SENT
        db.session.commit()


def relay(sending: int, status: str) -> None:
    """Tell the client of one status."""
    with app.app_context():
        row = db.session.get_one(Sending, sending)
        event = {
            "type": "message.status", "timestamp": datetime.now(UTC).isoformat(),
            "data": {"id": row.id, "to": row.to, "from": row.sender, "status": status},
        }  # fmt: skip
        requests.post(f"{ENDPOINTS}/hooks/{sending % CLIENTS}", json=event, timeout=15)
        row.status = status
        db.session.commit()


def work(_text: int) -> None:
    """Do the rest for an incoming text: nothing."""


def fill(rates: dict[str, float], seconds: float) -> None:
    """Write and enqueue what is to go out."""
    with app.app_context():
        db.create_all()
        rows = [
            Sending(sender=sender, to=f"+1{2_000_000_000 + number}", body="Class starts on Monday.")
            for sender, rate in rates.items()
            for number in range(int(rate * seconds))
        ]
        db.session.add_all(rows)
        db.session.commit()
        for row in rows:
            naive.queue.enqueue(send, row.id, result_ttl=0)
