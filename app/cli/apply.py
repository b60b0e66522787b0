"""`flask apply`: create or update what a configuration file describes."""

from __future__ import annotations

from pathlib import Path

import click
from flask.cli import with_appcontext
from sqlalchemy.exc import DBAPIError

from app.cli.configuration.run import Applied, WrongFile, apply_file


@click.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--force", is_flag=True, help="Overwrite templates and routes that people changed.")
@with_appcontext
def command(file: Path, dry_run: bool, force: bool) -> None:
    """Create or update what FILE describes, in one transaction. Nothing is ever deleted.

    Exit code 2, with every mistake and its place, when anything in the file is wrong; nothing is
    changed then.
    """
    try:
        outcome = apply_file(file, dry_run=dry_run, force=force)
    except WrongFile as wrong:
        for mistake in wrong.mistakes:
            where = f"{mistake.field}: " if mistake.field else ""
            place = f"{file}:{mistake.line}:{mistake.column}"
            click.echo(f"{place}: {where}{mistake.message}", err=True)
        count = len(wrong.mistakes)
        click.echo(f"{count} mistake{'s' if count > 1 else ''}; nothing was changed.", err=True)
        raise click.exceptions.Exit(2) from None
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror}.") from error
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise click.ClickException(
            f"The database refused: {reason}. Nothing was changed. Has it been brought up to date"
            " with `flask db upgrade`?"
        ) from error
    _show(outcome, dry_run)


def _show(outcome: Applied, dry_run: bool) -> None:
    for line in (*outcome.changes, *outcome.notes):
        click.echo(line)
    for client, endpoint, secret in outcome.secrets:
        if dry_run:
            click.echo(f"! {client}: a secret will be made for the endpoint {endpoint}.")
        else:
            click.echo(
                f"! {client}: the secret of the endpoint {endpoint}, shown only now: {secret}"
            )
    if not outcome.changes:
        click.echo("nothing to change")
    elif dry_run:
        click.echo("This was a dry run: nothing was changed.")
