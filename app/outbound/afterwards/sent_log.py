"""What Twilio's log says went out since some time, account by account."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from sqlalchemy import select

from app.domain import clocks
from app.domain.sending.reports import Report
from app.extensions import current_settings, db
from app.models.credential import Credential
from app.models.message import Direction
from app.models.route import Destination
from app.models.sender import Sender
from app.outbound.afterwards.traces import essence, report_of, report_of_call
from app.twilio import results
from app.twilio.client import RefusedByTwilio, TwilioClient
from app.twilio.clock import Difference
from app.twilio.segments import smart_encode

PAGE = 1000
QUITE_OLD = 100
"""After so many in a row from before the beginning there is nothing newer: Twilio lists by time."""


Listed = TypeVar("Listed", results.Message, results.Call)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sent:
    """A text or call of one of our senders, as Twilio's log has it."""

    sid: str
    destination: Destination
    sender_id: str
    to: str
    words: str
    """The text without what differs between two preparations of it; nothing for a call."""
    at: datetime | None
    """When it was made, by our clock as far as that is known."""
    report: Report


def sent_by(account_sid: str, ways: Sequence[TwilioClient], since: datetime) -> list[Sent]:
    """Read an account's log by the first of its log-ins that Twilio takes.

    Where Twilio takes none, nothing can be sent with them either, and nobody else waits for it.
    """
    senders = senders_of(account_sid)
    database = clocks.database(db.session())
    db.session.rollback()
    for twilio in ways:
        try:
            return [
                *_texts(twilio, senders, since, database),
                *_calls(twilio, senders, since, database),
            ]
        except RefusedByTwilio as refused:
            if refused.status not in (401, 403):
                raise
            log.warning("Twilio refuses an account", account=account_sid, error=str(refused))
    return []


def senders_of(account_sid: str) -> dict[str, str]:
    """Return the ids of an account's senders by address: not of who only claims the account."""
    found = db.session.execute(
        select(Sender.address, Sender.id)
        .join(Credential, Credential.id == Sender.credential_id)
        .where(Credential.account_sid == account_sid, Credential.unconfirmed_since.is_(None))
    )
    return {row.address: row.id for row in found}


def _texts(
    twilio: TwilioClient, senders: dict[str, str], since: datetime, database: Difference
) -> Iterator[Sent]:
    """Yield the texts that our senders sent. Unfiltered: a queued one has no time to filter by."""
    listed = twilio.list_messages(limit=10_000_000, page_size=PAGE)
    for one, at in _newest(listed, since, lambda: twilio.clock.known().minus(database)):
        sender = senders.get(one.messaging_service_sid or "") or senders.get(one.from_ or "")
        if one.direction == Direction.API and sender is not None:
            yield Sent(
                one.sid,
                Destination.SMS,
                sender,
                one.to or "",
                words_of(one.body),
                at,
                report_of(one),
            )


def _calls(
    twilio: TwilioClient, senders: dict[str, str], since: datetime, database: Difference
) -> Iterator[Sent]:
    listed = twilio.list_calls(limit=10_000_000, page_size=PAGE)
    for one, at in _newest(listed, since, lambda: twilio.clock.known().minus(database)):
        sender = senders.get(one.from_ or "")
        if one.direction == Direction.API and sender is not None:
            yield Sent(
                one.sid, Destination.VOICE, sender, one.to or "", "", at, report_of_call(one)
            )


def _newest(
    listed: Iterator[Listed], since: datetime, ahead: Callable[[], Difference]
) -> Iterator[tuple[Listed, datetime | None]]:
    """Yield what is listed, newest first, with its time by our clock, as far back as wanted."""
    older = 0
    for one in listed:
        at = one.date_created and one.date_created - timedelta(seconds=ahead().middle)
        older = older + 1 if at is not None and at < since else 0
        if older >= QUITE_OLD:
            return
        if not older:
            yield one, at


def words_of(body: str) -> str:
    """Return a text without the codes of its links, which each preparation makes anew."""
    base = re.escape(f"{current_settings().short_link_base_url}/l/")
    return essence(re.sub(rf"({base})[\w-]+", r"\1", smart_encode(body)))
