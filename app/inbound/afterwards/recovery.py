"""What Twilio has and we have not: texts and calls that came while we could not be reached.

Twilio's log is read from where the last look ended, a slice of time after the other, and what is
missing is taken in on the same way as by the webhook: forwards go out, once; replies that are more
than a minute late do not. A bookmark for each account is moved after each slice, so that a crash
repeats a slice, which does no harm. One question is asked at a time, about a page of a thousand.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import func, select, update

from app.domain import aside, clocks, keywords, wake
from app.domain.clients.accounts import client_by_id
from app.domain.persons import repeating
from app.domain.phone_spellings import texted
from app.extensions import current_settings, db, reading, redis_client, unit_of_work
from app.inbound import call_log, calls, lookup, texts
from app.inbound.afterwards import twilio_log
from app.inbound.afterwards.twilio_log import Account, began, came
from app.inbound.number import Number
from app.inbound.parsing import Arrival, MediaItem, channel, phone_of
from app.models.base import PHONE_LENGTH, utcnow
from app.models.client import Client
from app.models.credential import Credential
from app.models.house import Bookmark
from app.models.incoming import CALL_ENDS, Incoming
from app.models.route import Destination, Handler
from app.models.sender import Sender, SenderKind
from app.twilio import results
from app.twilio.client import TwilioClient
from app.twilio.clock import clock
from app.twilio.failures import RefusedByTwilio, TwilioFailure

log = structlog.get_logger(__name__)

SETTLING = timedelta(seconds=35)
"""What is younger may still be on its way to our webhook: 15 s, and 15 s to the fallback URL."""
OVERLAP = timedelta(minutes=5)
"""How far each look reaches back before the last one: Twilio's log may be late too."""
SLICE = timedelta(hours=1)
SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(days=1)
MOST = 2000
"""Texts, or calls, read in one slice; where there are more, the slice is made shorter, and longer
where there are few."""
EVERYTHING = 100_000
FIRST_LOOK = timedelta(days=1)
"""How far the very first look reaches back."""
PAUSE = 0.2
"""Seconds between two slices: our questions must not take the account's room for sending."""


def tick() -> None:
    """Look at every account since its last look; a job of the queue ``house``.

    After some seconds it hands over to a new job, behind the others that wait.
    """
    deadline = time.monotonic() + wake.DRAIN_SECONDS
    found = run(deadline=deadline)
    _keep_difference()
    if found:
        log.info("recovered from Twilio's log", **found)
    if time.monotonic() > deadline:
        wake.enqueue_job("house", "app.inbound.afterwards.recovery.tick", redis_client())


def _keep_difference() -> None:
    """Write down how Twilio's clock differs, for ``/metrics`` and the doctor."""
    known = clock(current_settings().twilio_api_base_url).difference()
    if known is not None:
        with unit_of_work() as session:
            clocks.keep(session, "twilio", known)


def run(since: datetime | None = None, deadline: float | None = None) -> Counter[str]:
    """Take in what is missing; return how many texts and calls that were.

    :param since: look back to then, whatever the bookmarks say, though not farther than the log
        of any client is kept.
    :param deadline: stop at this time (``time.monotonic``); the rest waits for the next run.
    """
    found: Counter[str] = Counter()
    for ways in _accounts(since):
        if _late(deadline):
            break
        with aside.set_aside("recovery", ways[0].sid):
            found += _look_by_any(ways, deadline, keep_bookmark=since is None)
    return found


def _look_by_any(ways: list[Account], deadline: float | None, keep_bookmark: bool) -> Counter[str]:
    """Look at an account by the first of its credentials that Twilio takes."""
    for way in ways:
        try:
            return _look(way, deadline, keep_bookmark)
        except TwilioFailure as failure:
            log.warning("Twilio's log cannot be asked", account=way.sid, error=str(failure))
            if not (isinstance(failure, RefusedByTwilio) and failure.status in (401, 403)):
                break
    return Counter()


def _late(deadline: float | None) -> bool:
    return wake.stopping.is_set() or (deadline is not None and time.monotonic() > deadline)


def _accounts(since: datetime | None) -> list[list[Account]]:
    """Read which accounts there are and where the look at each begins, the farthest back first.

    :returns: each account once for each credential that it may be asked by.
    """
    numbers = defaultdict(list)
    for account_sid, address in db.session.execute(
        select(Credential.account_sid, Sender.address)
        .join(Sender, Sender.credential_id == Credential.id)
        .where(Sender.kind == SenderKind.TWILIO, Credential.unconfirmed_since.is_(None))
    ):
        numbers[account_sid].append(address)
    kept = timedelta(days=db.session.scalar(select(func.max(Client.retention_days))) or 0)
    marks = {one.name: one.at for one in db.session.scalars(select(Bookmark))}
    credentials = db.session.execute(
        select(Credential.id, Credential.account_sid, Credential.created_at)
        .where(
            Credential.unconfirmed_since.is_(None),
            aside.free("credential", Credential.id),
            aside.free("recovery", Credential.account_sid),
        )
        .order_by(Credential.id)
    ).all()
    db.session.rollback()
    accounts: dict[str, list[Account]] = defaultdict(list)
    for credential_id, sid, created_at in credentials:
        twilio = client_by_id(credential_id)
        if twilio is None:
            continue
        mark = marks.get(_name(sid))
        if mark is not None and mark > utcnow() + clocks.MOST_APART:
            mark = None  # a clock was wrong: nobody knows how far the look had got
        first = max(created_at, utcnow() - FIRST_LOOK)
        start = max(since or (mark - OVERLAP if mark else first), utcnow() - kept)
        accounts[sid].append(Account(sid, twilio, start, since or mark or start, numbers[sid]))
    db.session.rollback()
    return sorted(accounts.values(), key=lambda ways: ways[0].start)


def _name(account_sid: str) -> str:
    return f"recovery:{account_sid}"


def _look(account: Account, deadline: float | None, keep_bookmark: bool) -> Counter[str]:
    found: Counter[str] = Counter()
    start, end = account.start, _settled(account)
    length = SLICE
    while start < end and not wake.stopping.is_set():
        until = min(start + length, end)
        listed = twilio_log.read(account, start, until, MOST if length > SHORTEST else EVERYTHING)
        if listed.has(MOST) and length > SHORTEST:
            length = max(length / 4, SHORTEST)
            continue
        taken = Counter(
            texts=_take_in_texts(account, listed.texts), calls=_take_in_calls(account, listed.calls)
        )
        if taken.total():
            repeating.again(start)  # of somebody, perhaps, who was erased since
        found += taken
        start = until
        if until <= account.seen_until:
            continue  # what the last look has seen; ending here would lead nowhere
        if keep_bookmark:
            with unit_of_work() as session:
                reached = min(until, _settled(account))
                session.merge(Bookmark(name=_name(account.sid), at=reached))
        if _late(deadline):
            break
        if not listed.has(MOST // 10):
            length = min(length * 2, LONGEST)
        if start < end:
            wake.stopping.wait(PAUSE)
    return +found


def _settled(account: Account) -> datetime:
    """Return up to when Twilio's log is complete, by Twilio's clock: it holds nothing beyond."""
    return account.twilio.clock.known().earliest(utcnow()) - SETTLING


def _take_in_texts(account: Account, listed: list[results.Message]) -> int:
    incoming = [one for one in listed if one.direction == "inbound"]
    known = _logged(one.sid for one in incoming)
    return sum(
        _unless_unreadable(one.sid, partial(_take_in_text, account, one))
        for one in incoming
        if one.sid not in known
    )


def _logged(sids: Iterable[str]) -> dict[str, bool]:
    """Return which of ``sids`` are in our log, and whether we know that they ended."""
    known: dict[str, bool] = {}
    ordered = sorted(set(sids))
    for first in range(0, len(ordered), 500):
        found = select(Incoming.sid, Incoming.ended_at).where(
            Incoming.sid.in_(ordered[first : first + 500])
        )
        known.update((sid, ended_at is not None) for sid, ended_at in db.session.execute(found))
    db.session.rollback()
    return known


def _unless_unreadable(sid: str, take_in: Callable[[], bool]) -> bool:
    with aside.set_aside("recovery", sid):
        return take_in()
    return False


def _take_in_text(account: Account, text: results.Message) -> bool:
    """Take in one text as the webhook does, unless it is not ours to handle."""
    with reading() as connection:
        number = lookup.for_text(
            connection, phone_of(text.to or ""), phone_of(text.from_ or ""),
            text.messaging_service_sid, keywords.read(text.body), at=came(text),
        )  # fmt: skip
    if number is None or not _ours(number, account, came(text)):
        return False
    media = tuple(_media(account.twilio, text)) if text.num_media else ()
    received_at = account.twilio.clock.known().ours(came(text))
    arrival = Arrival(
        destination=Destination.SMS,
        sid=text.sid,
        account_sid=account.sid,
        from_=texted(phone_of(text.from_ or ""))[:PHONE_LENGTH],
        to=phone_of(text.to or "")[:PHONE_LENGTH],
        text_channel=channel(text.from_ or "", text.to or "", len(media)),
        received_at=received_at,
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
        answered=not texts.is_late(received_at) and twilio_log.has_answer(account.twilio, text),
    )  # fmt: skip
    texts.take_in(arrival, number)
    return True


def _media(twilio: TwilioClient, text: results.Message) -> Iterator[MediaItem]:
    try:
        for item in twilio.list_media(text.sid):
            yield MediaItem(item.url, item.content_type)
    except RefusedByTwilio as refused:
        log.warning("the media of a text cannot be had", sid=text.sid, error=str(refused))


def _ours(number: Number, account: Account, at: datetime) -> bool:
    """Tell whether what came in is ours to handle: our number, and not the client's own TwiML.

    What is older than the log is kept may have been handled, and gone since.
    """
    if number.account_sid != account.sid:
        return False
    if at < utcnow() - timedelta(days=number.client.retention_days):
        return False
    return number.route is None or number.route.handler is not Handler.HANDLE_YOURSELF


def _take_in_calls(account: Account, listed: list[results.Call]) -> int:
    """Log the calls that never reached us, and how known ones ended if we were not told."""
    ended = [one for one in listed if one.direction == "inbound" and one.status in CALL_ENDS]
    known = _logged(one.sid for one in ended)
    for one in ended:
        if known.get(one.sid) is False:
            with aside.set_aside("recovery", one.sid):
                _note_end(one)
    return sum(
        _unless_unreadable(one.sid, partial(_take_in_call, account, one))
        for one in ended
        if one.sid not in known
    )


def _take_in_call(account: Account, call: results.Call) -> bool:
    with reading() as connection:
        number = lookup.for_call(connection, call.to or "", call.from_ or "")
    at = began(call)
    if number is None or not _ours(number, account, at):
        return False
    arrival = Arrival(
        destination=Destination.VOICE,
        sid=call.sid,
        account_sid=account.sid,
        from_=(call.from_ or "")[:PHONE_LENGTH],
        to=(call.to or "")[:PHONE_LENGTH],
        received_at=at,
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
                text_back_at=call_log.texted_at(),
            )
            .execution_options(synchronize_session=False)
        )
