"""What becomes of a message: every report is kept, and both columns move by compare-and-set.

``state`` is ours and follows ``MESSAGE_TRANSITIONS``; ``status`` is Twilio's and only ever moves
up in rank, whatever the order in which reports come. Every change is announced, once. There is one
way for one report and for hundreds: the rows are locked, compared, and set together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby, zip_longest
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import Session

from app.domain.audience import contacts, reachability
from app.domain.relaying import announcements, listeners
from app.domain.sending import allowance, breaker, call_retries, consequences, reports
from app.domain.sending.reports import Report
from app.models.base import ERASED, utcnow
from app.models.batch import Batch
from app.models.message import Direction, Message, MessageState
from app.models.route import Destination
from app.twilio import errors
from app.twilio import statuses as words

MISSING_AFTER = timedelta(hours=4)
"""When Twilio's word is not final this long after it took a message, we ask."""
REPLY_UNHEARD_OF = timedelta(minutes=10)
"""When nothing has been heard of a reply by TwiML this long after it was given, we ask."""

TAKEABLE = (
    MessageState.WAITING,
    MessageState.CLAIMED,
    MessageState.UNKNOWN,
    MessageState.FAILED,
    MessageState.ACCEPTED,  # a reply by TwiML, whose SID comes with its first report
)
INITIAL = ("accepted", "scheduled", "queued")

Given = tuple[str, Report, datetime]
"""A report: of which message, by its id, and when it came."""


def record_report(
    session: Session, message_id: str, report: Report, at: datetime | None = None
) -> Message | None:
    """Keep one report and let it move its message on, as :func:`record_all` does for many.

    :returns: the message if anything of it moved, else None.
    """
    return record_all(session, [(message_id, report, at or utcnow())]).get(message_id)


def record_all(session: Session, given: Sequence[Given]) -> dict[str, Message]:
    """Keep reports and let each move its message on, where it is news.

    A SID proves that Twilio has taken the message, whatever we believed before. Reports may be
    repeated, late, out of order and in words we do not know: all are kept, none moves back.

    :param given: in the order in which they came.
    :returns: the messages of which anything moved, by id.
    """
    return apply(session, lock(session, {message_id for message_id, _, _ in given}), given)


def lock(
    session: Session, ids: Collection[str], *, skip_locked: bool = False
) -> dict[str, Message]:
    """Lock messages, in one order always, and return them as they are now, by id.

    To be done before their reports are inserted: a report's foreign key would share the row with
    another transaction's, and then neither could change it.
    """
    found = session.scalars(
        select(Message)
        .where(Message.id.in_(ids))
        .order_by(Message.id)
        .with_for_update(skip_locked=skip_locked)
        .execution_options(populate_existing=True)
    )
    return {message.id: message for message in found}


def apply(
    session: Session, messages: Mapping[str, Message], given: Sequence[Given]
) -> dict[str, Message]:
    """Do :func:`record_all` for messages that are locked; reports about others are left out.

    By few statements for all of them: first each message's first report, then each one's second.
    """
    erased = {id_ for id_, message in messages.items() if message.to == ERASED}
    listeners.read_ahead(session, list(messages.values()))
    moved: dict[str, Message] = {}
    waiting: dict[str, list[Given]] = {}
    for one in given:
        waiting.setdefault(one[0], []).append(one)
    for turn in zip_longest(*(waiting[id_] for id_ in messages if id_ in waiting)):
        now = [_without_words(one) if one[0] in erased else one for one in turn if one is not None]
        reports.keep_all(session, now)
        due = [(messages[message_id], report, at) for message_id, report, at in now]
        taken = [one for one in due if _take(*one)]
        _after_taking(session, [one for one in taken if one[0].id not in erased])
        told = {message.id for message, report, _ in taken if report.status in INITIAL}
        gone_on = [one for one in due if one[0].id not in told and _go_on(*one)]
        session.flush()
        for message, report, at in gone_on:
            if message.id in erased:
                allowance.end_call(session, message, report, at)
            else:
                _after_going_on(session, message, report, at)
        breaker.sent_on(session, [one.id for one, *_ in gone_on if one.status in words.SENT_ON])
        arrived = [
            (one, at)
            for one, _, at in gone_on
            if one.status in words.ARRIVED and one.id not in erased
        ]
        reachability.proved_by(session, arrived)
        moved |= {message.id: message for message, _, _ in (*taken, *gone_on)}
    return moved


def _without_words(given: Given) -> Given:
    """Leave of a report about somebody who was erased what it costs and how far it came."""
    message_id, report, at = given
    bare = replace(
        report, error_message=None, answered_by=None, recording_url=None, digits=None, speech=None,
        details={},
    )  # fmt: skip
    return message_id, bare, at


def end(
    session: Session,
    message_id: str,
    state: MessageState,
    *,
    before: tuple[MessageState, ...],
    reason: str,
    error_message: str | None = None,
    error_code: int | None = None,
    check_at: datetime | None = None,
) -> Message | None:
    """Give the message one of our own ends (``unknown`` is one that may still be settled).

    :param before: the states from which this may happen; the claim of somebody else, or a report
        that came first, makes it not happen.
    :param reason: as ``message.problem`` names it.
    :param error_message: a sentence for people.
    :returns: the message, or None if it was in none of ``before`` any more.
    """
    message = _set(
        session,
        and_(Message.id == message_id, Message.state.in_(before)),
        state=state,
        reason=reason,
        error_code=error_code,
        error_message=error_message[:500] if error_message else None,
        check_at=check_at,
    )
    if message is None:
        return None
    own = Report(state.value, "dispatch", error_code=error_code)
    reports.keep_all(session, [(message_id, own, utcnow())])
    announcements.problem(session, message, reason)
    if state is not MessageState.UNKNOWN:
        drop_next_steps(session, message)
    return message


NOT_OUT = "The text before this one did not go out, so this one was left out."


def drop_next_steps(session: Session, message: Message, why: str = NOT_OUT) -> None:
    """Cancel the texts that were to follow ``message``, which did not reach its person."""
    if message.batch_id is None or message.position is None:
        return
    following = session.scalars(
        select(Message.id).where(
            Message.batch_id == message.batch_id,
            Message.position == message.position,
            Message.step > message.step,
            Message.state == MessageState.WAITING,
        )
    )
    for message_id in following.all():
        end(
            session,
            message_id,
            MessageState.CANCELED,
            before=(MessageState.WAITING,),
            reason="canceled",
            error_message=why,
        )


def _take(message: Message, report: Report, at: datetime) -> bool:
    """Twilio has the message: note its SID, if that is news."""
    if report.sid is None or message.sid is not None or message.state not in TAKEABLE:
        return False
    for column, value in taken_values(at).items():
        setattr(message, column.key, value)
    message.sid = report.sid
    if report.status in INITIAL:
        message.status = report.status
    for name, value in reports.extras(report).items():
        setattr(message, name, value)
    return True


def _after_taking(session: Session, taken: Sequence[tuple[Message, Report, datetime]]) -> None:
    """Remember whom the texts went to, tell of them, and let their next steps go."""
    if not taken:
        return
    session.flush()
    breaker.taken(session, [message for message, _, _ in taken])
    for at, together in groupby(taken, itemgetter(2)):
        texts = [message for message, _, _ in together if is_contact(message)]
        contacts.remember_all(session, texts, at)
    for message, _, at in taken:
        announcements.taken(session, message)
        release_next_step(session, message, at)


def taken_values(at: datetime) -> dict[Any, Any]:
    """Return what changes in every message that Twilio takes, by column."""
    return {
        Message.state: MessageState.ACCEPTED,
        Message.accepted_at: at,
        Message.check_at: at + MISSING_AFTER,
        Message.checks: 0,
        Message.reason: None,
        Message.error_code: None,
        Message.error_message: None,
    }


def is_contact(message: Message) -> bool:
    """Whether its phone is remembered: texts of our own, no replies and no calls."""
    return message.destination is Destination.SMS and message.direction is Direction.API


def _go_on(message: Message, report: Report, at: datetime) -> bool:
    """Let a report move the status on, where its word is news; the rest of it counts anyway.

    A price, for example, comes long after the last word.
    """
    for name, value in reports.extras(report).items():
        if getattr(message, name) != value:
            setattr(message, name, value)
    if not reports.is_news(message, report):
        return False
    message.status = report.status
    if report.sequence is not None:
        message.status_sequence = report.sequence
    if report.error_code is not None:
        message.error_code = report.error_code
        message.error_message = (report.error_message or "")[:500] or None
    if report.status == "sent":
        message.sent_at = at
    if reports.is_end(message.destination, report) and message.price is not None:
        message.check_at = None  # nothing is left to ask Twilio
    return True


def _after_going_on(session: Session, message: Message, report: Report, at: datetime) -> None:
    announcements.status_changed(session, message)
    allowance.end_call(session, message, report, at)
    call_retries.place_again(session, message, at)
    if report.status in ("failed", "undelivered", "canceled"):
        drop_next_steps(session, message)
        _end_if_opted_out(session, message)
        consequences.apply(session, message, message.error_code, at)


def _end_if_opted_out(session: Session, message: Message) -> None:
    """Twilio's late word that the person has opted out: the message counts as suppressed."""
    if message.error_code is None or not errors.rule(message.error_code).opted_out:
        return
    end(
        session,
        message.id,
        MessageState.SUPPRESSED,
        before=(MessageState.ACCEPTED,),
        reason="suppressed",
        error_code=message.error_code,
        error_message=message.error_message,
    )


def release_next_step(session: Session, message: Message, at: datetime) -> None:
    """Let the text that follows a taken one go, after its delay."""
    if message.batch_id is None or message.position is None:
        return
    batch = session.get_one(Batch, message.batch_id)
    if len(batch.plan.get("steps", ())) <= message.step + 1:
        return
    following = session.scalar(
        select(Message).where(
            Message.batch_id == message.batch_id,
            Message.position == message.position,
            Message.step == message.step + 1,
            Message.state == MessageState.WAITING,
        )
    )
    if following is not None:
        due = at + timedelta(seconds=following.step_after or 0)
        _set(session, and_(Message.id == following.id, Message.due_at.is_(None)), due_at=due)


def _set(session: Session, condition: ColumnElement[bool], **values: Any) -> Message | None:
    """Compare and set: return the message as it is afterwards, or None where nothing fitted."""
    return session.scalar(
        update(Message)
        .where(condition)
        .values({getattr(Message, name): value for name, value in values.items()})
        .returning(Message)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
