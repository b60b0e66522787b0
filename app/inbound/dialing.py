"""What holds for every call that goes on to somebody's phone: who may be called, what they see,
and that no call goes in circles."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta

from sqlalchemy import bindparam, func, or_, select
from sqlalchemy.orm import Session

from app.domain import phone_kinds, phones, reach
from app.domain.clients import spending
from app.domain.clients.spending import Amount, Limited
from app.domain.phone_kinds import Kind
from app.domain.relaying import notices
from app.inbound.answers import Answer
from app.inbound.number import Number
from app.inbound.parsing import Arrival
from app.models.base import table
from app.models.incoming import Incoming, Outcome
from app.models.route import Destination

NO_ANSWER = "We are sorry. Nobody can take your call just now. Please try again later. Goodbye."
ANSWERED = frozenset({"completed", "answered"})
"""The DialCallStatus of a call that somebody took (Twilio, <Dial>)."""
MAX_FORWARDS = 10
"""Most calls of one caller that a number forwards within :data:`LOOP_WINDOW`: more go in circles,
where no carrier says by whom they were forwarded to us."""
LOOP_WINDOW = timedelta(minutes=5)
_SHOWABLE = (Kind.DOMESTIC, Kind.TOLL_FREE, Kind.CARIBBEAN, Kind.INTERNATIONAL)
_incoming = table(Incoming)
_FORWARDED = select(func.count()).where(
    _incoming.c.client_id == bindparam("client_id"),
    _incoming.c["from"] == bindparam("phone"),
    _incoming.c.received_at > bindparam("after"),
    _incoming.c.sender_id == bindparam("number_id"),
    or_(_incoming.c.outcome == Outcome.FORWARDED, _incoming.c.dial_status.is_not(None)),
)
_NOT_FORWARDED = "The call was not forwarded. {}"


def own(session: Session, arrival: Arrival, phones: Iterable[str]) -> set[str]:
    """Return those that are our own numbers of these phones and of who has forwarded the call."""
    return reach.own_numbers(session, {*phones, _forwarded_by(arrival)} - {""})


def refusal(to: str, number: Number, ours: Collection[str]) -> str | None:
    """Say why a call may not go on to ``to``; None when it may.

    :param ours: by :func:`own`.

    The same was checked when the route was saved, but what is ours, and what the client may, can
    have changed since.
    """
    refused = reach.silence(number.standing) or reach.why_not(
        number.standing, to, Destination.VOICE, ours
    )
    return _NOT_FORWARDED.format(refused.sentence) if refused else None


def over_limit(session: Session, number: Number, minutes: int) -> str | None:
    """Say which limit of the client's so many minutes of calls more would break; None if none."""
    try:
        spending.check(session, number.client, Amount(call_minutes=minutes))
    except Limited as limited:
        return _NOT_FORWARDED.format(limited.sentence)
    return None


def comes_from(arrival: Arrival, to: str) -> str | None:
    """Say that the call comes from the phone ``to`` which it would go on to; None if it does not.

    Whoever forwarded it to us is in ``ForwardedFrom``, where the carrier says so (Twilio's voice
    request).
    """
    if to == arrival.from_:
        return f"{to} itself is calling."
    if _forwarded_by(arrival) == to:
        return f"{to} has forwarded this call to us itself."
    return None


def circle(session: Session, arrival: Arrival, number: Number, ours: Collection[str]) -> str | None:
    """Say why the call goes in circles, wherever it would go on to; None when it does not.

    Our own number as the caller, or as who has forwarded it, gives it away; or many calls of one
    caller, where no carrier says who has.
    """
    forwarded_by = _forwarded_by(arrival)
    if number.from_is_ours:
        return f"{arrival.from_} is one of our own numbers."
    if forwarded_by in ours:
        return f"{forwarded_by}, which has forwarded this call to us, is one of our own numbers."
    if is_shown(arrival.from_) and _often_forwarded(session, arrival, number):
        return (
            f"{arrival.from_} has been forwarded {MAX_FORWARDS} times within"
            f" {LOOP_WINDOW.seconds // 60} minutes."
        )
    return None


def stopped(arrival: Arrival, number: Number, twiml: str, reason: str) -> Answer:
    """Let the caller hear that nobody is there, and tell the owner, once a day for each number."""
    sentence = f"The call was not forwarded: it would go in circles. {reason}"

    def tell(session: Session) -> None:
        notices.notify(
            session,
            number.client.owner_email,
            f"Calls to {number.address} go in circles",
            f"{sentence}\nLook where {number.address} forwards its calls, and where that phone"
            " forwards them.\n",
            dedupe_key=f"call-loop:{number.id}:{arrival.received_at:%Y-%m-%d}",
        )

    return Answer(
        twiml,
        Outcome.LOOP_STOPPED,
        error=sentence,
        flagged=True,
        afterwards=tell,
        wakes="relay",
    )


def is_shown(phone: str) -> bool:
    """Tell whether a caller's phone may be shown: a hidden or odd one not (Twilio error 13214)."""
    return phone_kinds.classify(phone) in _SHOWABLE


def _often_forwarded(session: Session, arrival: Arrival, number: Number) -> bool:
    values = {
        "client_id": number.client.id,
        "phone": arrival.from_,
        "after": arrival.received_at - LOOP_WINDOW,
        "number_id": number.id,
    }
    count: int = session.connection().execute(_FORWARDED, values).scalar_one()
    return count >= MAX_FORWARDS


def _forwarded_by(arrival: Arrival) -> str:
    written = arrival.parameters.get("ForwardedFrom", "")
    try:
        return phones.normalize(written)
    except phones.InvalidPhone:
        return written.strip()
