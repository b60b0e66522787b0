"""What Twilio has and we have not: texts and calls that came while we could not be reached.

Twilio's log is read from where the last look ended, a slice of time after the other, and what is
missing is taken in on the same way as by the webhook: forwards go out, once; replies that are more
than a minute late do not. A bookmark for each account is moved after each slice, so that a crash
repeats a slice, which does no harm.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, update

from app.domain.clients.accounts import client_of
from app.domain.wake import stopping
from app.extensions import db, reading, unit_of_work
from app.inbound import calls, lookup, texts, voice
from app.inbound.lookup import Number
from app.inbound.parsing import Arrival, MediaItem
from app.models.base import PHONE_LENGTH, utcnow
from app.models.credential import Credential
from app.models.house import Bookmark
from app.models.incoming import Incoming
from app.models.route import Channel, Handler
from app.models.sender import Sender, SenderKind
from app.twilio import results
from app.twilio.client import TwilioClient
from app.twilio.failures import TwilioFailure

log = structlog.get_logger(__name__)

SETTLING = timedelta(seconds=35)
"""What is younger may still be on its way to our webhook: 15 s, and 15 s to the fallback URL."""
OVERLAP = timedelta(minutes=5)
"""How far each look reaches back before the last one: Twilio's log may be late too."""
SLICE = timedelta(hours=1)
SHORTEST = timedelta(minutes=1)
MOST = 5000
"""Texts read in one slice; where there are more, the slice is made shorter."""
EVERYTHING = 100_000
A_FEW = 20
FIRST_LOOK = timedelta(days=1)
"""How far the very first look reaches back."""
PAUSE = 0.2
"""Seconds between two slices: our questions must not take the account's room for sending."""
RUN_SECONDS = 50.0


@dataclass(frozen=True)
class _Account:
    sid: str
    twilio: TwilioClient
    start: datetime
    numbers: list[str]


def tick() -> None:
    """Look at every account since its last look; a job of the queue ``house``."""
    found = run(deadline=time.monotonic() + RUN_SECONDS)
    if found:
        log.info("recovered from Twilio's log", **found)


def run(since: datetime | None = None, deadline: float | None = None) -> Counter[str]:
    """Take in what is missing; return how many texts and calls that were.

    :param since: look back to then, whatever the bookmarks say.
    :param deadline: stop at this time (``time.monotonic``); the rest waits for the next run.
    """
    found: Counter[str] = Counter()
    for account in _accounts(since):
        try:
            found += _look(account, deadline, keep_bookmark=since is None)
        except TwilioFailure as failure:
            log.warning("Twilio's log cannot be asked", account=account.sid, error=str(failure))
    return found


def _accounts(since: datetime | None) -> list[_Account]:
    """Read which accounts there are and where the look at each begins."""
    accounts: dict[str, _Account] = {}
    numbers = defaultdict(list)
    for account_sid, address in db.session.execute(
        select(Credential.account_sid, Sender.address)
        .join(Sender, Sender.credential_id == Credential.id)
        .where(Sender.kind == SenderKind.TWILIO)
    ):
        numbers[account_sid].append(address)
    marks = {one.name: one.at for one in db.session.scalars(select(Bookmark))}
    for credential in db.session.scalars(select(Credential).order_by(Credential.id)):
        if credential.account_sid in accounts:
            continue
        mark = marks.get(_name(credential.account_sid))
        first = max(credential.created_at, utcnow() - FIRST_LOOK)
        start = since or (mark - OVERLAP if mark else first)
        accounts[credential.account_sid] = _Account(
            credential.account_sid, client_of(credential), start, numbers[credential.account_sid]
        )
    db.session.rollback()
    return list(accounts.values())


def _name(account_sid: str) -> str:
    return f"recovery:{account_sid}"


def _look(account: _Account, deadline: float | None, keep_bookmark: bool) -> Counter[str]:
    found: Counter[str] = Counter()
    start, end = account.start, utcnow() - SETTLING
    length = SLICE
    while start < end and not stopping.is_set():
        until = min(start + length, end)
        limit = MOST if length > SHORTEST else EVERYTHING
        listed = _list_texts(account, start, until, limit)
        if len(listed) >= limit and length > SHORTEST:
            length = max(length / 4, SHORTEST)
            continue
        found["texts"] += _take_in_texts(account, listed)
        found["calls"] += _take_in_calls(account, start, until)
        start = until
        if keep_bookmark:
            with unit_of_work() as session:
                session.merge(Bookmark(name=_name(account.sid), at=until))
        if deadline is not None and time.monotonic() > deadline:
            break
        if start < end:
            stopping.wait(PAUSE)
    return +found


def _list_texts(
    account: _Account, start: datetime, until: datetime, limit: int
) -> list[results.Message]:
    """Return the texts of a span that came to the account's numbers, oldest first.

    Few numbers are asked about one by one, so that what we send is not read as well; many together.
    Twilio lists the newest first, with times in whole seconds, within which its order counts.
    """
    few = len(account.numbers) <= A_FEW
    listed: list[results.Message] = []
    for number in account.numbers if few else [None]:
        listed += account.twilio.list_messages(
            to=number, sent_after=start, sent_before=until,
            limit=limit - len(listed), page_size=1000,
        )  # fmt: skip
        if len(listed) >= limit:
            break
    listed.reverse()
    listed.sort(key=_came)
    return listed


def _came(text: results.Message) -> datetime:
    return text.date_created or text.date_sent or utcnow()


def _take_in_texts(account: _Account, listed: list[results.Message]) -> int:
    incoming = [one for one in listed if one.direction == "inbound"]
    missing = _missing([one.sid for one in incoming])
    taken = 0
    for one in incoming:
        if one.sid in missing:
            taken += _take_in_text(account, one)
    return taken


def _missing(sids: Iterable[str]) -> set[str]:
    wanted = set(sids)
    known: set[str] = set()
    ordered = sorted(wanted)
    for first in range(0, len(ordered), 500):
        chunk = ordered[first : first + 500]
        known.update(db.session.scalars(select(Incoming.sid).where(Incoming.sid.in_(chunk))))
    db.session.rollback()
    return wanted - known


def _take_in_text(account: _Account, text: results.Message) -> bool:
    """Take in one text as the webhook does, unless it is not ours to handle."""
    with reading() as connection:
        number = lookup.for_text(
            connection, text.to or "", text.from_ or "", text.messaging_service_sid,
            text.body.strip().upper(),
        )  # fmt: skip
    if number is None or not _ours(number, account, _came(text)):
        return False
    media = tuple(_media(account.twilio, text)) if text.num_media else ()
    arrival = Arrival(
        channel=Channel.SMS,
        sid=text.sid,
        account_sid=account.sid,
        from_=(text.from_ or "")[:PHONE_LENGTH],
        to=(text.to or "")[:PHONE_LENGTH],
        received_at=_came(text),
        parameters={
            "MessageSid": text.sid, "AccountSid": account.sid, "From": text.from_ or "",
            "To": text.to or "", "Body": text.body.replace("\0", ""),
            "NumMedia": str(text.num_media), "NumSegments": str(text.num_segments or 1),
        },
        body=text.body.replace("\0", ""),
        media=media,
        segments=text.num_segments or 1,
        service_sid=text.messaging_service_sid,
        recovered=True,
    )  # fmt: skip
    texts.take_in(arrival, number)
    return True


def _media(twilio: TwilioClient, text: results.Message) -> Iterable[MediaItem]:
    for item in twilio.list_media(text.sid):
        yield MediaItem(item.url, item.content_type)


def _ours(number: Number, account: _Account, came: datetime) -> bool:
    """Tell whether what came in is ours to handle: our number, and not the client's own TwiML.

    What is older than the log is kept may have been handled, and gone since.
    """
    if number.account_sid != account.sid:
        return False
    if came < utcnow() - timedelta(days=number.client.retention_days):
        return False
    return number.route is None or number.route.handler is not Handler.HANDLE_YOURSELF


def _take_in_calls(account: _Account, start: datetime, until: datetime) -> int:
    """Log the calls that never reached us, and how known ones ended if we were not told."""
    listed = [
        one
        for one in account.twilio.list_calls(
            started_after=start, started_before=until, limit=MOST, page_size=1000
        )
        if one.direction == "inbound" and one.status in voice.ENDS
    ]
    missing = _missing([one.sid for one in listed])
    taken = 0
    for one in sorted(listed, key=lambda call: call.start_time or until):
        if one.sid in missing:
            taken += _take_in_call(account, one)
        else:
            _note_end(one)
    return taken


def _take_in_call(account: _Account, call: results.Call) -> bool:
    with reading() as connection:
        number = lookup.for_call(connection, call.to or "")
    came = call.start_time or call.date_created or utcnow()
    if number is None or not _ours(number, account, came):
        return False
    arrival = Arrival(
        channel=Channel.VOICE,
        sid=call.sid,
        account_sid=account.sid,
        from_=(call.from_ or "")[:PHONE_LENGTH],
        to=(call.to or "")[:PHONE_LENGTH],
        received_at=came,
        parameters={"CallSid": call.sid, "AccountSid": account.sid},
        call_status=call.status,
        recovered=True,
    )
    calls.take_in_missed(arrival, number)
    _note_end(call)
    return True


def _note_end(call: results.Call) -> None:
    with unit_of_work() as session:
        session.execute(
            update(Incoming)
            .where(Incoming.sid == call.sid, Incoming.ended_at.is_(None))
            .values(
                call_status=call.status,
                call_duration=call.duration,
                ended_at=call.end_time or utcnow(),
            )
            .execution_options(synchronize_session=False)
        )
