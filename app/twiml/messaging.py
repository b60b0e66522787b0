"""TwiML answers to an incoming text."""

from collections.abc import Sequence

from twilio.twiml.messaging_response import MessagingResponse

from app.twiml.text import MAX_BODY, clean, trim, utf16_units

"""Longest reply in UTF-16 units; Twilio drops a longer one with warning 14103."""
MAX_MEDIA = 10
"""Most media files in one message (Twilio error 21623)."""


def empty() -> str:
    """Return the document that accepts a text and answers nothing."""
    return str(MessagingResponse())


def reply(body: str, media: Sequence[str] = (), status_callback: str | None = None) -> str:
    """Return the document that answers the sender with `body` and `media`.

    `body` is cleaned and cut to `MAX_BODY`; `media` are absolute URLs. With neither text nor
    media it is the empty document, since Twilio takes an empty <Message> for a mistake (14103).
    Reports about the reply go to `status_callback`.

    Raises ValueError for more than `MAX_MEDIA` files.
    """
    if len(media) > MAX_MEDIA:
        raise ValueError(f"A message can carry {MAX_MEDIA} media files; {len(media)} were given.")
    text = trim(clean(body), MAX_BODY)
    if not text.strip() and not media:
        return empty()
    response = MessagingResponse()
    # Twilio names the URL for reports `action` today and knows `statusCallback`, its older name,
    # everywhere. Both are given; a report that arrives twice changes nothing.
    message = response.message(
        action=status_callback,
        method="POST" if status_callback else None,
        status_callback=status_callback,
    )
    if text.strip():
        message.body(text)
    for url in media:
        message.media(clean(url))
    return str(response)


def redirect(url: str) -> str:
    """Return the document that makes Twilio ask `url`, by POST, for the answer instead."""
    response = MessagingResponse()
    response.redirect(clean(url), method="POST")
    return str(response)


def fits(body: str) -> bool:
    """Tell whether `body` can be a reply as it is, without being cut."""
    return utf16_units(clean(body)) <= MAX_BODY
