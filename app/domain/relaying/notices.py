"""Notices: mails of our own, to a client's owner, to support, or to a person who signs in.

They go the way of every delivery: recorded in the transaction of what they tell about, sent and
retried by the relay, kept with every try.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from app.domain.relaying import events, receivers
from app.models.base import utcnow
from app.models.delivery import EventType


def notify(
    session: Session,
    to: str | Iterable[str],
    subject: str,
    text: str,
    *,
    dedupe_key: str | None = None,
) -> int:
    """Write a mail to one or several addresses, within the caller's transaction.

    The caller may ``wake("relay")`` after the commit.

    :param text: the whole mail as plain text, lines separated by a newline.
    :param dedupe_key: names the happening, so that it makes one mail per address, however often
        it is noticed. Put the day or month into it if it may be told again then.
    :returns: how many mails were written, without repeats.
    """
    addresses = {to} if isinstance(to, str) else set(to)
    by_address = {address.strip().lower(): address.strip() for address in sorted(addresses)}
    endpoints = sorted(
        (receivers.email(session, None, address) for address in by_address.values()),
        key=lambda endpoint: endpoint.id,
    )
    now = utcnow()
    made = [
        events.record(
            session, endpoint.id, EventType.NOTICE, {"subject": subject, "text": text},
            client_id=None, occurred_at=now, dedupe_key=dedupe_key,
        )
        for endpoint in endpoints
    ]  # fmt: skip
    return sum(delivery is not None for delivery in made)
