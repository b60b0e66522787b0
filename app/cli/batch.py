"""``flask batch …``: start communications, watch them go out, and stop them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import specs, wake
from app.domain.reach import Refusal
from app.domain.sending import communications, running
from app.domain.sending.forecast import Forecast
from app.domain.sending.preflight import EXAMINED, media_of, preflight
from app.domain.sending.running import Progress
from app.extensions import db, unit_of_work
from app.models.batch import Batch, BatchState
from app.models.client import Client
from app.models.communication import Campaign, Communication
from app.outbound.send import media_links

group = AppGroup("batch", help="Runs of communications: start, watch, stop.")

BAR = 40
LOOK_SECONDS = 0.5
_ENDED = (BatchState.COMPLETE, BatchState.CANCELED, BatchState.REFUSED)


@group.command("preflight")
@click.argument("communication")
@click.option("--client", help="The client it belongs to, where several have one of that name.")
@click.option("--everybody", is_flag=True, help="Examine every member, however long it takes.")
def show_preflight(communication: str, client: str | None, everybody: bool) -> None:
    """Show what starting COMMUNICATION (its id, name, or campaign/name) would do.

    Of a large population some thousands are examined, and the figures are estimates.
    """
    session = db.session()
    found = _preflight(session, _find(session, communication, client), everybody)
    click.echo(_report(found))
    if found.problems:
        raise SystemExit(1)


@group.command()
@click.argument("communication")
@click.option("--client", help="The client it belongs to, where several have one of that name.")
@click.option("--at", help="Start later: 2026-11-22 09:00, in the client's time zone.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--watch", is_flag=True, help="Show the progress until the batch has ended.")
def start(communication: str, client: str | None, at: str | None, yes: bool, watch: bool) -> None:
    """Start COMMUNICATION (its id, name, or campaign/name) for its population."""
    session = db.session()
    found = _find(session, communication, client)
    zone = ZoneInfo(session.get_one(Client, found.client_id).time_zone)
    when = _time(at, zone)
    if not yes:
        shown = _preflight(session, found, everybody=False)
        click.echo(_report(shown))
        if shown.problems:
            raise SystemExit(1)
        click.confirm("Start it?", abort=True)
    communication_id = found.id
    try:
        with unit_of_work() as writing:
            found = writing.get_one(Communication, communication_id)
            batch = communications.start_batch(writing, found, _actor(), when)
            batch_id, state = batch.id, batch.state
    except Refusal as refusal:
        raise click.ClickException(refusal.sentence) from refusal
    wake.wake("house")
    click.echo(f"Batch {batch_id} is {state}.")
    if watch:
        _watch(batch_id)


@group.command()
@click.argument("batch")
@click.option("--watch", is_flag=True, help="Show the progress until the batch has ended.")
def show(batch: str, watch: bool) -> None:
    """Show where BATCH (its id) stands."""
    if watch:
        _watch(batch)
        return
    session = db.session()
    found = _batch(session, batch)
    click.echo(_state(found, running.progress(session, found)))


@group.command()
@click.argument("batch")
def pause(batch: str) -> None:
    """Stop sending BATCH until it is resumed."""
    _act(batch, running.pause)


@group.command()
@click.argument("batch")
def resume(batch: str) -> None:
    """Go on with BATCH."""
    _act(batch, running.resume)


@group.command()
@click.argument("batch")
def cancel(batch: str) -> None:
    """Stop BATCH for good; what has not gone out is canceled."""
    _act(batch, running.cancel)


@group.command("try-one")
@click.argument("batch")
def try_one(batch: str) -> None:
    """Let one message go of what holds BATCH; when Twilio takes it, the others follow."""
    _act(batch, running.try_one)


Action = Callable[[Session, Batch, str], None]


def _act(batch_id: str, action: Action) -> None:
    try:
        with unit_of_work() as session:
            found = _batch(session, batch_id)
            action(session, found, _actor())
            state = found.state
    except Refusal as refusal:
        raise click.ClickException(refusal.sentence) from refusal
    wake.wake("house")
    wake.wake("send")
    click.echo(f"Batch {batch_id} is {state}.")


def _watch(batch_id: str) -> None:
    """Draw the progress again and again; on a screen in place, into a file as lines."""
    session = db.session()
    screen = sys.stdout.isatty()
    shown = ""
    while True:
        session.rollback()
        session.expire_all()
        found = _batch(session, batch_id)
        progress = running.progress(session, found)
        line = f"{_bar(found, progress)}  {_summary(found, progress)}"
        if screen:
            click.echo(f"\r\x1b[2K{line}", nl=False)
        elif line != shown:
            click.echo(line)
        shown = line
        if found.state in _ENDED:
            break
        time.sleep(LOOK_SECONDS)
    if screen:
        click.echo()
    click.echo(_state(found, progress))


def _preflight(session: Session, found: Communication, everybody: bool) -> Forecast:
    looks = media_links.look_now(media_of(session, found), found.client_id)
    return preflight(session, found, examined=None if everybody else EXAMINED, looks=looks)


def _bar(batch: Batch, progress: Progress) -> str:
    whole = max(progress.total, sum(progress.counts.values()), 1)
    gone = sum(progress.counts.values()) - progress.waiting
    if batch.state in (BatchState.COMPLETE, BatchState.CANCELED):
        gone = whole
    filled = int(BAR * gone / whole)
    return f"[{'█' * filled}{'·' * (BAR - filled)}] {100 * gone // whole:3d} %"


def _summary(batch: Batch, progress: Progress) -> str:
    parts = [f"{count:,} {status}" for status, count in sorted(progress.counts.items())]
    if batch.state is BatchState.PREPARING:
        parts.append(f"{progress.prepared:,} of {progress.total:,} prepared")
    if progress.eta is not None:
        left = max(0, int((progress.eta - datetime.now(UTC)).total_seconds()))
        parts.append(f"about {_duration(left)} left")
    return f"{batch.state}: {', '.join(parts) or 'nothing yet'}"


def _state(batch: Batch, progress: Progress) -> str:
    lines = [
        f"Batch {batch.id}: {batch.state}",
        f"  members   {progress.total:,}",
        *(f"  {status:<12}{count:,}" for status, count in sorted(progress.counts.items())),
    ]
    if reason := batch.reason or (progress.held.reason if progress.held else None):
        lines.append(f"  {reason}")
    if progress.eta is not None:
        lines.append(f"  last one about {progress.eta:%Y-%m-%d %H:%M:%S} UTC")
    return "\n".join(lines)


def _report(found: Forecast) -> str:
    about = "about " if found.is_estimate else ""
    lines = [
        f"Members          {found.total:,}",
        f"Recipients       {about}{found.recipients:,}",
        f"Suppressed       {about}{found.suppressed:,}",
        f"Unreachable      {about}{found.unreachable:,}",
        f"Get nothing      {about}{found.invalid:,}",
        *(f"  member {position:,}: {sentence}" for position, sentence in found.examples),
        f"{'Calls   ' if found.heard else 'Segments'}         {about}{found.segments:,}",
        f"Estimated cost   {found.cost:.2f} {found.currency}",
        f"Takes about      {_duration(int(found.seconds))}",
    ]
    if found.missing:
        names = ", ".join(f"{name} ({count:,})" for name, count in found.missing.most_common())
        lines.insert(6, f"Lacking          {names}")
    if not found.heard:
        lines += [f"Text             {body}" for body in found.sample]
    for who, steps in found.heard.items():
        title = f"Heard by {'a ' if who != 'anybody' else ''}{who}"
        lines += [title, *(f"  {step}" for step in steps)]
    if found.is_estimate:
        lines.append(
            f"The number of members is exact. All else is estimated from {found.examined:,} of"
            " them, evenly chosen; --everybody examines all. Faulty ones are refused alone."
        )
    lines += [f"Warning: {warned.sentence}" for warned in found.warnings]
    lines += [f"Cannot be started: {problem}" for problem in found.problems]
    return "\n".join(lines)


def _duration(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _find(session: Session, name: str, client: str | None) -> Communication:
    by_id = session.get(Communication, name)
    if by_id is not None:
        return by_id
    campaign, slash, rest = name.partition("/")
    query = select(Communication).where(Communication.name == (rest if slash else name))
    if slash:
        query = query.join(Campaign).where(Campaign.name == campaign)
    if client is not None:
        query = query.join(Client, Client.id == Communication.client_id).where(
            Client.name == client
        )
    found = session.scalars(query).all()
    if len(found) == 1:
        return found[0]
    if not found:
        raise click.ClickException(f"There is no communication “{name}”.")
    raise click.ClickException(
        f"There are {len(found)} communications “{name}”; write campaign/name, or name the client"
        " with --client."
    )


def _batch(session: Session, batch_id: str) -> Batch:
    found = session.get(Batch, batch_id)
    if found is None:
        raise click.ClickException(f"There is no batch {batch_id}.")
    return found


def _time(text: str | None, zone: ZoneInfo) -> datetime | None:
    if text is None:
        return None
    try:
        given = datetime.fromisoformat(text)
        return specs.instant(given if given.tzinfo else given.replace(tzinfo=zone))
    except ValueError as error:
        raise click.ClickException(
            f"“{text}” is not a time; write it like 2026-11-22 09:00."
        ) from error


def _actor() -> str:
    return f"flask batch ({os.environ.get('USER') or 'operator'})"
