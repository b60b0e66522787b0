"""Fetching what came to a mailbox of our own (IMAP, RFC 9051 and its predecessor).

What is unread is looked at and marked as read once it is taken in and committed; so a crash between
the two lets it come again, which does nothing twice. What is to none of our addresses is marked as
flagged too: a person has to look at it. Nothing is ever deleted.
"""

from __future__ import annotations

import imaplib
import re
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

import structlog

from app.domain import aside
from app.domain.relaying.bounces import NotYetError
from app.extensions import current_settings, db
from app.mailbox import mail
from app.mailbox.take import MAX_BYTES, take_in

log = structlog.get_logger(__name__)

STEP_SECONDS = 15.0
LOOK_SECONDS = 30.0
"""After which a look ends; the next one goes on."""
PORT = 993
LOOP = "mail"
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")


def tick() -> None:
    """Fetch what has come, if ``MAIL_IN_URL`` names a mailbox; for the worker that keeps house."""
    url = current_settings().mail_in_url or ""
    if not url.startswith("imaps:"):
        return
    try:
        fetch(url)
    except (OSError, imaplib.IMAP4.error) as error:
        log.warning("the mailbox cannot be read", error=str(error)[:200])


def fetch(url: str, trust: ssl.SSLContext | None = None) -> int:
    """Take in what is unread in a mailbox; return how many mails were looked at.

    :raises OSError, imaplib.IMAP4.error: when the mailbox cannot be reached or read.
    """
    looked_at, ends = 0, time.monotonic() + LOOK_SECONDS
    with _open(url, trust) as mailbox:
        unread = b" ".join(_answer(mailbox.uid("SEARCH", "UNSEEN"))).decode("ascii").split()
        left_out = aside.names(db.session(), LOOP)
        db.session.rollback()  # nothing is held open while the mail server is asked
        for uid in unread:
            if time.monotonic() > ends:
                break
            if uid not in left_out:
                _look(mailbox, uid)
                looked_at += 1
    return looked_at


def _look(mailbox: imaplib.IMAP4_SSL, uid: str) -> None:
    """Take one mail in, and mark it unless it is to be looked at again."""
    size = _SIZE.search(b" ".join(_answer(mailbox.uid("FETCH", uid, "(RFC822.SIZE)"))))
    if size is None:
        return  # gone meanwhile
    ours: int | None = 0
    if int(size[1]) <= MAX_BYTES:
        content = max(_answer(mailbox.uid("FETCH", uid, "(BODY.PEEK[])")), key=len)
        ours = _take(uid, content)
    else:
        log.warning("a mail is too large", bytes=int(size[1]))
    if ours is not None:
        flags = r"(\Seen)" if ours else r"(\Seen \Flagged)"
        _answer(mailbox.uid("STORE", uid, "+FLAGS.SILENT", flags))


def _take(uid: str, content: bytes) -> int | None:
    """Return for how many addresses of ours a mail was; None where it is to be taken later."""
    with aside.set_aside(LOOP, uid):
        try:
            return take_in(content, mail.recipients(mail.read(content).message))
        except NotYetError:
            return None
    return None


@contextmanager
def _open(url: str, trust: ssl.SSLContext | None) -> Iterator[imaplib.IMAP4_SSL]:
    parts = urlsplit(url)
    folder = unquote(parts.path.strip("/")) or "INBOX"
    with imaplib.IMAP4_SSL(
        parts.hostname or "",
        parts.port or PORT,
        ssl_context=trust or ssl.create_default_context(),
        timeout=STEP_SECONDS,
    ) as mailbox:
        mailbox.login(unquote(parts.username or ""), unquote(parts.password or ""))
        _answer(mailbox.select(_quoted(folder)))
        yield mailbox


def _quoted(folder: str) -> str:
    return '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _answer(given: tuple[str, Sequence[object]]) -> list[bytes]:
    """Return what a command gave, piece by piece.

    :raises imaplib.IMAP4.error: when the server says no.
    """
    word, data = given
    if word != "OK":
        raise imaplib.IMAP4.error(f"the mailbox says {word}: {data!r}"[:200])
    return list(_pieces(data)) or [b""]


def _pieces(data: Sequence[object]) -> Iterator[bytes]:
    for one in data:
        if isinstance(one, bytes):
            yield one
        elif isinstance(one, tuple):
            yield from _pieces(one)
