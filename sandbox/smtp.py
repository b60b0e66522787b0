"""A small SMTP server that keeps every mail it gets."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from .clock import iso8601, utcnow
from .core import Sandbox

MAX_TEXT = 64 * 1024


class Sink:
    """aiosmtpd's handler: a mail is taken apart and put into the inbox."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Accept the mail."""
        content = envelope.content
        raw = content if isinstance(content, bytes) else str(content or "").encode()
        self.box.store.mails.append(taken_apart(raw, envelope.mail_from, envelope.rcpt_tos))
        self.box.store.touch()
        return "250 OK"


def taken_apart(raw: bytes, sender: str | None, recipients: list[str]) -> dict[str, Any]:
    """A mail as JSON: envelope, headers, text, the names and sizes of its attachments."""
    mail = message_from_bytes(raw, policy=policy.default)
    if not isinstance(mail, EmailMessage):
        raise TypeError("the default policy makes an EmailMessage")
    part = mail.get_body(("plain", "html"))
    return {
        "at": iso8601(utcnow()),
        "envelopeFrom": sender,
        "envelopeTo": list(recipients),
        "from": str(mail.get("From", "")),
        "to": str(mail.get("To", "")),
        "subject": str(mail.get("Subject", "")),
        "messageId": str(mail.get("Message-ID", "")),
        "headers": [[name, str(value)] for name, value in mail.items()],
        "text": str(part.get_content())[:MAX_TEXT] if part else "",
        "attachments": [
            {
                "name": item.get_filename() or "",
                "contentType": item.get_content_type(),
                "size": len(item.get_payload(decode=True) or b""),
            }
            for item in mail.iter_attachments()
        ],
    }


def start(box: Sandbox, host: str, port: int) -> Controller:
    """Listen for mail on a given port, in a thread of its own; `stop()` ends it."""
    controller = Controller(Sink(box), hostname=host, port=port, decode_data=False)
    controller.start()
    return controller
