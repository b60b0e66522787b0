"""A mail server that keeps what it is given, and can be told to refuse."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Mailbox:
    """What came in; `refuse` maps a step (MAIL, RCPT, DATA) to an answer such as "550 No"."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    log_ins: list[tuple[str, str]] = field(default_factory=list)
    was_tls: list[bool] = field(default_factory=list)

    async def handle_MAIL(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "MAIL" in self.refuse:
            return self.refuse["MAIL"]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if "RCPT" in self.refuse:
            return self.refuse["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        if "DATA" in self.refuse:
            return self.refuse["DATA"]
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.envelopes.append((envelope.mail_from or "", envelope.rcpt_tos))
        self.was_tls.append(session.ssl is not None)
        return "250 Taken as 4711"

    def log_in(self, _server: SMTP, _session: Any, _envelope: Any, _how: str, data: Any) -> Any:
        assert isinstance(data, LoginPassword)
        pair = (data.login.decode(), data.password.decode())
        self.log_ins.append(pair)
        return AuthResult(success=pair == ("dispatch", "p@ss"), handled=False)


@contextlib.contextmanager
def mailbox(
    *, port: int = 0, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None,
    log_in: bool = False, size: int | None = None, utf8: bool = False,
) -> Iterator[Mailbox]:  # fmt: skip
    """Listen on a loopback address until the end of the block."""
    box = Mailbox()
    loop = asyncio.new_event_loop()

    def speak() -> SMTP:
        return SMTP(
            box, hostname="mail.example.edu", tls_context=starttls, data_size_limit=size,
            enable_SMTPUTF8=utf8,
            authenticator=box.log_in if log_in else None, auth_require_tls=False,
            auth_required=log_in, loop=loop,
        )  # fmt: skip

    listening = loop.create_server(speak, "127.0.0.1", port, ssl=tls)
    server = loop.run_until_complete(listening)
    box.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield box
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
