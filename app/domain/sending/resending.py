"""Sending once more what did not arrive: by a person's word only, and once only.

One message, or all of a batch that may be: those whose phones can still be reached.

What Twilio refuses is tried again by itself where the table of error codes says so. What it took
and then reports as failed is not: the department's systems have been told, and may have sent it
again themselves. A person may, once the time that the table gives has passed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, CompoundSelect, and_, func, or_, select, union_all
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.audience import in_force
from app.domain.reach import Refusal, suppressed
from app.domain.sending import allowance, call_retries, lanes
from app.domain.sending.messages import check_client, check_recipient, check_sender
from app.models.base import new_id, utcnow
from app.models.client import Client
from app.models.communication import Callback
from app.models.credential import Credential
from app.models.message import Direction, Message, MessageReport, MessageState
from app.models.route import Destination
from app.models.sender import Sender
from app.twilio import errors

AGAIN = "sentAgainAs"
"""In the details of a report: the id of the message that took this one's place."""
MOST = 200
"""Messages that are sent again at once: somebody waits for the page."""
LOOK = 500
"""Messages that are looked at for that."""
Heard = Mapping[tuple[str, str], datetime]
"""When each status of a message, by both, was heard first."""
_NOT_ARRIVED = ("failed", "undelivered")


def again_from(session: Session, message: Message) -> datetime | None:
    """Return from when a person may have this message sent again; None if that is no use.

    What never reached Twilio, as far as its log knows, and a call that nobody took, at once; what
    did not arrive, after the first delay of its error code.
    """
    if message.direction is not Direction.API or not (message.body or message.media):
        return None
    if message.state is MessageState.FAILED and message.sid is None:
        return message.updated_at
    if message.state is MessageState.ACCEPTED and message.status in call_retries.NOT_TAKEN:
        return None if call_retries.has_followed(session, message) else message.updated_at
    if message.state is not MessageState.ACCEPTED or message.status not in _NOT_ARRIVED:
        return None
    return _after_its_delay(message, _heard(session, [message]))


def _after_its_delay(
    message: Message, heard: Mapping[tuple[str, str], datetime]
) -> datetime | None:
    since = heard.get((message.id, message.status or ""), message.updated_at)
    return errors.rule(message.error_code).retry_at(1, since)


def _heard(session: Session, messages: Sequence[Message]) -> Heard:
    """Return when each status of these messages was heard first."""
    reports = MessageReport
    rows = session.execute(
        select(reports.message_id, reports.status, func.min(reports.at))
        .where(reports.message_id.in_([one.id for one in messages]))
        .group_by(reports.message_id, reports.status)
    )
    return {(row[0], row[1]): row[2] for row in rows}


@dataclass(frozen=True)
class Reachable:
    """What of a batch may be sent again."""

    now: list[str]
    """Messages that may go at once, :data:`MOST` at most."""
    more: bool
    """Whether there are more than those."""
    later: int
    """How many others may go once the time that Twilio's code gives has passed."""
    segments: int
    """What the texts that may go now take."""


def reachable(session: Session, batch_id: str) -> Reachable:
    """Find those whom a batch has not reached, and who can still be: by what Twilio's code says.

    Who has opted out, has a phone that no text reaches, or was sent theirs again, is not among
    them; whether each may get it is decided when it is sent.
    """
    found = session.scalars(
        select(Message)
        .where(Message.id.in_(_may_be_reached(batch_id)))
        .order_by(Message.position, Message.step)
        .limit(LOOK)
    ).all()
    heard = _heard(session, [one for one in found if one.status in _NOT_ARRIVED])
    due, later = [], 0
    for one in found:
        waits = one.state is MessageState.ACCEPTED and one.status in _NOT_ARRIVED
        at = _after_its_delay(one, heard) if waits else one.updated_at
        if at is not None and at <= utcnow():
            due.append(one)
        else:
            later += 1
    return Reachable(
        [one.id for one in due[:MOST]],
        len(due) > MOST or len(found) == LOOK,
        later,
        sum(one.segments for one in due[:MOST]),
    )


def any_reachable(session: Session, batch_id: str) -> bool:
    """Tell whether a batch has anybody whom it has not reached and who can still be."""
    found = _may_be_reached(batch_id).subquery()
    return session.scalar(select(found.c.id).limit(1)) is not None


def _may_be_reached(batch_id: str) -> CompoundSelect[str]:
    """Return the ids of a batch's messages that may go again, each kind as an index finds it."""
    heals = [code for code, rule in errors.RULES.items() if rule.action is errors.Action.RETRY]
    fits = [
        and_(Message.state == MessageState.FAILED, Message.sid.is_(None)),
        and_(
            Message.state == MessageState.ACCEPTED, Message.status.in_(_NOT_ARRIVED),
            Message.error_code.in_(heals),
        ),
        and_(
            Message.state == MessageState.ACCEPTED,
            Message.status.in_(call_retries.NOT_TAKEN), call_retries.is_last_try(),
        ),
    ]  # fmt: skip
    kept = or_(Message.body.is_not(None), Message.twiml_source.is_not(None))
    return union_all(
        *[
            select(Message.id).where(Message.batch_id == batch_id, one, kept, ~_was_sent_again())
            for one in fits
        ]
    )


def _was_sent_again() -> ColumnElement[bool]:
    return (
        select(MessageReport.id)
        .where(
            MessageReport.message_id == Message.id, MessageReport.source == "dispatch",
            MessageReport.details[AGAIN].as_string().is_not(None),
        )
        .exists()
    )  # fmt: skip


def sent_again_as(session: Session, message: Message) -> str | None:
    """Return the id of the message that was sent in this one's place, or None."""
    reports = session.scalars(select(MessageReport).filter_by(message_id=message.id))
    return next((one.details[AGAIN] for one in reports if AGAIN in one.details), None)


def send_again(session: Session, message_id: str, actor: str) -> Message:
    """Put a message like this one into its lane; after the commit the caller wakes ``send``.

    The new one is on its own: a batch keeps its numbers.

    :raises Refusal: when the first one may have arrived, when it is too early, when this was done
        before, or when the client, the sender or the phone may not be used (any more).
    """
    first = session.scalars(select(Message).filter_by(id=message_id).with_for_update()).one()
    _check_time(session, first)
    client = session.get_one(Client, first.client_id)
    sender = session.get_one(Sender, first.sender_id)
    credential = session.get_one(Credential, sender.credential_id)
    check_client(client)
    check_sender(sender, credential, first.destination)
    check_recipient(client, sender, first.to, first.destination)
    if first.destination is Destination.SMS and (
        listed := in_force.why_suppressed(session, first.suppression_list_id, first.to, sender)
    ):
        raise suppressed(listed)
    second = Message(
        id=new_id(),
        lane_key=lanes.ensure_lane(session, sender, first.destination, credential),
        due_at=utcnow(),
        credential_id=credential.id,
        from_=sender.address,
        **{name: getattr(first, name) for name in _COPIED},
    )
    session.add(second)
    session.flush()
    allowance.accept(session, client, second)
    for told in session.scalars(select(Callback).filter_by(message_id=first.id)):
        session.add(
            Callback(
                client_id=client.id, message_id=second.id, event=told.event,
                endpoint_id=told.endpoint_id,
            )
        )  # fmt: skip
    session.add(
        MessageReport(
            message_id=first.id, status=first.state.value, source="dispatch",
            details={AGAIN: second.id},
        )
    )  # fmt: skip
    audit.record(session, actor, "send again", f"message {first.id}", client.id, {AGAIN: second.id})
    return second


def _check_time(session: Session, first: Message) -> None:
    """Refuse what may have arrived, is too early, or was done before."""
    since = again_from(session, first)
    if since is None:
        raise Refusal("wrong_state", "Only what did not arrive can be sent again.", "state")
    if since > utcnow():
        raise Refusal("too_early", f"Send it again after {since:%H:%M} UTC, not before.", "state")
    if sent_again_as(session, first) is not None:
        raise Refusal("wrong_state", "This was sent again already.", "state")


_COPIED = (
    "client_id", "destination", "direction", "sender_id", "to", "body", "media", "member",
    "segments", "communication_id", "template_version_id", "suppression_list_id", "options",
    "twiml_source", "author",
)  # fmt: skip
