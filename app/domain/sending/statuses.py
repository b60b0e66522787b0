"""What becomes of a message: every report is kept, and both columns move by compare-and-set.

``state`` is ours and follows ``MESSAGE_TRANSITIONS``; ``status`` is Twilio's and only ever moves
up in rank, whatever the order in which reports come. Every change is announced, once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import Session

from app.domain.audience import contacts
from app.domain.relaying import announcements
from app.domain.sending import call_retries, consequences, reports
from app.domain.sending.reports import Report
from app.models.base import utcnow
from app.models.batch import Batch
from app.models.message import Direction, Message, MessageState
from app.models.route import Channel
from app.twilio import errors

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


def record_report(
    session: Session, message_id: str, report: Report, at: datetime | None = None
) -> Message | None:
    """Keep ``report`` and let it move the message on, where it is news.

    A SID proves that Twilio has taken the message, whatever we believed before. Reports may be
    repeated, late, out of order and in words we do not know: all are kept, none moves back.

    :returns: the message if anything of it moved, else None.
    """
    at = at or utcnow()
    # Locked before its report is inserted: the report's foreign key would share the row with
    # another transaction's, and then neither could change it.
    if session.get(Message, message_id, with_for_update=True, populate_existing=True) is None:
        return None
    reports.keep(session, message_id, report, at)
    moved = None
    if report.sid is not None:
        moved = _take(session, message_id, report, at)
    if moved is not None and report.status in INITIAL:
        return moved
    return move_status(session, message_id, report, at) or moved


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
    reports.keep(
        session, message_id, Report(state.value, "dispatch", error_code=error_code), utcnow()
    )
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


def _take(session: Session, message_id: str, report: Report, at: datetime) -> Message | None:
    """Twilio has the message: note its SID, and let the next step go."""
    values = {column.key: value for column, value in taken_values(at).items()}
    values["sid"] = report.sid
    if report.status in INITIAL:
        values["status"] = report.status
    values |= reports.extras(report)
    message = _set(
        session,
        and_(Message.id == message_id, Message.sid.is_(None), Message.state.in_(TAKEABLE)),
        **values,
    )
    if message is not None:
        if is_contact(message):
            contacts.remember(session, message, at)
        announcements.taken(session, message)
        release_next_step(session, message, at)
    return message


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
    return message.destination is Channel.SMS and message.direction is Direction.API


def move_status(session: Session, message_id: str, report: Report, at: datetime) -> Message | None:
    """Let a report that is kept move the status on, where its word is news."""
    message = session.get(Message, message_id)
    if message is None:
        return None
    more = reports.extras(report)
    newer = reports.is_news(message.destination, report)
    values: dict[str, Any] = {**more, "status": report.status}
    if report.sequence is not None:
        values["status_sequence"] = report.sequence
    if report.error_code is not None:
        values["error_code"] = report.error_code
        values["error_message"] = (report.error_message or "")[:500] or None
    if report.status == "sent":
        values["sent_at"] = at
    if reports.is_end(message.destination, report) and message.price is not None:
        values["check_at"] = None  # nothing is left to ask Twilio
    moved = None
    if newer is not None:
        moved = _set(session, and_(Message.id == message_id, newer), **values)
    if moved is None:
        # The rest counts whatever its place in the order: a price comes long after the last word.
        if any(getattr(message, name) != value for name, value in more.items()):
            _set(session, Message.id == message_id, **more)
        return None
    announcements.status_changed(session, moved)
    call_retries.place_again(session, moved, at)
    if report.status in ("failed", "undelivered", "canceled"):
        drop_next_steps(session, moved)
        moved = _opted_out(session, moved) or moved
        consequences.apply(session, moved, moved.error_code, at)
    return moved


def _opted_out(session: Session, message: Message) -> Message | None:
    """Twilio's late word that the person has opted out: the message counts as suppressed."""
    if message.error_code is None or not errors.rule(message.error_code).opted_out:
        return None
    return end(
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
