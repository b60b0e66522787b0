"""The operator's own engine writes down what was said: one POST with the sound, one answer.

Its contract is in ``docs/operations.md``. It may get the same message again, under the same id,
when its answer was lost.
"""

from __future__ import annotations

import base64
import json
import re
from functools import partial
from ipaddress import ip_network
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import select

from app.domain.addresses import Networks
from app.domain.voicemails import reports
from app.extensions import current_settings, db
from app.models.media import Media
from app.outbound.relay import transport
from app.outbound.relay.transport import Call, Limits
from app.outbound.voicemails.outcome import Outcome, Work

LIMITS = Limits(connect=5.0, read=120.0, total=120.0, body=256 * 1024)
ANYWHERE = Networks((ip_network("0.0.0.0/0"), ip_network("::/0")))
"""The operator's own address: it may be private, and no client can write it."""
NO_WORDS = 204
FOR_GOOD = frozenset({400, 413, 415, 422})
"""Statuses that say that the engine will never make anything of this sound."""
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}")


NOBODY_CAN = partial(reports.transcribed, text=None, language=None)


class Words(BaseModel):
    """What the engine answers."""

    model_config = ConfigDict(strict=True)

    text: str
    language: str | None = None


def transcribe(work: Work) -> Outcome:
    """Have the sound written down."""
    url = current_settings().transcribe_url
    if url is None:
        return work.nothing("TRANSCRIBE_URL is not set any more.")
    sound = db.session.execute(
        select(Media.content, Media.content_type).where(Media.code == work.media_code)
    ).one_or_none()
    db.session.rollback()  # nothing is held open while the engine works
    if sound is None or not sound.content:
        return NOBODY_CAN
    answer = transport.send(_call(url, work, sound), ANYWHERE, LIMITS)
    if answer.error or answer.status is None:
        return work.nothing(f"The engine could not be asked. {answer.detail or ''}".strip())
    if answer.status == NO_WORDS:
        return _written(Words(text=""))
    if answer.status in FOR_GOOD:
        return NOBODY_CAN
    if answer.status != 200:
        return work.nothing(f"The engine answered with HTTP status {answer.status}.")
    words = None if answer.truncated else _read(answer.body)
    if words is None:
        return work.nothing('The engine\'s answer is no JSON such as {"text": "…"}.')
    return _written(words)


def _call(url: str, work: Work, sound: Any) -> Call:
    parts = urlsplit(url)
    headers = {
        "Content-Type": sound.content_type,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": f"Dispatch (+{current_settings().public_base_url})",
        "Idempotency-Key": work.voicemail_id,
    }
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(login).decode()
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return Call("POST", urlunsplit(bare), headers, sound.content)


def _read(body: str) -> Words | None:
    try:
        return Words.model_validate(json.loads(body))
    except (ValueError, RecursionError, ValidationError):
        return None


def _written(words: Words) -> Outcome:
    named = words.language or ""
    language = named if _LANGUAGE.fullmatch(named) else None
    return partial(reports.transcribed, text=words.text, language=language)
