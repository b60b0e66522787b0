"""Listening for the mail server that hands us what is for our addresses (LMTP, RFC 2033).

It runs in a thread of the clock. A mail is answered with 250 once it is taken in and committed, for
each of its recipients by itself; with 451 while that cannot be done, so that the mail server keeps
it and comes again; with 550 where the address is none of ours, so that its sender is told.
"""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import cast
from urllib.parse import urlsplit

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import Envelope, Session
from flask import Flask, current_app

from app.domain import mail_tags
from app.domain.relaying.bounces import NotYetError
from app.extensions import current_settings
from app.mailbox.take import MAX_BYTES, take_in

log = structlog.get_logger(__name__)

IDLE_SECONDS = 60.0
"""For how long a mail server may say nothing."""
_TAKEN = "250 2.6.0 Taken in"
_LATER = "451 4.3.0 This cannot be taken in just now; try again"
_NOBODY = "550 5.1.1 Nobody reads mail to this address"
_listening: list[Listener] = []


def listen() -> None:
    """Listen at the address of ``MAIL_IN_URL``, if that is LMTP and nobody here does yet.

    Where the port is taken, by the clock of another release for example, it is tried again later.
    """
    url = urlsplit(current_settings().mail_in_url or "")
    if url.scheme != "lmtp" or _listening:
        return
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    try:
        _listening.append(Listener(app, url.hostname or "", url.port or 0))
    except OSError as error:
        log.warning("cannot listen for mail yet", error=str(error))


class Listener:
    """A server in a thread of its own, until :meth:`close`."""

    def __init__(self, app: Flask, host: str, port: int) -> None:
        """Listen.

        :raises OSError: when the address is taken, or none of this machine's.
        """
        self._app = app
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            self._loop.create_server(self._speak, host, port)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, name="lmtp", daemon=True)
        self._thread.start()
        log.info("listening for mail", host=host, port=self.port)

    def close(self) -> None:
        """Stop listening."""
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _speak(self) -> LMTP:
        return LMTP(
            self, hostname="dispatch", ident="Dispatch", data_size_limit=MAX_BYTES,
            enable_SMTPUTF8=True, timeout=IDLE_SECONDS, loop=self._loop,
        )  # fmt: skip

    async def handle_RCPT(
        self, _server: LMTP, _session: Session, envelope: Envelope, address: str, _more: list[str]
    ) -> str:
        """Take a recipient whose address we have written."""
        with self._app.app_context():
            if mail_tags.read(address) is None:
                return _NOBODY
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: LMTP, _session: Session, envelope: Envelope) -> str:
        """Take a mail in, and answer for each recipient."""
        loop = asyncio.get_running_loop()
        take = partial(self._take, cast(bytes, envelope.content), envelope.mail_from or "")
        return "\r\n".join(
            [await loop.run_in_executor(None, take, one) for one in envelope.rcpt_tos]
        )

    def _take(self, content: bytes, sender: str, recipient: str) -> str:
        with self._app.app_context():
            try:
                take_in(content, [recipient], sender)
            except NotYetError:
                return _LATER
            except Exception:
                # Whatever it is, the mail server has it still: nothing is lost.
                log.exception("a mail could not be taken in")
                return _LATER
        return _TAKEN
