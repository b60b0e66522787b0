"""What a provider tells, once it is believed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from config import OidcProvider


@dataclass(frozen=True)
class Arrival:
    """Who came back from a provider, by its word."""

    provider: OidcProvider
    subject: str
    email: str | None
    """Their address as the provider tells it; believed only where ``email_verified``."""
    email_verified: bool
    groups: frozenset[str]
    session: str | None


@dataclass(frozen=True)
class Logout:
    """What a provider tells that has ended: one session, or all of a person's."""

    subject: str | None
    session: str | None
    token: str
    """The token's own id, by which it is known that it was used."""
    ends_at: datetime
    """When it is refused for its age."""
