"""``flask doctor``: is everything as it has to be? If not, what to do, in a sentence each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import click
from flask.cli import with_appcontext
from sqlalchemy.exc import SQLAlchemyError

from app.cli.doctor import clients, installation, outside, sign_in
from app.cli.doctor.finding import Finding, Grade, bad
from app.extensions import db

CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    installation.database, installation.redis, installation.sending, clients.secrets, outside.mail,
    outside.clocks, outside.public_address, outside.proxies, sign_in.providers, clients.numbers,
    clients.stopped, installation.set_aside, clients.unconfirmed,
)  # fmt: skip


@click.command("doctor")
@with_appcontext
def command() -> None:
    """Check everything that Dispatch needs, and say what to do about what is wrong.

    `ok`: it was looked at and is well. `warn`: it is allowed, or could not be asked; look yourself.
    `BAD`: put it right; the exit code is 1 then.
    """
    counts: Counter[Grade] = Counter()
    for check in CHECKS:
        for found in _examine(check):
            counts[found.grade] += 1
            click.echo(f"{found.grade.value:4} {found.subject}: {found.sentence}")
    if looked := counts[Grade.WARN]:
        click.echo(f"{_things(looked)} to look at.")
    if wrong := counts[Grade.BAD]:
        click.echo(f"{_things(wrong)} to put right.")
        raise SystemExit(1)
    if not looked:
        click.echo("All is well.")


def _things(count: int) -> str:
    return f"{count} thing{'s' if count > 1 else ''}"


def _examine(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except SQLAlchemyError as error:
        db.session.rollback()
        yield bad(
            check.__name__.replace("_", " "),
            f"the database cannot be asked ({type(error).__name__}); see DATABASE_URL.",
        )
