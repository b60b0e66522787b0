"""Which of the messages found in Twilio's log is which of ours, where that can be known.

The log knows phone, sender and text, not our ids: messages that share these cannot be told apart.
Where it holds as many of them as we have in doubt, they are assigned in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from app.domain.sending import fates, statuses
from app.models.message import Direction, Message, MessageState
from app.models.route import Destination
from app.outbound.afterwards.traces import LATEST_POST, Found, essence

LOST: ColumnElement[bool] = Message.state == MessageState.UNKNOWN
UNHEARD_OF = and_(
    Message.state == MessageState.ACCEPTED,
    Message.sid.is_(None),
    Message.direction == Direction.REPLY,
)
"""Replies by TwiML of which nothing was heard."""
_LONG_AGO = datetime.fromtimestamp(0, UTC)

NOT_CERTAIN = (
    "It could not be found out whether the text before this one went out, so this one was left out."
)


def in_doubt(session: Session, message: Message) -> list[Message]:
    """Return the messages that any one found for this could be as well, in the order of their turn.

    Itself included, unless its fate is known by now, and those that are on their way to Twilio. All
    are locked. What a call said the log does not tell: every call to the phone counts.
    """
    claimed = message.claimed_at or message.created_at
    rows = session.scalars(
        select(Message)
        .where(
            Message.to == message.to,
            Message.sender_id == message.sender_id,
            Message.destination == message.destination,
            Message.lane_key.is_not_distinct_from(message.lane_key),
            or_(Message.state == MessageState.CLAIMED, LOST, UNHEARD_OF),
            # One whose POST was over long before cannot be what is found.
            or_(Message.claimed_at.is_(None), Message.claimed_at >= claimed - LATEST_POST),
        )
        .order_by(Message.id)  # all who lock them do so in one order
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    wanted = essence(message.body)
    alike = [one for one in rows if _is_call(one) or essence(one.body) == wanted]
    return sorted(alike, key=lambda one: (one.claimed_at or one.created_at, one.id))


def nobodys(session: Session, found: Sequence[Found]) -> list[Found]:
    """Return those that no message of ours has, in the order in which Twilio made them."""
    sids = [one.sid for one in found]
    taken = set(session.scalars(select(Message.sid).where(Message.sid.in_(sids))))
    free = [one for one in found if one.sid not in taken]
    return sorted(free, key=lambda one: (one.created or _LONG_AGO, one.sid))


def assign(session: Session, alike: Sequence[Message], free: Sequence[Found]) -> bool:
    """Adopt what was found, in order, where there can be no doubt; return whether it was done."""
    on_their_way = any(one.state is MessageState.CLAIMED for one in alike)
    if not free or on_their_way or len(free) != len(alike):
        return False
    for message, its in zip(alike, free, strict=True):
        statuses.record_report(session, message.id, its.report)
    return True


def leave_open(
    session: Session, message: Message, alike: Sequence[Message], free: Sequence[Found]
) -> None:
    """Ask Twilio no more: people have to say which of these the message is, if any."""
    sentence = _sentence(message, len(alike), len(free))
    if message.state is MessageState.UNKNOWN:
        session.execute(
            update(Message)
            .where(Message.id == message.id, LOST)
            .values(check_at=None, checks=message.checks + 1, error_message=sentence)
            .execution_options(synchronize_session=False)
        )
        statuses.drop_next_steps(session, message, NOT_CERTAIN)
    else:
        statuses.end(
            session,
            message.id,
            MessageState.UNKNOWN,
            before=(message.state,),
            reason="unknown",
            error_message=sentence,
        )
    shown = [fates.Candidate(one.sid, one.report.status, one.created) for one in free]
    fates.keep_candidates(session, message.id, shown)


def _sentence(message: Message, ours: int, theirs: int) -> str:
    noun = "call" if _is_call(message) else "text"
    found = f"one {noun}" if theirs == 1 else f"several {noun}s ({theirs})"
    meant = "this one" if ours == 1 else f"{ours} of ours that are alike"
    return f"Twilio's log has {found} for {meant}: look there, and say here whether it arrived."


def _is_call(message: Message) -> bool:
    return message.destination is Destination.VOICE
