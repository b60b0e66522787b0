"""``flask reconcile``: after a restore, take in what Twilio has sent and the backup knows not."""

from __future__ import annotations

from datetime import datetime
from time import sleep

import click
from flask.cli import with_appcontext
from sqlalchemy import func, select

from app.cli.asking import INSTANT, operator
from app.domain import clocks
from app.domain.persons import repeating
from app.domain.restoring import hold
from app.extensions import db
from app.inbound.afterwards import recovery
from app.models.base import utcnow
from app.models.message import Direction, Message, MessageState
from app.outbound import batches
from app.outbound.afterwards import restored


@click.command("reconcile")
@click.option("--since", type=INSTANT, help="Read from then on: 2026-11-21T14:00 (UTC).")
@click.option("--dry-run", is_flag=True, help="Say what would be taken in, and change nothing.")
@click.option("--release", is_flag=True, help="Go on without reading: some may go out twice.")
@with_appcontext
def command(since: datetime | None, dry_run: bool, release: bool) -> None:
    """After a restored backup, take in what was sent since, and let sending go on.

    Twilio's log of outgoing texts and calls is read from the backup's newest time, less an hour.
    What waits in the database and was sent gets its SID and does not go out again. What came in
    since is taken in first, so that nobody who has opted out gets what still waits.
    """
    held = hold.state()
    db.session.rollback()
    if release and (since or dry_run):
        raise click.UsageError("--release reads nothing: it goes with no other option.")
    if release:
        _release()
        return
    start = since or restored.newest_time() - restored.MARGIN
    click.echo(f"Reading what went out since {start:%Y-%m-%d %H:%M} UTC.")
    if not dry_run:
        _catch_up(start, held)
    reading = restored.read(start)
    _show(reading)
    if dry_run:
        click.echo("Nothing was changed.")
        return
    taken = restored.take_in(reading)
    repeating.again(start)
    repeating.tick()
    click.echo(f"Took in {taken} of them: they do not go out again.")
    if not reading.complete:
        raise click.ClickException(
            "not every account could be read, so sending stays held. Put that right and run this"
            " again, or go on with --release, which may send some twice."
        )
    if held is not None:
        hold.release(operator(), f"read since {start.isoformat()}; {taken} taken in")
        click.echo("Sending goes on.")


def _catch_up(start: datetime, held: hold.Held | None) -> None:
    """Take in what came in, and prepare what would be: then all that may be matched is there.

    Twilio's log is not believed to be complete up to its end. What came in before the restore was
    noticed may be a STOP, so sending does not go on until it can be read.
    """
    complete_at = (held.since if held else start) + recovery.SETTLING + clocks.MOST_APART
    seconds = (complete_at - utcnow()).total_seconds()
    if seconds > 0:
        click.echo(f"Waiting {seconds:.0f} s until Twilio's log has all that came in before.")
        sleep(seconds)
    found = recovery.run(start)
    click.echo(f"Took in {found['texts']} texts and {found['calls']} calls that came in.")
    while batches.turn():
        pass


def _show(reading: restored.Reading) -> None:
    click.echo(f"{reading.sent} texts and calls went out.")
    click.echo(f"{len(reading.ours)} of them wait here, or nobody knew whether they were sent.")
    if reading.strangers:
        click.echo(
            f"{len(reading.strangers)} are not in this database at all; they stay in Twilio's log."
        )
    for sentence in reading.unasked:
        click.echo(f"Could not be asked: {sentence}", err=True)


def _release() -> None:
    waiting = db.session.scalar(
        select(func.count()).where(
            Message.state == MessageState.WAITING, Message.direction == Direction.API
        )
    )
    db.session.rollback()
    hold.release(operator(), "by hand, without reading Twilio's log")
    click.echo(
        f"Sending goes on. {waiting} texts and calls wait; whichever of them were sent after the"
        " backup go out twice, and so do those of batches that were not prepared yet."
    )
