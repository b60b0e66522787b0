"""``flask errors check``: which of Twilio's error codes the table does not know yet."""

from __future__ import annotations

from pathlib import Path

import click
from flask.cli import AppGroup

from app.twilio import error_dictionary, errors

group = AppGroup("errors", help="Twilio's error codes, and what Dispatch makes of them.")


@group.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--all", "every", is_flag=True, help="Also codes of other products and of TwiML.")
def check(file: Path, every: bool) -> None:
    """List what the table lacks of Twilio's published dictionary.

    FILE is twilio-error-codes.json, from https://www.twilio.com/docs/api/errors. Exits with 1 when
    something is lacking; such a code fails its message and alerts owner and support.
    """
    try:
        entries = error_dictionary.read(file.read_text(encoding="utf-8-sig"))
    except (error_dictionary.NotADictionaryError, UnicodeDecodeError, OSError) as error:
        raise click.ClickException(
            f"{file} is not Twilio's error dictionary: {error}. Download it from"
            " https://www.twilio.com/docs/api/errors."
        ) from error
    lacking = error_dictionary.lacking(entries, every=every)
    for one in lacking:
        click.echo(f"{one.code:6}  {one.log_level or '-':8}  {one.message}")
    click.echo(
        f"{len(lacking)} of {len(entries)} codes are lacking; the table knows {len(errors.RULES)}."
    )
    if lacking:
        raise click.exceptions.Exit(1)
