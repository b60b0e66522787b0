"""What one try sends: read from the database before, because no transaction waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.addresses import PUBLIC, Networks


@dataclass(frozen=True)
class MediaFile:
    """Something that a person sent along or said: at Twilio or here, and under our own link."""

    code: str
    url: str | None
    """At Twilio; None where it is kept here."""
    content_type: str


@dataclass(frozen=True)
class Letter:
    """An event with all that its sending needs."""

    event_id: str
    type: str
    body: str
    context: dict[str, Any]
    created_at: datetime
    url: str
    """The endpoint's URL or e-mail address."""
    delivery_id: str = ""
    """Of a mail: what its return path names."""
    method: str = "POST"
    secrets: tuple[str, ...] = ()
    """Of a webhook: its signing secrets, the current one first."""
    login: tuple[str, str] | None = None
    """Of a plain URL: user name and password."""
    origins: tuple[str, ...] = ()
    """Where the log-in may be sent."""
    networks: Networks = PUBLIC
    """Of a URL: where it may lead beside the public Internet, and where never."""
    media: tuple[MediaFile, ...] = ()
    """Of a mail: what is to be attached or linked."""
    twilio: tuple[str, str] | None = None
    """Of a mail: the log-in with which its media are fetched from Twilio."""
    problem: str | None = None
    """Why nothing can be sent now, in a sentence."""
