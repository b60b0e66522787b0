"""What follows from a POST's outcome; each message by compare-and-set, so that late is harmless."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from app.domain import clocks
from app.domain.sending import breaker, consequences, running, statuses
from app.domain.sending.reports import Report
from app.models.base import utcnow
from app.models.message import Lane, Message, MessageState
from app.outbound.send.claims import LONGEST_HOLD, Outgoing
from app.outbound.send.post import Outcome, Taken, Unready
from app.twilio import errors
from app.twilio.client import NotSent, RefusedByTwilio, Uncertain

FIRST_LOOK = timedelta(seconds=30)
"""How long after an uncertain POST Twilio's log is asked for the first time."""
_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds before the next try of a message that Twilio did not get."""
_CLAIMED_OR_LOST = (MessageState.CLAIMED, MessageState.UNKNOWN)
_QUEUE_FULL = 21611


def write_down(session: Session, found: Sequence[tuple[Outgoing, Outcome]]) -> None:
    """Write down what came of several POSTs, in one transaction."""
    now = utcnow()
    statuses.record_all(
        session,
        [(one.id, _report(outcome), now) for one, outcome in found if isinstance(outcome, Taken)],
    )
    in_a_row: dict[str, list[breaker.Refusal]] = {}
    for outgoing, outcome in found:
        if isinstance(outcome, Taken):
            in_a_row.pop(outgoing.breaker_key, None)
        elif isinstance(outcome, RefusedByTwilio):
            message = _refused(session, outgoing, outcome, now)
            if message is not None:
                refusal = (outgoing.breaker_key, message, outcome.code)
                in_a_row.setdefault(outgoing.breaker_key, []).append(refusal)
        else:
            _settle_failure(session, outgoing, outcome, now)
    breaker.refused(session, [one for row in in_a_row.values() for one in row], now)


def _report(taken: Taken) -> Report:
    return Report(
        taken.status, "response", sid=taken.sid, segments=taken.segments, sender=taken.sender
    )


def _settle_failure(
    session: Session, outgoing: Outgoing, outcome: NotSent | Uncertain, now: datetime
) -> None:
    if isinstance(outcome, NotSent):
        pause = max(
            _PAUSES[min(outgoing.tries, len(_PAUSES)) - 1], min(outcome.retry_after or 0, 3600)
        )
        _wait_again(session, outgoing, now + timedelta(seconds=pause))
        breaker.try_another(session, outgoing.id, now)
        if isinstance(outcome, Unready):
            return
        asked = min(outcome.retry_after or 0, LONGEST_HOLD.total_seconds())
        hold(session, outgoing.lane_key, now + timedelta(seconds=max(min(pause, 5), asked)))
    else:
        statuses.end(
            session,
            outgoing.id,
            MessageState.UNKNOWN,
            before=(MessageState.CLAIMED,),
            reason="unknown",
            error_message=f"{outcome} It is being looked up in Twilio's log.",
            check_at=now + FIRST_LOOK,
        )


def hold(session: Session, lane_key: str, until: datetime) -> None:
    """Send nothing from a lane before ``until``: Twilio asked us to slow down, or is away."""
    session.execute(
        update(Lane)
        .where(
            Lane.key == lane_key,
            or_(Lane.held_until.is_(None), clocks.has_come(Lane.held_until, until, LONGEST_HOLD)),
        )
        .values(held_until=until)
        .execution_options(synchronize_session=False)
    )


def _refused(
    session: Session, outgoing: Outgoing, refused: RefusedByTwilio, now: datetime
) -> Message | None:
    """Twilio surely did nothing, and its code says what to do: the table decides.

    :returns: the message if that was its end.
    """
    rule = errors.rule(refused.code)
    again = rule.retry_at(outgoing.tries, now)
    if again is not None:
        _wait_again(session, outgoing, again)
        breaker.try_another(session, outgoing.id, again)
        if rule.hold and refused.code is not None:
            waiting = session.get_one(Message, outgoing.id)
            breaker.hold(session, waiting, refused.code, again, now)
        if refused.code == _QUEUE_FULL:
            hold(session, outgoing.lane_key, now + timedelta(minutes=1))
        return None
    opted_out = rule.opted_out
    message = statuses.end(
        session,
        outgoing.id,
        MessageState.SUPPRESSED if opted_out else MessageState.FAILED,
        before=_CLAIMED_OR_LOST,
        reason="suppressed" if opted_out else "failed",
        error_code=refused.code,
        error_message=refused.message,
    )
    if message is not None:
        consequences.apply(session, message, refused.code, now)
    return message


def _wait_again(session: Session, outgoing: Outgoing, due_at: datetime) -> None:
    """Have a message that surely was not sent wait again, whatever the sweep thinks of it.

    A process that stood still finds its claims given up as of unknown fate; it knows better, for as
    long as the claim is its own. Locked before it is judged: where a connection was cut in the
    claim's commit, that may still be under way.
    """
    mine = (
        Message.id == outgoing.id,
        Message.claim_token == outgoing.claim_token,
        Message.state.in_(_CLAIMED_OR_LOST),
        Message.sid.is_(None),
    )
    session.execute(select(Message.id).where(Message.id == outgoing.id).with_for_update())
    lost = session.scalar(select(Message.state).where(*mine)) is MessageState.UNKNOWN
    batch_id = session.scalar(
        update(Message)
        .where(*mine)
        .values(
            state=MessageState.WAITING, due_at=due_at, check_at=None, checks=0, reason=None,
            error_code=None, error_message=None, updated_at=utcnow(),
        )
        .returning(Message.batch_id)
        .execution_options(synchronize_session=False)
    )  # fmt: skip
    if lost and batch_id is not None:
        running.reopen(session, batch_id)
