"""What is done to all deliveries of an endpoint, or to a range of them: some at a time.

Each function is the piece of a chore (:mod:`app.domain.chores`). An endpoint's row is not held:
whoever records an event for it, in the transaction of an answer to Twilio, waits for that row. What
would contradict a chore, disabling an endpoint that is just being enabled, drops it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from app.domain import chores
from app.domain.relaying.events import GIVE_UP_AFTER
from app.models.base import utcnow
from app.models.chore import Chore, ChoreKind
from app.models.delivery import BY_HAND, AttemptTrigger, Delivery, DeliveryState, EventType
from app.models.endpoint import Endpoint, EndpointState


def hold(session: Session, endpoint: Endpoint) -> None:
    """Hold what waits for an endpoint that has just been disabled."""
    for kind in (ChoreKind.RELEASE, ChoreKind.REPLAY, ChoreKind.HOLD, ChoreKind.PROLONG):
        chores.drop(session, kind, endpoint.id)
    chores.begin(session, ChoreKind.HOLD, endpoint.id, hold_some)


def hold_some(session: Session, chore: Chore) -> bool:
    """Hold some that wait; what a person waits for goes out all the same."""
    waiting = and_(
        Delivery.endpoint_id == chore.subject,
        Delivery.state == DeliveryState.PENDING,
        Delivery.trigger.not_in(BY_HAND),
    )
    return _change(session, waiting, state=DeliveryState.HELD, next_attempt_at=None) > 0


def release(session: Session, endpoint: Endpoint, *, send: bool) -> None:
    """Send what was held for an endpoint that has just been enabled, or cancel it."""
    chores.drop(session, ChoreKind.HOLD, endpoint.id)
    chores.drop(session, ChoreKind.RELEASE, endpoint.id)
    chores.begin(
        session, ChoreKind.RELEASE, endpoint.id, release_some,
        send=send, at=utcnow().isoformat(),
    )  # fmt: skip


def release_some(session: Session, chore: Chore) -> bool:
    """Send some that were held, or cancel them."""
    values: dict[str, Any] = {"state": DeliveryState.CANCELED}
    if chore.details["send"]:
        now = datetime.fromisoformat(chore.details["at"])
        values = {
            "state": DeliveryState.PENDING,
            "next_attempt_at": now,
            "give_up_at": now + GIVE_UP_AFTER,
            "failures": 0,
        }
    held = and_(Delivery.endpoint_id == chore.subject, Delivery.state == DeliveryState.HELD)
    return _change(session, held, **values) > 0


def resume(session: Session, endpoint: Endpoint) -> None:
    """Let a paused endpoint go on as soon as what waits has got the time of the pause."""
    now = utcnow()
    since = endpoint.changed_at or now
    chores.begin(
        session, ChoreKind.PROLONG, endpoint.id, prolong_some,
        since=since.isoformat(), until=now.isoformat(), stay=False,
    )  # fmt: skip


def resuming(session: Session, endpoint: Endpoint) -> Chore | None:
    """Return the chore after which a paused endpoint goes on, if there is one."""
    return session.scalar(
        select(Chore)
        .where(Chore.kind == ChoreKind.PROLONG, Chore.subject == endpoint.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def prolong_some(session: Session, chore: Chore) -> bool:
    """Give some the time for which they could not be sent; the last lets the endpoint go on."""
    since, until = (datetime.fromisoformat(chore.details[one]) for one in ("since", "until"))
    rows = session.execute(
        select(Delivery.id, Delivery.created_at, Delivery.give_up_at)
        .where(
            Delivery.endpoint_id == chore.subject,
            Delivery.state == DeliveryState.PENDING,
            Delivery.id > chore.after,
            Delivery.created_at <= until,
        )
        .order_by(Delivery.id)
        .limit(chores.PIECE)
        .with_for_update()
    ).all()
    if rows:
        session.execute(
            update(Delivery),
            [
                {"id": row.id, "give_up_at": row.give_up_at + (until - max(since, row.created_at))}
                for row in rows
            ],
        )
        chore.after = rows[-1].id
    if len(rows) == chores.PIECE:
        return True
    _go_on(session, chore, until)
    return False


def _go_on(session: Session, chore: Chore, at: datetime) -> None:
    values: dict[str, Any] = {"changed_at": at}
    if not chore.details["stay"]:
        values["state"] = EndpointState.ACTIVE
    session.execute(
        update(Endpoint)
        .where(Endpoint.id == chore.subject, Endpoint.state == EndpointState.PAUSED)
        .values(**values)
        .execution_options(synchronize_session="fetch")
    )


def replay(
    session: Session, endpoint: Endpoint, since: datetime, until: datetime, actor: str,
    *, failed_only: bool,
) -> None:  # fmt: skip
    """Send a range again."""
    chores.begin(
        session, ChoreKind.REPLAY, endpoint.id, replay_some,
        since=since.isoformat(), until=until.isoformat(), failed_only=failed_only,
        actor=actor[:254], at=utcnow().isoformat(),
    )  # fmt: skip


def replay_some(session: Session, chore: Chore) -> bool:
    """Send some of a range again, in their order."""
    said = chore.details
    since, until, now = (datetime.fromisoformat(said[one]) for one in ("since", "until", "at"))
    wanted = selected(chore.subject, since, until, failed_only=said["failed_only"])
    last = _change(
        session, and_(wanted, Delivery.id > chore.after),
        state=DeliveryState.PENDING, next_attempt_at=now, give_up_at=now + GIVE_UP_AFTER,
        failures=0, bounced_at=None, trigger=AttemptTrigger.REPLAY, requested_by=said["actor"],
        going_on=chore,
    )  # fmt: skip
    return last > 0


def selected(
    endpoint_id: str, since: datetime, until: datetime, *, failed_only: bool
) -> ColumnElement[bool]:
    """Return the condition of what a replay sends again."""
    failed = or_(
        Delivery.state.in_((DeliveryState.EXHAUSTED, DeliveryState.CANCELED, DeliveryState.HELD)),
        and_(Delivery.state == DeliveryState.PENDING, Delivery.failures > 0),
    )
    return and_(
        Delivery.endpoint_id == endpoint_id,
        Delivery.created_at >= since,
        Delivery.created_at < until,
        Delivery.type != EventType.ENDPOINT_PING,
        Delivery.body != "",
        failed if failed_only else or_(failed, Delivery.state == DeliveryState.DELIVERED),
    )


def _change(
    session: Session, which: ColumnElement[bool], going_on: Chore | None = None, **values: Any
) -> int:
    """Change some deliveries in their order; return how many, none where there are no more."""
    ids = session.scalars(
        select(Delivery.id).where(which).order_by(Delivery.id).limit(chores.PIECE)
    ).all()
    if not ids:
        return 0
    session.execute(
        update(Delivery)
        .where(Delivery.id.in_(ids), which)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    if going_on is not None:
        going_on.after = ids[-1]
    return len(ids) if len(ids) == chores.PIECE else 0
