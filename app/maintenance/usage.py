"""Usage is counted, and its owners are told before it becomes dear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from app.domain import aside
from app.domain.clients import settings as client_settings
from app.domain.clients import spending, usage
from app.domain.relaying import notices
from app.extensions import current_settings, db, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.house import Usage, UsageEntry
from app.models.incoming import Incoming
from app.models.message import Message

LEVELS = (80, 100)
"""Percent of a client's threshold at which owner and support are told, once each."""
KEPT = timedelta(days=95)
"""How long entries stay after their message has gone."""


def tick() -> None:
    """Count, then tell those who have crossed a level; for the clock."""
    usage.count(limit=usage.AT_A_TIME)
    alert()
    with aside.set_aside(usage.LOOP, "old entries"):
        prune()
        with unit_of_work() as session:
            session.execute(spending.prune())


def prune() -> int:
    """Delete some entries whose message is gone and cannot change any more; the months stay.

    Only months that are past their client's retention are looked at: in others the messages are
    still there, and looking for them again and again would cost as much as the log is long.
    """
    gone: list[str] = []
    with unit_of_work() as session:
        for client_id, days in session.execute(select(Client.id, Client.retention_days)).all():
            oldest = usage.month_of(utcnow() - max(KEPT, timedelta(days=days + 1)))
            gone += session.scalars(
                select(UsageEntry.id)
                .where(
                    UsageEntry.client_id == client_id,
                    UsageEntry.month < oldest,
                    ~exists().where(Message.id == UsageEntry.id),
                    ~exists().where(Incoming.id == UsageEntry.id),
                )
                .limit(usage.CHUNK - len(gone))
            ).all()
            if len(gone) >= usage.CHUNK:
                break
        session.execute(delete(UsageEntry).where(UsageEntry.id.in_(gone)))
    return len(gone)


def alert() -> None:
    """Mail owners and support about months that crossed a level."""
    month = usage.month_of(utcnow())
    clients = db.session.scalars(
        select(Usage.client_id)
        .where(Usage.month == month, aside.free(usage.LOOP, Usage.client_id))
        .order_by(Usage.client_id)
    ).all()
    db.session.rollback()
    aside.together(usage.LOOP, clients, str, partial(_alert, month))


def _alert(this_month: str, clients: Sequence[str]) -> None:
    with unit_of_work() as session:
        rows = session.execute(
            select(Usage, Client)
            .join(Client, Client.id == Usage.client_id)
            .where(Usage.month == this_month, Usage.client_id.in_(clients))
            .with_for_update(of=Usage)
        ).all()
        for month, client in rows:
            for kind in _kinds(month, client):
                _tell(session, month, client, kind)


@dataclass(frozen=True)
class _Kind:
    """One threshold of a client and how far it is used."""

    name: str
    column: str
    used: int
    allowed: int | None


def _kinds(month: Usage, client: Client) -> tuple[_Kind, _Kind]:
    segments = month.segments_in + month.segments_out
    return (
        _Kind("segments", "segments_alerted", segments, client.alert_segments),
        _Kind("call minutes", "minutes_alerted", month.call_minutes, client.alert_call_minutes),
    )


def _tell(session: Session, month: Usage, client: Client, kind: _Kind) -> None:
    crossed = [one for one in LEVELS if kind.allowed and kind.used * 100 >= one * kind.allowed]
    told = min(getattr(month, kind.column), max(crossed, default=0))  # less: it was raised since
    setattr(month, kind.column, max(crossed, default=0))
    for level in crossed:
        if level <= told:
            continue
        if level == LEVELS[-1] and client.alert_halts:
            client_settings.halt(session, client, f"usage of {kind.name}")
        notices.notify(
            session,
            {client.owner_email, current_settings().support_email},
            f"Dispatch: {client.name} has used {level} % of its {kind.name} this month",
            _text(month, client, kind, level),
            dedupe_key=f"usage:{client.id}:{month.month}:{kind.name}:{kind.allowed}:{level}",
        )


def _text(month: Usage, client: Client, kind: _Kind, level: int) -> str:
    more = (
        "Using Twilio costs money; a high use is charged to the department. Support will be in"
        " touch about it.\n"
        if level == LEVELS[-1]
        else ""
    )
    if level == LEVELS[-1] and client.alert_halts:
        more += (
            f"Nothing of {client.name} goes out any more, as its owner has asked for this case."
            " Support can let it go on.\n"
        )
    return (
        f"In {month.month} {client.name} has used {kind.used:,} {kind.name} of the"
        f" {kind.allowed:,} at which its owner wants to be told ({level} %).\n\n"
        f"Segments in {month.segments_in:,}, out {month.segments_out:,}; call minutes"
        f" {month.call_minutes:,}; Twilio's price so far about"
        f" {month.price:,.2f} {month.currency}.\n{more}"
    )
