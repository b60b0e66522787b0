"""Which processes serve which requests."""

from __future__ import annotations

import enum
import re


class Pool(enum.Enum):
    """A kind of request, and the processes that take no other."""

    ANSWERS = "answers"
    """Twilio waits for TwiML, and a person for Twilio."""
    REPORTS = "reports"
    """Twilio tells what became of a message or a call: by the hundred, and it can wait."""
    OTHERS = "others"
    """Staff, client systems, media, short links, operators: some of them wait for Twilio's API."""


FEWEST = len(Pool)
"""Processes that run the application, at least: one for each pool."""

_REPORT = re.compile(rb"/inbound/(?:(?:sms|voice)/status(?:/|$)|voice/verification/)")
_AUTHORITY = re.compile(rb"https?://[^/?]*", re.IGNORECASE)


def of(target: bytes) -> Pool:
    """Return the pool for the target of a request line, as it was sent.

    Whatever is below `/inbound` and no report is an answer. A target that only looks like one of
    these is served by another pool, which harms nobody.
    """
    path = _AUTHORITY.sub(b"", target, count=1).partition(b"?")[0]
    if not path.startswith(b"/inbound/"):
        return Pool.OTHERS
    return Pool.REPORTS if _REPORT.match(path) else Pool.ANSWERS


def shares(processes: int) -> dict[Pool, int]:
    """Share out the processes that run the application: half and more of them answer Twilio.

    :raises ValueError: for fewer than :data:`FEWEST`.
    """
    if processes < FEWEST:
        raise ValueError(f"{processes} processes are too few for {FEWEST} pools")
    rest = max(1, processes // 4)
    return {Pool.ANSWERS: processes - 2 * rest, Pool.REPORTS: rest, Pool.OTHERS: rest}


def threads(pool: Pool, most: int) -> int:
    """Return how many requests each process of a pool works on at a time.

    Answers are one: more only contend for the interpreter and for SQLite's write lock. Reports that
    wait for a commit share the next one, which is most of what they cost; of everything else, some
    waits for Twilio and for media.
    """
    return 1 if pool is Pool.ANSWERS else most
