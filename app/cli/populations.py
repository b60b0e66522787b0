"""``flask populations import``: people from a CSV file or an Excel workbook."""

from __future__ import annotations

from pathlib import Path

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import audit, mistakes, named, tables
from app.domain.audience import population_files, populations, staging, uploads
from app.domain.audience.arrivals import TakenIn
from app.domain.audience.populations import PopulationSpec
from app.domain.mistakes import Refused
from app.domain.one_line import one_line
from app.domain.tables import Choices, FaultyRows
from app.domain.tables.encodings import NAMES
from app.extensions import db, unit_of_work
from app.models.audience import Population
from app.models.client import Client

group = AppGroup("populations", help="Lists of people.")

ACTOR = "flask populations"
SHOWN = 20


@group.command("import")
@click.argument("client")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Remove whoever is not in the file.")
@click.option("--skip", is_flag=True, help="Leave faulty rows out instead of taking nothing in.")
@click.option("--sheet", help="The sheet of a workbook, by its name.")
@click.option("--encoding", type=click.Choice([*NAMES]), help="The encoding of a CSV file.")
def import_file(
    client: str,
    name: str,
    file: Path,
    replace: bool,
    skip: bool,
    sheet: str | None,
    encoding: str | None,
) -> None:
    """Take the people of FILE, CSV or Excel (.xlsx), into the population NAME of CLIENT.

    The population is made if there is none. Whoever is there already gets the file's values. What
    a column becomes is remembered from the population's last file.
    """
    try:
        known = _population_of(client, name)
        with file.open("rb") as opened:
            table = tables.read(opened, Choices(sheet=sheet, encoding=encoding))
            names = uploads.names_for(known or "", table, {})
            people, faulty = population_files.read_people(table, names)
        _show(faulty)
        if faulty.count and not skip:
            raise click.ClickException("Nothing was saved. --skip leaves faulty rows out.")

        def note(session: Session, found: Population, done: TakenIn) -> None:
            told = f"population {found.name}"
            audit.record(session, ACTOR, "import", told, found.client_id, vars(done))

        into = known or _made(client, name)
        done = staging.take_in(into, people, note, replace=replace)
    except Refused as refused:
        raise click.ClickException(str(refused)) from refused
    click.echo(
        f"{done.added:,} new, {done.changed:,} changed, {done.same:,} the same as before,"
        f" {done.removed:,} removed, {faulty.count:,} faulty rows left out."
    )


def _population_of(client: str, name: str) -> str | None:
    """Return the id of a client's population; None if there is none of that name."""
    session = db.session()
    found = named.find(session, Population, _owner(session, client).id, one_line(name))
    return found.id if found else None


def _owner(session: Session, client: str) -> Client:
    owner = session.scalar(select(Client).filter_by(name=client))
    if owner is None:
        raise click.ClickException(f"There is no client “{client}”.")
    return owner


def _made(client: str, name: str) -> str:
    with unit_of_work() as session:
        spec = mistakes.parse(PopulationSpec, {"name": name})
        return populations.save(session, _owner(session, client).id, spec, None, ACTOR).row.id


def _show(faulty: FaultyRows) -> None:
    for mistake in faulty.named[:SHOWN]:
        click.echo(f"Line {mistake.line:,}: {mistake.message}", err=True)
    if faulty.count > SHOWN:
        click.echo(f"{faulty.count:,} rows have mistakes; the first are shown.", err=True)
