"""The files of an outgoing MMS, fetched as Twilio does: HEAD and GET, and their types compared.

By Twilio's documentation 'Accepted content types for media' and its error dictionary.
"""

from __future__ import annotations

from .core import Sandbox
from .records import Message

MAX_BYTES = 5 * 1024 * 1024
MAX_OTHER = 500 * 1024
_RESIZED = {"image/jpeg", "image/jpg", "image/png", "image/gif"}
_OTHERS = {
    "application/pdf",
    "application/vcard",
    "application/vnd.apple.pkpass",
    "text/vcard",
    "text/x-vcard",
    "text/csv",
    "text/rtf",
    "text/richtext",
    "text/calendar",
    "text/directory",
}


def accepted(content_type: str) -> bool:
    """Whether Twilio takes a file of this type."""
    return content_type.startswith(("image/", "audio/", "video/")) or content_type in _OTHERS


def problem(box: Sandbox, message: Message) -> int | None:
    """Twilio's error code for the first file that cannot be sent; None if all are well."""
    total = 0
    for url in message.media_urls:
        head = box.fetch_file(url, "HEAD", message.sid, MAX_BYTES)
        answer = head if head.code else box.fetch_file(url, "GET", message.sid, MAX_BYTES)
        code, text = answer.code, answer.error
        total += len(answer.body)
        if code is None and not accepted(answer.content_type):
            code, text = 12300, f"Invalid Content-Type {answer.content_type or '(none)'}."
        if code is None and head.content_type != answer.content_type:
            code, text = 12300, "HEAD and GET name different content types."
        large = answer.content_type not in _RESIZED and len(answer.body) > MAX_OTHER
        if code == 11750 or (code is None and (large or total > MAX_BYTES)):
            code, text = 11751, "The file is too large: 5 MB in all, 500 kB unless a picture."
        if code is not None:
            box.alert(code, text, message.sid, url)
            return 11200 if 11200 <= code < 11300 else code
    return None
