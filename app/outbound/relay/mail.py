"""A try by e-mail: the mail is written from the event, the same at every try, and handed over."""

from __future__ import annotations

import json
import time
from email.message import EmailMessage
from email.policy import SMTP

import structlog

from app.domain import mail_tags, sign_in_links
from app.domain.content import file_types
from app.domain.mail_addresses import is_address, on_the_wire
from app.domain.mail_tags import About
from app.extensions import current_settings, db
from app.models.delivery import EventType
from app.outbound.relay import letters, reading, smtp
from app.outbound.relay.letter import Letter, MediaFile
from app.outbound.relay.outcome import Attempted
from app.twilio.media import MediaUnavailable, fetch_media

log = structlog.get_logger(__name__)

MAX_ATTACHED = 5 * 1024 * 1024
"""Bytes of pictures and the like that are attached to one mail; what is more is linked only."""
FETCH_SECONDS = 20.0
_SEVEN_BITS = SMTP.clone(cte_type="7bit")
"""Not every mail server takes 8 bits, and one on the way may not either (RFC 6152)."""


def send_mail(letter: Letter) -> Attempted:
    """Write the mail that an event asks for and hand it to the mail server."""
    outcome = Attempted(url=f"mailto:{letter.url}"[:2048])
    settings = current_settings()
    if not is_address(letter.url):
        outcome.error, outcome.permanent = "smtp", True
        outcome.detail = "This is no e-mail address; correct it in the population."
        return outcome
    if settings.smtp_url is None:
        outcome.error = "smtp"
        outcome.detail = "No mail server is set up; support must set SMTP_URL."
        return outcome
    began = time.monotonic()
    attached = _fetch(letter)
    mail = _write(letter, attached)
    smaller = _write(letter, {}) if attached else mail
    outcome.request_headers = {name: str(value) for name, value in mail.items()}
    server = smtp.Server.read(settings.smtp_url, settings.public_base_url)
    handed = smtp.hand_over(server, _return_path(letter), letter.url, mail, smaller)
    outcome.status, outcome.error, outcome.detail = handed.status, handed.error, handed.detail
    outcome.address, outcome.permanent = handed.address, handed.permanent
    outcome.response_body = handed.reply
    outcome.duration_ms = round((time.monotonic() - began) * 1000)
    return outcome


def _write(letter: Letter, attached: dict[str, bytes]) -> EmailMessage:
    settings = current_settings()
    mail_from = on_the_wire(settings.mail_from)
    domain = mail_from.rpartition("@")[2]
    mail = EmailMessage(policy=_SEVEN_BITS)
    reply_to = _reply_to(letter)
    letters.address(mail, letter, mail_from, domain, reply_to)
    subject, text = letters.write(
        letter, settings.public_base_url, set(attached), answerable=reply_to is not None
    )
    mail["Subject"] = letters.one_line(subject)
    mail.set_content(letters.printable(sign_in_links.fill(text, letter.context)))
    for number, media in enumerate(letter.media, 1):
        if media.code in attached:
            _attach(mail, media.content_type, number, attached[media.code])
    return mail


def _return_path(letter: Letter) -> str:
    """Return where the mail comes back to: an address that names this delivery, if that is read."""
    settings = current_settings()
    if settings.mail_in_url is None or not letter.delivery_id:
        return settings.mail_from
    return mail_tags.address(About.BOUNCE, letter.delivery_id)


def _reply_to(letter: Letter) -> str | None:
    """Return the address by which an answer reaches the person whose text is forwarded."""
    if current_settings().mail_in_url is None or letter.type != EventType.SMS_RECEIVED:
        return None
    return mail_tags.address(About.REPLY, str(json.loads(letter.body)["data"]["id"]))


def _attach(mail: EmailMessage, declared: str, number: int, content: bytes) -> None:
    maintype, subtype, name = letters.attachment(declared, number, content)
    is_text = maintype == "text" and file_types.text_of(content) is not None
    charset = {"charset": file_types.charset_of(content)} if is_text else None
    mail.add_attachment(content, maintype, subtype, filename=name, params=charset)


def _fetch(letter: Letter) -> dict[str, bytes]:
    """Fetch what people sent along, as far as it fits; the rest stays a link."""
    fetched: dict[str, bytes] = {}
    room = MAX_ATTACHED
    ends = time.monotonic() + FETCH_SECONDS
    for media in letter.media:
        seconds = ends - time.monotonic()
        if room <= 0 or seconds <= 0:
            break
        content = _fetch_one(media, letter.twilio, room, seconds)
        if content is not None and len(content) <= room:
            fetched[media.code] = content
            room -= len(content)
    return fetched


def _fetch_one(
    media: MediaFile, login: tuple[str, str] | None, room: int, seconds: float
) -> bytes | None:
    if media.url is None:
        content = reading.content(db.session(), media.code)
        db.session.rollback()  # nothing is held open while the mail is handed over
        return content
    if login is None:
        return None
    try:
        return fetch_media(
            media.url, *login, base_url=current_settings().twilio_api_base_url,
            max_bytes=room, deadline_seconds=seconds,
        ).content  # fmt: skip
    except MediaUnavailable as error:
        log.info("media is linked, not attached", code=media.code, reason=str(error))
        return None
