"""Texts that wait for an hour that somebody chose: until then they are in no lane.

All that was asked when such a text was written down is asked again when its hour has come: who may
be reached changes meanwhile, and so do lists, numbers and limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select, text, update
from sqlalchemy.orm import Session

from app.domain import aside, audit, clocks
from app.domain.audience import in_force
from app.domain.clients import spending
from app.domain.conversations import record
from app.domain.reach import Refusal, suppressed
from app.domain.sending import lanes, messages, statuses, texts
from app.models.base import utcnow
from app.models.client import Client
from app.models.communication import Communication
from app.models.conversation import ConversationState
from app.models.credential import Credential
from app.models.message import HELD, Message, MessageState
from app.models.sender import Sender

AT_ONCE = 100


def due(session: Session, now: datetime) -> Sequence[str]:
    """Return the ids of texts whose hour has come; those over a limit when there is room again."""
    again = clocks.has_come(Message.check_at, now, spending.LONGEST)
    return session.scalars(
        select(Message.id)
        .where(
            text(HELD),
            Message.send_at <= now,
            or_(Message.check_at.is_(None), again),
            aside.free("send", Message.id),
        )
        .order_by(Message.send_at)
        .limit(AT_ONCE)
    ).all()


def release(session: Session, message_id: str) -> bool:
    """Let a text go whose hour has come; return whether it waits in its lane now.

    :raises app.domain.clients.spending.Limited: when a limit of the client is reached; then the
        transaction must not be kept, and :func:`put_off` says when to ask again.
    """
    message = _held(session, message_id)
    if message is None or message.send_at is None or message.send_at > utcnow():
        return False  # another process has let it go, or somebody has canceled it
    client = session.get_one(Client, message.client_id)
    sender = session.get_one(Sender, message.sender_id)
    credential = session.get_one(Credential, sender.credential_id)
    if refusal := _why_not(session, message, client, sender):
        _refuse(session, message, refusal)
        return False
    message.credential_id, message.from_ = credential.id, sender.address
    message.lane_key = lanes.ensure_lane(session, sender, message.destination, credential)
    message.due_at, message.check_at = utcnow(), None
    session.flush()
    texts.take_on(session, client, sender, message)
    if message.author is not None:
        _answer(session, message)
    return True


def put_off(session: Session, message_id: str, until: datetime) -> None:
    """Ask again whether a text may go when there is room within the limits of its client."""
    session.execute(
        update(Message)
        .where(Message.id == message_id, text(HELD))
        .values(check_at=until)
        .execution_options(synchronize_session=False)
    )


def cancel(session: Session, message_id: str, actor: str) -> Message:
    """Keep a text that waits for its hour from going out.

    :raises Refusal: when it does not wait for its hour (any more).
    """
    message = _held(session, message_id)
    if message is None:
        raise Refusal(
            "wrong_state", "It does not wait for its hour any more, so it cannot be canceled.",
            "state",
        )  # fmt: skip
    statuses.end(
        session, message.id, MessageState.CANCELED, before=(MessageState.WAITING,),
        reason="canceled", error_message=f"Canceled by {actor[:200]} before its hour.",
    )  # fmt: skip
    audit.record(session, actor, "cancel", f"text {message.id}", message.client_id)
    return message


def _answer(session: Session, message: Message) -> None:
    """Let a person's word end the waiting, unless something has come since it was written."""
    talk = record.find(session, message.sender_id, message.to)
    since = talk.waiting_since if talk is not None else None
    if since is None or since <= message.created_at:
        state = ConversationState.ANSWERED
        record.end_waiting(session, message.sender_id, message.to, state, utcnow())


def _held(session: Session, message_id: str) -> Message | None:
    return session.scalar(
        select(Message)
        .where(Message.id == message_id, text(HELD))
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _why_not(session: Session, message: Message, client: Client, sender: Sender) -> Refusal | None:
    """Return why it may not go to this phone now; what stands still altogether only waits."""
    communication = session.get(Communication, message.communication_id or "")
    message.suppression_list_id = texts.list_for(session, sender, communication)
    try:
        messages.check_recipient(client, sender, message.to, message.destination)
    except Refusal as refusal:
        return refusal
    listed = in_force.why_suppressed(session, message.suppression_list_id, message.to, sender)
    return suppressed(listed) if listed is not None else None


def _refuse(session: Session, message: Message, refusal: Refusal) -> None:
    is_listed = refusal.code == "suppressed"
    statuses.end(
        session, message.id, MessageState.SUPPRESSED if is_listed else MessageState.REFUSED,
        before=(MessageState.WAITING,), reason=refusal.reason, error_code=refusal.error_code,
        error_message=refusal.sentence,
    )  # fmt: skip
