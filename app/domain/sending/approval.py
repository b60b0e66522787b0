"""A second pair of eyes: batches to many go out when another person of the client has approved.

What is approved is what goes out: words, options and members are pinned when approval is asked
for. Whoever changes the communication or its list afterwards changes nothing about it; a new start
asks anew. Nobody approves their own, by their own API key neither.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, select, update
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.reach import Refusal
from app.domain.relaying import notices
from app.models.base import utcnow
from app.models.batch import Batch, BatchState
from app.models.client import Client
from app.models.communication import Communication
from app.models.credential import ApiKey
from app.models.user import Membership, Role, User

PATIENCE = timedelta(days=7)
"""How long a batch waits for a decision; then it is refused."""
OWN = "own_batch"
"""The code of the refusal of whoever decides about what they have started."""
KEY = "API key "
MOST_REASON = 400


def is_needed(session: Session, client_id: str, members: int) -> bool:
    """Tell whether a batch of so many members needs approval, by the client's setting of now.

    Those who have opted out count as well.
    """
    above = session.scalar(select(Client.approval_above).where(Client.id == client_id))
    return above is not None and members > above


def ask(session: Session, batch: Batch) -> None:
    """Let a batch wait for approval, and tell those who may give it; its members are taken."""
    now = utcnow()
    session.execute(
        update(Batch)
        .where(Batch.id == batch.id, Batch.state == BatchState.SCHEDULED)
        .values(state=BatchState.AWAITING_APPROVAL, approval_asked_at=now)
        .execution_options(synchronize_session="fetch")
    )
    name = _name(session, batch)
    audit.record(session, batch.created_by, "ask approval", f"batch of {name}", batch.client_id,
                 {"batch": batch.id, "members": batch.total})  # fmt: skip
    hands = _hands(session, batch.client_id, batch.created_by)
    if others := _others(session, batch.client_id, hands):
        notices.notify(
            session,
            others,
            f"“{name}” waits for your approval",
            f"{batch.created_by} wants to send “{name}” to {batch.total:,} people. Somebody else"
            f" has to approve it before it goes out: look at it on the page of the communication,"
            f" then approve or reject it there.\n\nWithout a decision it is refused on"
            f" {now + PATIENCE:%Y-%m-%d}.\n",
            dedupe_key=f"approval:{batch.id}",
        )


def approve(session: Session, batch: Batch, actor: str) -> None:
    """Let a batch go out at its time, or at once where that has come; the caller wakes ``house``.

    :param actor: an e-mail address or ``API key LABEL``.
    :raises Refusal: when it does not wait for approval, or by those who started it.
    """
    _decide(session, batch, actor, BatchState.SCHEDULED, {})
    _note(session, batch, actor, "approve", {})


def reject(session: Session, batch: Batch, actor: str, reason: str) -> None:
    """Refuse a batch for good, and tell who started it; ``house`` forgets its members.

    :param reason: why, at most :data:`MOST_REASON` characters.
    :raises Refusal: when it does not wait for approval, or by those who started it.
    """
    said = f"Not approved by {actor[:80]}: {reason.strip()[:MOST_REASON]}"
    _decide(session, batch, actor, BatchState.REFUSED, {"reason": said})
    _note(session, batch, actor, "reject", {"reason": reason.strip()[:MOST_REASON]})
    _tell_starter(session, batch, said)


def is_overdue(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return what is true of a Batch about which nobody has decided in time."""
    return (
        Batch.state == BatchState.AWAITING_APPROVAL,
        Batch.approval_asked_at <= now - PATIENCE,
    )


def expire(session: Session, batch_id: str) -> bool:
    """Refuse a batch about which nobody has decided in time; return whether this did it."""
    said = f"Nobody approved it within {PATIENCE.days} days."
    refused = session.execute(
        update(Batch)
        .where(Batch.id == batch_id, *is_overdue(utcnow()))
        .values(state=BatchState.REFUSED, reason=said)
        .execution_options(synchronize_session=False)
    )
    if cast(CursorResult[Any], refused).rowcount == 0:
        return False
    batch = session.get_one(Batch, batch_id, populate_existing=True)
    _note(session, batch, "dispatch", "reject", {"reason": said})
    _tell_starter(session, batch, said)
    return True


def is_own(session: Session, batch: Batch, actor: str) -> bool:
    """Tell whether ``actor`` is who started the batch: the person, the key, or who has the key."""
    client = batch.client_id
    return bool(_hands(session, client, batch.created_by) & _hands(session, client, actor))


def _decide(
    session: Session, batch: Batch, actor: str, to: BatchState, values: dict[str, Any]
) -> None:
    """Move a batch that waits, by compare-and-set: of two who decide at once, one does."""
    session.refresh(batch)
    if batch.state is BatchState.AWAITING_APPROVAL and is_own(session, batch, actor):
        raise Refusal(
            OWN,
            "Whoever has started a batch cannot decide about it; somebody else has to.",
            "actor",
        )
    moved = session.execute(
        update(Batch)
        .where(Batch.id == batch.id, Batch.state == BatchState.AWAITING_APPROVAL)
        .values(state=to, decided_by=actor[:254], decided_at=utcnow(), **values)
        .execution_options(synchronize_session=False)
    )
    session.refresh(batch)
    if cast(CursorResult[Any], moved).rowcount == 0:
        raise Refusal(
            "wrong_state", f"The batch is {batch.state}; it does not wait for approval.", "state"
        )


def _hands(session: Session, client_id: str, actor: str) -> set[str]:
    """Return who acts where ``actor`` does: themselves, and the person who has the API key.

    A key that came by a command has no person behind it.
    """
    found = {actor.lower()}
    if actor.startswith(KEY):
        label = actor.removeprefix(KEY)
        maker = session.scalar(
            select(ApiKey.made_by).where(ApiKey.client_id == client_id, ApiKey.label == label)
        )
        if maker and "@" in maker:
            found.add(maker.lower())
    return found


def _others(session: Session, client_id: str, hands: set[str]) -> list[str]:
    """Return the owners who may decide, or where there are none everybody who may."""
    people = session.execute(
        select(User.email, Membership.role)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.client_id == client_id, User.disabled_at.is_(None))
    ).all()
    others = [(email, role) for email, role in people if email.lower() not in hands]
    owners = [email for email, role in others if role is Role.OWNER]
    return owners or [email for email, _ in others]


def _note(session: Session, batch: Batch, actor: str, action: str, details: dict[str, Any]) -> None:
    target = f"batch of {_name(session, batch)}"
    known = {"batch": batch.id, "members": batch.total, "started by": batch.created_by}
    audit.record(session, actor, action, target, batch.client_id, known | details)


def _tell_starter(session: Session, batch: Batch, said: str) -> None:
    people = {one for one in _hands(session, batch.client_id, batch.created_by) if "@" in one}
    if people:
        name = _name(session, batch)
        notices.notify(
            session, people, f"“{name}” was not approved",
            f"“{name}”, to {batch.total:,} people, does not go out.\n\n{said}\n",
            dedupe_key=f"rejected:{batch.id}",
        )  # fmt: skip


def _name(session: Session, batch: Batch) -> str:
    return session.get_one(Communication, batch.communication_id).name
