"""``flask recover``: what came in, and what was reported, while Dispatch could not be reached."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from flask.cli import with_appcontext
from sqlalchemy import or_, update

from app.domain import specs
from app.extensions import unit_of_work
from app.inbound.afterwards import recovery
from app.models.base import utcnow
from app.models.message import Message, MessageState
from app.outbound.afterwards import refresh
from app.twilio.statuses import CALL_TERMINAL, MESSAGE_TERMINAL


@click.command("recover")
@click.option("--since", help="Look back to then: 2026-11-21, or 2026-11-21T14:00 (UTC).")
@with_appcontext
def command(since: str | None) -> None:
    """Take in the texts, calls and statuses that Twilio has and Dispatch has not.

    The clock does this by itself for what it may have missed; with --since it looks farther back.
    It is safe to run twice. Replies more than a minute late are not sent.
    """
    start = _read(since) if since else None
    found = recovery.run(start)
    click.echo(f"Took in {found['texts']} texts and {found['calls']} calls.")
    if start is not None:
        _ask_again(start)
    refresh.run()
    click.echo("Statuses that had not come were asked for.")


def _ask_again(since: datetime) -> None:
    """Let every message since then whose end we have not heard of be asked about now."""
    ended = Message.status.in_(MESSAGE_TERMINAL | CALL_TERMINAL)
    with unit_of_work() as session:
        session.execute(
            update(Message)
            .where(
                Message.state == MessageState.ACCEPTED,
                Message.accepted_at >= since,
                or_(Message.status.is_(None), ~ended),
            )
            .values(check_at=utcnow(), checks=0)
            .execution_options(synchronize_session=False)
        )


def _read(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        return specs.instant(at if at.tzinfo else at.replace(tzinfo=UTC))
    except ValueError as error:
        raise click.BadParameter(
            f"“{text}” is no time; write 2026-11-21 or 2026-11-21T14:00."
        ) from error
