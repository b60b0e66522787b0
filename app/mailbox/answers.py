"""An answer to a forwarded text: it goes to the person as a text, through the door of all texts.

Only those may answer who were sent the text, and those who work for the client. Whatever stands
against it is told to who wrote, in a mail, and nothing has been sent then.
"""

from __future__ import annotations

from email.message import Message as MailMessage
from pathlib import PurePath

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain import audit, mail_tags, urls
from app.domain.content import attachments, file_types
from app.domain.mail_addresses import is_address, on_the_wire
from app.domain.mail_tags import Tag
from app.domain.mistakes import Refused
from app.domain.reach import SUPPRESSED, Refusal
from app.domain.relaying import bounces, notices
from app.domain.sending.texts import queue_text
from app.mailbox import mail, wording
from app.mailbox.mail import Mail
from app.models.client import Client
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint, EndpointKind
from app.models.incoming import Incoming
from app.models.message import Message, MessageState
from app.models.sender import Sender
from app.models.user import Membership, User

log = structlog.get_logger(__name__)

_SIGNATURES = (
    "application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature",
)  # fmt: skip
"""What mail programs add to prove who wrote: no file that somebody sent along."""

OVER = (
    "The text that you answered is too old to be answered by mail, or it has been deleted. Find the"
    " conversation in the inbox of Dispatch, or send a new text there."
)
NOT_THEIRS = (
    "Only an address to which the text was forwarded may answer it, and the people who work for"
    " this client in Dispatch. {author} is none of them: answer from the address that got the mail,"
    " or ask the owner to add yours to the population."
)
NOTHING_WRITTEN = (
    "No words and no files were found in your answer. Write above what your mail program quotes."
)


class NoAnswerError(Exception):
    """It cannot go out; the message is a sentence for who wrote it."""


def send(session: Session, tag: Tag, answer: Mail, author: str) -> Message:
    """Send an answer to the person whose text it answers.

    :raises NoAnswerError: when it cannot go out; the transaction must not be kept then.
    """
    incoming = session.get(Incoming, tag.id)
    if incoming is None or tag.is_over:
        raise NoAnswerError(OVER)
    client = session.get_one(Client, incoming.client_id)
    if not _may_answer(session, incoming, client, author):
        log.warning("an answer from an address that may not", incoming=incoming.id)
        raise NoAnswerError(NOT_THEIRS.format(author=author))
    bounces.forget(session, client.id, author)
    written = wording.answer(answer.message, mail_tags.address(tag.about, tag.id))
    try:
        media = [_keep(session, client, part) for part in _files(answer.message)]
        if not written and not media:
            raise NoAnswerError(NOTHING_WRITTEN)
        sender = session.get_one(Sender, incoming.sender_id)
        message = queue_text(session, client, sender, incoming.from_, body=written, media=media)
    except (Refusal, Refused) as refused:
        raise NoAnswerError(str(refused)) from refused
    details = {"message": message.id}
    audit.record(
        session, author, "answer", f"text from {incoming.from_} by mail", client.id, details
    )
    if message.state is MessageState.SUPPRESSED:
        tell(session, answer, author, SUPPRESSED)
    return message


def tell(session: Session, answer: Mail, author: str, why: str) -> None:
    """Tell who wrote that the person has got nothing, and why; once per mail."""
    subject = mail.header(answer.message, "Subject").removeprefix("Re: ")[:150]
    notices.notify(
        session,
        author,
        f"Not sent: {subject or 'your answer'}",
        f"Your answer has not been sent to anybody.\n\n{why}\n\nOnce that is put right, answer the"
        " forwarded text again.",
        answers=answer.id,
    )


def _may_answer(session: Session, incoming: Incoming, client: Client, author: str) -> bool:
    """Tell whether this address got the text, or is one of the client's people."""
    if not is_address(author):
        return False
    asked = on_the_wire(author).lower()
    told = session.scalars(
        select(Endpoint.url)
        .join(Delivery, Delivery.endpoint_id == Endpoint.id)
        .where(Delivery.incoming_id == incoming.id, Endpoint.kind == EndpointKind.EMAIL)
    )
    if asked in {on_the_wire(one).lower() for one in told if is_address(one)}:
        return True
    if asked == client.owner_email.lower():
        return True
    works_here = (
        select(User.id)
        .join(Membership, Membership.user_id == User.id)
        .where(
            Membership.client_id == client.id,
            func.lower(User.email) == asked,
            User.disabled_at.is_(None),
        )
    )
    return session.scalar(works_here) is not None


def _files(message: MailMessage) -> list[MailMessage]:
    """Return what was sent along, without the pictures of the letter itself, a logo for example."""
    shown = "".join(
        mail.text_of(part)
        for part in mail.leaves(message)
        if part.get_content_type() == "text/html" and part.get_content_disposition() is None
    )
    return [part for part in mail.leaves(message) if _is_file(part, shown)]


def _is_file(part: MailMessage, html: str) -> bool:
    place = mail.header(part, "Content-ID").strip("<>")
    if (place and f"cid:{place}" in html) or part.get_content_type() in _SIGNATURES:
        return False
    is_attached = part.get_content_disposition() == "attachment"
    return is_attached or part.get_content_maintype() in ("image", "audio", "video")


def _keep(session: Session, client: Client, part: MailMessage) -> str:
    """Keep a file for as long as texts are kept, and return its address.

    :raises Refused: when Twilio takes none such, or it is too large.
    """
    content = mail.content_of(part)
    kind = file_types.identify(content, part.get_content_type())
    name = f"{PurePath(mail.filename_of(part)).stem or 'file'}.{file_types.extension(kind)}"
    return urls.of_media(attachments.keep(session, client, name, content).code)
