"""A help desk between mail servers: one takes our mails, one hands us theirs."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

import config
from app.mailbox.lmtp import Listener
from app.models.audience import Member, Population
from app.models.base import new_id
from app.models.route import Destination, Handler, Route
from embedded.process import free_port
from tests.support.clients import Department, department
from tests.support.mailbox import Mailbox, mailbox
from tests.support.relay import run
from tests.support.rows import Rows
from tests.support.twilio import Twilio

DESK, PHONE = "help@example.edu", "+13195550150"


class HelpDesk:
    """A department whose texts are forwarded by mail, and who answers them there."""

    def __init__(self, app: Flask, rows: Rows, twilio: Twilio, box: Mailbox, port: int) -> None:
        self.app, self.rows, self.twilio, self.box, self._port = app, rows, twilio, box, port
        self.department: Department = department(rows)
        self.population = Population(
            id=new_id(), client_id=self.department.client.id, name="helpdesk"
        )
        rows.add(self.population)
        member = {"toName": "Help Desk", "toAddress": DESK}
        rows.add(Member(roll=self.population.id, attributes=member))
        rows.add(
            Route(
                client_id=self.department.client.id, sender_id=self.department.number.id,
                destination=Destination.SMS, handler=Handler.FORWARD_TO_EMAIL,
                population_id=self.population.id, updated_by="test",
            )
        )  # fmt: skip

    def text(self, body: str = "Are you open today?", **more: str) -> EmailMessage:
        """Let a person text the number; return the mail that the help desk gets."""
        assert self.twilio.sms(From=PHONE, Body=body, **more).status_code == 200
        return self.next_mail()

    def next_mail(self) -> EmailMessage:
        """Let waiting mails go out; return the newest."""
        run(self.app)
        return self.box.mails[-1]

    def answer(
        self, to: EmailMessage, body: str, author: str = DESK, **headers: str
    ) -> EmailMessage:
        """Write an answer as a mail program does, without handing it over."""
        made = EmailMessage(policy=SMTP)
        made["From"], made["To"] = f"Pat <{author}>", to["Reply-To"]
        made["Subject"] = f"Re: {to['Subject']}"
        made["Message-ID"] = f"<{new_id()}@mail.example.edu>"
        made["In-Reply-To"] = to["Message-ID"]
        for name, value in headers.items():
            del made[name.replace("_", "-")]
            made[name.replace("_", "-")] = value
        quoted = "\n".join(f"> {line}" for line in to.get_content().split("\n"))
        made.set_content(f"{body}\n\nOn Sat, Nov 28, 2026, Dispatch wrote:\n\n{quoted}")
        return made

    def hand_over(
        self, made: EmailMessage | bytes, to: str = "", sender: str | None = None
    ) -> tuple[int, bytes]:
        """Hand a mail over by LMTP, as a mail server does; return how it was answered."""
        content = made if isinstance(made, bytes) else made.as_bytes()
        if isinstance(made, EmailMessage):
            to = to or str(made["To"])
            sender = made["From"].addresses[0].addr_spec if sender is None else sender
        with smtplib.LMTP("127.0.0.1", self._port, timeout=10) as lmtp:
            lmtp.ehlo()
            lmtp.mail(sender or "")
            code, reply = lmtp.rcpt(to)
            return (code, reply) if code != 250 else lmtp.data(content)


@pytest.fixture
def smtp_port() -> int:
    return free_port()


@pytest.fixture
def settings(environ: dict[str, str], tmp_path: Path, smtp_port: int) -> Any:
    addresses = {"SMTP_URL": f"smtp://127.0.0.1:{smtp_port}", "MAIL_IN_URL": "lmtp://127.0.0.1:24"}
    return config.load({**environ, **addresses}, tmp_path / "instance")


@pytest.fixture
def box(smtp_port: int) -> Iterator[Mailbox]:
    with mailbox(port=smtp_port) as running:
        yield running


@pytest.fixture
def listener(app: Flask) -> Iterator[Listener]:
    running = Listener(app, "127.0.0.1", 0)
    yield running
    running.close()


@pytest.fixture
def desk(app: Flask, rows: Rows, twilio: Twilio, box: Mailbox, listener: Listener) -> HelpDesk:
    return HelpDesk(app, rows, twilio, box, listener.port)
