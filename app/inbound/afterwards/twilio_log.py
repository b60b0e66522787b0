"""Twilio's log of an account, read a slice of time after the other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.models.base import utcnow
from app.twilio import results
from app.twilio.client import TwilioClient

A_FEW = 20
SECOND = timedelta(seconds=1)
"""Twilio filters by whole seconds: each question reaches over the edges of its slice."""
PAGE = 1000


@dataclass(frozen=True)
class Account:
    """A Twilio account, with those of its numbers that are ours."""

    sid: str
    twilio: TwilioClient
    start: datetime
    """Where the look at it begins."""
    seen_until: datetime
    """Where the last look at it ended."""
    numbers: list[str]


@dataclass(frozen=True)
class Slice:
    """What the log has of a span of time, oldest first."""

    texts: list[results.Message]
    calls: list[results.Call]

    def has(self, most: int) -> bool:
        """Tell whether it holds so many texts, or calls, or more."""
        return max(len(self.texts), len(self.calls)) >= most


def read(account: Account, start: datetime, until: datetime, limit: int) -> Slice:
    """Read a span: its texts to our numbers, and its calls, ``limit`` of each at most.

    Few numbers are asked about one by one, so that what we send is not read as well; many together.
    Twilio lists the newest first, with times in whole seconds, within which its order counts.

    :raises TwilioFailure: when Twilio refuses, or cannot be asked.
    """
    after, before = start - SECOND, until + SECOND
    found = Slice([], [])
    for number in account.numbers if len(account.numbers) <= A_FEW else [None]:
        found.texts.extend(
            account.twilio.list_messages(
                to=number, sent_after=after, sent_before=before,
                limit=limit - len(found.texts), page_size=PAGE,
            )
        )  # fmt: skip
        if found.has(limit):
            return found
    found.calls.extend(
        account.twilio.list_calls(
            started_after=after, started_before=before, limit=limit, page_size=PAGE
        )
    )
    found.texts.reverse()
    found.texts.sort(key=came)
    found.calls.reverse()
    found.calls.sort(key=began)
    return found


def has_answer(twilio: TwilioClient, text: results.Message) -> bool:
    """Ask whether a text was answered by TwiML, as it was where the database was restored since.

    :raises TwilioFailure: when Twilio refuses, or cannot be asked.
    """
    ours = twilio.list_messages(to=text.from_, from_=text.to, limit=A_FEW, page_size=A_FEW)
    return any(one.direction == "outbound-reply" and came(one) >= came(text) for one in ours)


def came(text: results.Message) -> datetime:
    """Return when a text came in."""
    return text.date_created or text.date_sent or utcnow()


def began(call: results.Call) -> datetime:
    """Return when a call came in."""
    return call.start_time or call.date_created or utcnow()
