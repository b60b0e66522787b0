"""``flask populations import``: people from a CSV file."""

from __future__ import annotations

from pathlib import Path

import click
from flask.cli import AppGroup
from sqlalchemy import select

from app.domain import audit, csv_files, named
from app.domain.audience import population_files, populations
from app.domain.csv_files import FaultyRows
from app.domain.mistakes import Refused
from app.extensions import unit_of_work
from app.models.audience import Population
from app.models.client import Client

group = AppGroup("populations", help="Lists of people.")

SHOWN = 20


@group.command("import")
@click.argument("client")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Remove whoever is not in the file.")
@click.option("--skip", is_flag=True, help="Leave faulty rows out instead of taking nothing in.")
def import_file(client: str, name: str, file: Path, replace: bool, skip: bool) -> None:
    """Take the people of the CSV file FILE into the population NAME of CLIENT.

    The population is made if there is none. Whoever is there already gets the file's values.
    """
    try:
        with file.open("rb") as opened:
            people, faulty = population_files.read_people(csv_files.read(opened))
        _show(faulty)
        if faulty.count and not skip:
            raise click.ClickException("Nothing was saved. --skip leaves faulty rows out.")
        with unit_of_work() as session:
            owner = session.scalar(select(Client).filter_by(name=client))
            if owner is None:
                raise click.ClickException(f"There is no client “{client}”.")
            found = named.find(session, Population, owner.id, name)
            found = found or populations.create(session, owner.id, name)
            done = population_files.merge(session, found.id, people, replace=replace)
            audit.record(
                session, "flask populations", "import", f"population {name}", owner.id, vars(done)
            )
    except Refused as refused:
        raise click.ClickException(str(refused)) from refused
    click.echo(
        f"{done.added:,} new, {done.changed:,} changed, {done.same:,} the same as before,"
        f" {done.removed:,} removed, {faulty.count:,} faulty rows left out."
    )


def _show(faulty: FaultyRows) -> None:
    for mistake in faulty.named[:SHOWN]:
        click.echo(f"Line {mistake.line:,}: {mistake.message}", err=True)
    if faulty.count > SHOWN:
        click.echo(f"{faulty.count:,} rows have mistakes; the first are shown.", err=True)
