"""Recordings: audio that callers hear, checked to be what Twilio's <Play> takes."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import PurePath

from sqlalchemy.orm import Session

from app.domain import changes, named
from app.domain.changes import Change
from app.domain.content.file_types import is_mpeg_frame, text_of
from app.domain.mistakes import Mistake, Refused
from app.domain.one_line import one_line
from app.models.base import utcnow
from app.models.client import Client
from app.models.media import Media, MediaSource, Recording

MAX_BYTES = 10 * 1024 * 1024
"""Largest recording: some ten minutes of MP3, and quick for Twilio to fetch."""
KEPT_AFTER_CHANGE = timedelta(hours=4)
"""How long the old file is served once it was replaced: a call lasts four hours at most."""

_GSM_FRAME = 33
_RAW_TYPES = {".gsm": "audio/gsm", ".ulaw": "audio/ulaw", ".ul": "audio/ulaw"}


def save(
    session: Session, client: Client, name: str, filename: str, content: bytes, by: str
) -> Change[Recording]:
    """Keep ``content`` as the client's recording of that name, in place of an earlier one.

    :raises Refused: when it is not audio of a kind that Twilio plays, empty or too large.
    """
    reasons, name = [], one_line(name)
    if not name or len(name) > 100:
        reasons.append(Mistake(("name",), "A recording needs a name of at most 100 characters."))
    content_type = audio_type(filename, content)
    if reason := _refusal(filename, content, content_type):
        reasons.append(Mistake(("file",), reason))
    if reasons or content_type is None:
        raise Refused(reasons)
    digest = hashlib.sha256(content).hexdigest()
    known = named.find(session, Recording, client.id, name)
    target = f"recording {name}"
    if known is not None and known.sha256 == digest:
        return Change(known, target)
    media = Media(
        client_id=client.id,
        source=MediaSource.STORED,
        content_type=content_type,
        filename=PurePath(filename).name[-100:],
        size=len(content),
        content=content,
    )
    session.add(media)
    session.flush()
    if known is not None:
        old = session.get_one(Media, known.media_code)
        old.expires_at = utcnow() + KEPT_AFTER_CHANGE
    row = known or Recording(client_id=client.id, name=name)
    changes.write(session, row, {"media_code": media.code, "sha256": digest})
    details = {"content": f"{len(content):,} bytes"}
    return changes.note(session, Change(row, target, details, is_new=known is None), by)


def audio_type(filename: str, content: bytes) -> str | None:
    """Return the MIME type of audio that Twilio plays, or None for anything else.

    The content decides. Raw GSM and u-law have no header: there the name's ending says what it
    is (Twilio, <Play>: MP3, WAV, AIFF, GSM and u-law).
    """
    if text_of(content) is not None:
        return None
    start = content[:12]
    if start.startswith(b"RIFF") and start[8:] == b"WAVE":
        return "audio/wav"
    if start.startswith(b"FORM") and start[8:] in (b"AIFF", b"AIFC"):
        return "audio/aiff"
    if start.startswith(b"ID3") or is_mpeg_frame(start):
        return "audio/mpeg"
    raw = _RAW_TYPES.get(PurePath(filename).suffix.lower())
    if raw == "audio/gsm" and not _is_gsm(content):
        return None
    if raw == "audio/ulaw" and _is_text(content):
        return None
    return raw


def _refusal(filename: str, content: bytes, content_type: str | None) -> str | None:
    shown = PurePath(filename).name
    if not content:
        return f"“{shown}” is empty."
    if len(content) > MAX_BYTES:
        return (
            f"“{shown}” has {len(content) / 1048576:.1f} MB; at most"
            f" {MAX_BYTES // 1048576} MB are allowed."
        )
    if content_type is None:
        return f"“{shown}” is not audio that Twilio plays: MP3, WAV, AIFF, GSM or u-law."
    return None


def _is_gsm(content: bytes) -> bool:
    """Tell GSM 06.10: frames of 33 bytes, each beginning with the bits 1101."""
    whole = len(content) // _GSM_FRAME * _GSM_FRAME
    return whole > 0 and all(byte >> 4 == 0xD for byte in content[:whole:_GSM_FRAME])


def _is_text(content: bytes) -> bool:
    try:
        content[:4096].decode("ascii")
    except UnicodeDecodeError:
        return False
    return True
