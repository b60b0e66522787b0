"""Taking a mail in: once, in one transaction, by what its address is about.

What is no mail to one of our addresses, what a machine wrote, and what came already is let go. So
no two machines ever write to each other through us: what we write ourselves is marked as automatic,
is from an address that is not read, and comes back to one that only notes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import structlog
from sqlalchemy.orm import Session

from app.domain import mail_tags
from app.domain.mail_tags import About, Tag
from app.domain.relaying import bounces
from app.domain.wake import wake
from app.extensions import current_settings, unit_of_work
from app.mailbox import answers, mail, reports
from app.mailbox.answers import NoAnswerError
from app.mailbox.mail import Mail
from app.models.base import insert_into
from app.models.delivery import Delivery
from app.models.house import MailTaken

log = structlog.get_logger(__name__)

MAX_BYTES = 30 * 1024 * 1024
"""Of a whole mail: more than the media of a text can have, in base64."""


def take_in(content: bytes, recipients: Sequence[str], sender: str | None = None) -> int:
    """Take a mail in for each of its recipients that is an address of ours.

    :param sender: the envelope's; None where there is no envelope any more.
    :returns: how many of the recipients are.
    :raises NotYetError: when it is about a delivery that is under way; it must come again.
    """
    tags = list(dict.fromkeys(tag for one in recipients if (tag := mail_tags.read(one))))
    if tags:
        found = mail.read(content, sender)
        for tag in tags:
            key = _key(tag, found, content)
            (_came_back if tag.about is About.BOUNCE else _answered)(tag, key, found)
    return len(tags)


def _came_back(tag: Tag, key: str, report: Mail) -> None:
    reason = reports.failure(report)
    if reason is None:
        log.info("a mail about a delivery says of no failure", delivery=tag.id)
        return
    with unit_of_work() as session:
        delivery = session.get(Delivery, tag.id)
        if delivery is None or not _is_new(session, key):
            return
        bounces.note(session, delivery, reason)
        log.warning("a mail came back", delivery=tag.id)


def _answered(tag: Tag, key: str, answer: Mail) -> None:
    author = answer.author
    if answer.is_from_a_machine or author is None or _is_ours(author):
        log.info("an automatic answer is let go", incoming=tag.id)
        return
    try:
        with unit_of_work() as session:
            if _is_new(session, key):
                message = answers.send(session, tag, answer, author)
                log.info("answered by mail", incoming=tag.id, message=message.id)
    except NoAnswerError as reason:
        with unit_of_work() as session:
            if _is_new(session, key):
                answers.tell(session, answer, author, str(reason))
    wake("send")
    wake("relay")


def _is_ours(author: str) -> bool:
    return (
        author.lower() == current_settings().mail_from.lower() or mail_tags.read(author) is not None
    )


def _key(tag: Tag, found: Mail, content: bytes) -> str:
    """Name a mail: by its Message-ID, and where it has none by all that it says."""
    name = found.id or hashlib.sha256(content).hexdigest()
    return hashlib.sha256(f"{tag.about}:{tag.id}:{name}".encode("utf-8", "replace")).hexdigest()


def _is_new(session: Session, key: str) -> bool:
    """Note in the caller's transaction that a mail is taken in; tell whether it was not before."""
    done = (
        insert_into(session, MailTaken)
        .values(key=key)
        .on_conflict_do_nothing()
        .returning(MailTaken.key)
    )
    return session.scalar(done) is not None
