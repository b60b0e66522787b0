"""A try by e-mail: the mail is written from the event, the same at every try, and handed over."""

from __future__ import annotations

import time
from email.message import EmailMessage
from email.policy import SMTP

import structlog

from app.domain import sign_in_links
from app.extensions import current_settings
from app.outbound.relay import letters, smtp
from app.outbound.relay.letter import Letter, MediaFile
from app.outbound.relay.outcome import Outcome
from app.twilio.media import MediaUnavailable, fetch_media

log = structlog.get_logger(__name__)

MAX_ATTACHED = 5 * 1024 * 1024
"""Bytes of pictures and the like that are attached to one mail; what is more is linked only."""
FETCH_SECONDS = 20.0
_SEVEN_BITS = SMTP.clone(cte_type="7bit")
"""Not every mail server takes 8 bits, and one on the way may not either (RFC 6152)."""


def send_mail(letter: Letter) -> Outcome:
    """Write the mail that an event asks for and hand it to the mail server."""
    outcome = Outcome(url=f"mailto:{letter.url}"[:2048])
    settings = current_settings()
    if not letters.is_address(letter.url):
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
    handed = smtp.hand_over(server, settings.mail_from, letter.url, mail, smaller)
    outcome.status, outcome.error, outcome.detail = handed.status, handed.error, handed.detail
    outcome.address, outcome.permanent = handed.address, handed.permanent
    outcome.response_body = handed.reply
    outcome.duration_ms = round((time.monotonic() - began) * 1000)
    return outcome


def _write(letter: Letter, attached: dict[str, bytes]) -> EmailMessage:
    settings = current_settings()
    domain = settings.mail_from.rpartition("@")[2]
    mail = EmailMessage(policy=_SEVEN_BITS)
    letters.address(mail, letter, settings.mail_from, domain)
    subject, text = letters.write(letter, settings.public_base_url, set(attached))
    mail["Subject"] = letters.one_line(subject)
    mail.set_content(letters.printable(sign_in_links.fill(text, letter.context)))
    for number, media in enumerate(letter.media, 1):
        if media.code in attached:
            maintype, subtype, name = letters.attachment(media.content_type, number)
            mail.add_attachment(attached[media.code], maintype, subtype, filename=name)
    return mail


def _fetch(letter: Letter) -> dict[str, bytes]:
    """Fetch what people sent along from Twilio, as far as it fits; the rest stays a link."""
    fetched: dict[str, bytes] = {}
    room = MAX_ATTACHED
    ends = time.monotonic() + FETCH_SECONDS
    for media in letter.media:
        seconds = ends - time.monotonic()
        if letter.twilio is None or room <= 0 or seconds <= 0:
            break
        content = _fetch_one(media, letter.twilio, room, seconds)
        if content is not None:
            fetched[media.code] = content
            room -= len(content)
    return fetched


def _fetch_one(media: MediaFile, login: tuple[str, str], room: int, seconds: float) -> bytes | None:
    try:
        return fetch_media(
            media.url, *login, base_url=current_settings().twilio_api_base_url,
            max_bytes=room, deadline_seconds=seconds,
        ).content  # fmt: skip
    except MediaUnavailable as error:
        log.info("media is linked, not attached", code=media.code, reason=str(error))
        return None
