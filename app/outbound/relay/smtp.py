"""Handing one mail to the mail server, within a deadline, and reading its answer exactly.

Only ``250`` after the data counts. When the connection breaks before that answer, the mail may
have been taken: it goes again, with the same Message-ID.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from app.domain.mail_addresses import needs_smtputf8, on_the_wire
from app.outbound.relay.deadline import Deadline

STEP_SECONDS = 15.0
TOTAL_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """The mail server that ``SMTP_URL`` names."""

    host: str
    port: int
    tls: bool
    """TLS from the first byte (``smtps://``)."""
    starttls: bool
    user: str | None
    password: str
    own_name: str
    """How we call ourselves to it."""

    @classmethod
    def read(cls, url: str, base_url: str) -> Server:
        """Read ``smtp://user:password@host:port?starttls=1`` or ``smtps://…``."""
        parts = urlsplit(url)
        tls = parts.scheme == "smtps"
        starttls = parse_qs(parts.query).get("starttls", ["0"])[-1].lower() in ("1", "true", "yes")
        return cls(
            host=parts.hostname or "",
            port=parts.port or (465 if tls else 587 if starttls else 25),
            tls=tls,
            starttls=starttls and not tls,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password or ""),
            own_name=urlsplit(base_url).hostname or "localhost",
        )


@dataclass
class Handed:
    """What the mail server said. ``error`` is None when it has the mail."""

    status: int | None = None
    error: str | None = None
    detail: str | None = None
    reply: str | None = None
    address: str | None = None
    permanent: bool = False
    """It will say the same about this mail every time."""


class _RefusedError(Exception):
    """The server said no, at one step."""

    def __init__(self, step: str, code: int, reply: bytes | str, about_mail: bool) -> None:
        text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
        super().__init__(f"The mail server refused {step}: {code} {text}"[:500])
        self.code, self.reply = code, text.replace("\0", "")
        self.permanent = about_mail and 500 <= code < 600


def hand_over(
    server: Server,
    sender: str,
    recipient: str,
    mail: EmailMessage,
    smaller: EmailMessage,
    *,
    trust: ssl.SSLContext | None = None,
    step_seconds: float = STEP_SECONDS,
    total_seconds: float = TOTAL_SECONDS,
) -> Handed:
    """Hand ``mail`` over; ``smaller`` instead if the server says that it takes no mail so large."""
    handed = Handed()
    with Deadline(total_seconds) as deadline:
        try:
            context = (trust or ssl.create_default_context()) if server.tls else None
            with contextlib.closing(
                _Session(
                    deadline, context, handed, timeout=step_seconds, local_hostname=server.own_name
                )
            ) as session:
                _greet(session, server, trust)
                handed.reply = _transact(session, sender, recipient, mail, smaller)
                handed.status = 250
                with contextlib.suppress(OSError, smtplib.SMTPException):
                    session.quit()
        except _RefusedError as error:
            handed.status, handed.reply, handed.permanent = error.code, error.reply, error.permanent
            handed.error, handed.detail = "smtp", str(error)
        except (OSError, smtplib.SMTPException, UnicodeError, ValueError) as error:
            handed.error, handed.detail = _explain(error)
        if handed.error and deadline.fired:
            handed.error, handed.status, handed.permanent = "deadline", None, False
            handed.detail = f"The mail server took longer than {total_seconds:g} s."
    return handed


class _Session(smtplib.SMTP):
    """An SMTP connection under a deadline."""

    def __init__(
        self, deadline: Deadline, trust: ssl.SSLContext | None, handed: Handed, **options: Any
    ) -> None:
        self._deadline, self._trust, self._handed = deadline, trust, handed
        super().__init__(**options)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = socket.create_connection((host, port), timeout)
        self._deadline.watch(sock)
        self._handed.address = str(sock.getpeername()[0])[:64]
        return self._trust.wrap_socket(sock, server_hostname=host) if self._trust else sock


def _greet(session: _Session, server: Server, trust: ssl.SSLContext | None) -> None:
    session._host = server.host  # type: ignore[attr-defined]  # the name STARTTLS is checked against
    code, reply = session.connect(server.host, server.port)
    if code != 220:
        raise _RefusedError("the connection", code, reply, about_mail=False)
    session.ehlo_or_helo_if_needed()
    if server.starttls:
        code, reply = session.starttls(context=trust or ssl.create_default_context())
        if code != 220:
            raise _RefusedError("STARTTLS", code, reply, about_mail=False)
        session.ehlo_or_helo_if_needed()
    if server.user is not None:
        try:
            session.login(server.user, server.password)
        except smtplib.SMTPAuthenticationError as error:
            raise _RefusedError(
                "our log-in", error.smtp_code, error.smtp_error, about_mail=False
            ) from error


def _transact(
    session: _Session, sender: str, recipient: str, mail: EmailMessage, smaller: EmailMessage
) -> str:
    """Say MAIL, RCPT and DATA; return what the server said when it took the mail."""
    sender, recipient = on_the_wire(sender), on_the_wire(recipient)
    international = needs_smtputf8(recipient) or needs_smtputf8(sender)
    if international and not session.has_extn("smtputf8"):
        why = "letters beyond a–z before the @ need SMTPUTF8 (RFC 6531), which it does not offer"
        raise _RefusedError("the address", 553, why, about_mail=True)
    content = _flat(mail, international)
    limit = session.esmtp_features.get("size", "")
    if limit.isdigit() and 0 < int(limit) < len(content):
        content = _flat(smaller, international)
    options = ["SMTPUTF8", "BODY=8BITMIME"] if international else []
    code, reply = session.mail(sender, options)
    if code != 250:
        raise _RefusedError("our sender's address", code, reply, about_mail=False)
    code, reply = session.rcpt(recipient)
    if code not in (250, 251):
        raise _RefusedError("the address", code, reply, about_mail=True)
    try:
        code, reply = session.data(content)
    except smtplib.SMTPDataError as error:
        code, reply = error.smtp_code, error.smtp_error  # type: ignore[assignment]
    if code != 250:
        raise _RefusedError("the mail", code, reply, about_mail=True)
    return reply.decode("utf-8", "replace").replace("\0", "")[:500]


def _flat(mail: EmailMessage, international: bool) -> bytes:
    return mail.as_bytes(policy=SMTPUTF8 if international else SMTP)


def _explain(error: Exception) -> tuple[str, str]:
    if isinstance(error, ssl.SSLError):
        return "tls", f"TLS with the mail server failed: {error.reason or error}"[:500]
    if isinstance(error, TimeoutError):
        return "timeout", "The mail server did not answer in time."
    if isinstance(error, smtplib.SMTPServerDisconnected):
        if "timed out" in str(error):
            return "timeout", "The mail server did not answer in time."
        return "smtp", "The mail server closed the connection before it had taken the mail."
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "smtp", f"The mail server lacks what SMTP_URL asks for: {error}"[:500]
    if isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException):
        return "connect", f"The mail server could not be reached ({error.strerror or error})."[:500]
    return "smtp", f"The mail server's answer was not understood: {error}"[:500]
