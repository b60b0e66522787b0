"""Files on their way into a population: kept in the database, so that any process can go on.

A file is kept for a day, with what a person said about how it is to be read. Nothing of it is in
the population before it is saved.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, BinaryIO, Final, cast

from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import leftovers, tables
from app.domain.attributes import MAX_NAME
from app.domain.audience import columns, population_files, staging
from app.domain.audience.arrivals import TakenIn
from app.domain.audience.columns import LEFT_OUT, Names
from app.domain.audience.population_files import Judged, People
from app.domain.mistakes import Mistake, Refused
from app.domain.tables import Choices, FaultyRows, Opened, Table
from app.domain.tables.lines import MAX_BYTES, MAX_COLUMNS
from app.extensions import db
from app.models.audience import Member, Population, people_of
from app.models.base import utcnow
from app.models.upload import FILENAME_LENGTH, Upload, UploadPart

KEPT: Final = timedelta(days=1)
"""How long a file is kept, taken in or not."""
MOST: Final = 10
"""Files of one client that are kept; the oldest go."""
SHOWN: Final = 5
"""People that are shown as they would come in."""
_PART: Final = 256 * 1024
_IN_MEMORY: Final = 1024 * 1024


class Wanted(BaseModel):
    """How a person said that a file is to be read; None leaves it to us."""

    sheet: str | None = None
    encoding: str | None = None
    separator: str | None = None
    header_line: Annotated[int, Field(ge=0, le=1_048_576)] | None = None
    with_hidden: bool = False
    columns: dict[str, str] = Field(default_factory=dict)
    """The attribute that each column becomes, by the column's name."""

    @property
    def choices(self) -> Choices:
        """What concerns the table, without its columns."""
        return Choices(
            self.sheet, self.encoding, self.separator, self.header_line, self.with_hidden
        )


@dataclass
class Look:
    """What a file holds, as it would be taken in; ``wrong`` says why it cannot be."""

    wrong: list[str] = field(default_factory=list)
    opened: Opened | None = None
    names: Names = field(default_factory=dict)
    good: People = field(default_factory=People)
    first: list[dict[str, Any]] = field(default_factory=list)
    faulty: FaultyRows = field(default_factory=FaultyRows)
    hidden: int = 0

    @property
    def people(self) -> int:
        """How many can be taken in."""
        return len(self.good)


def store(session: Session, population: Population, file: BinaryIO, filename: str) -> Upload:
    """Keep an uploaded file; the client's oldest go where there are many.

    :raises Refused: when it is too large or empty.
    """
    size = file.seek(0, 2)
    if not size or size > MAX_BYTES:
        tables.open_table(file)  # says which of both it is
    upload = Upload(
        client_id=population.client_id,
        population_id=population.id,
        filename=filename.replace("\x00", "")[-FILENAME_LENGTH:] or "file",
        size=size,
    )
    session.add(upload)
    session.flush()
    file.seek(0)
    number = 0
    while content := file.read(_PART):
        part = UploadPart(upload_id=upload.id, number=number, content=content)
        session.add(part)
        session.flush()
        session.expunge(part)
        number += 1
    kept = (
        select(Upload.id)
        .where(Upload.client_id == population.client_id)
        .order_by(Upload.created_at.desc(), Upload.id.desc())
    )
    leftovers.remove_uploads(session, session.scalars(kept.offset(MOST)).all())
    return upload


@contextmanager
def file_of(upload_id: str) -> Iterator[BinaryIO]:
    """Lend an uploaded file; a large one is not in memory."""
    session = db.session()
    with tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+b") as file:
        number = 0
        query = select(UploadPart.content).where(UploadPart.upload_id == upload_id)
        while (part := session.scalar(query.where(UploadPart.number == number))) is not None:
            file.write(part)
            number += 1
        yield cast(BinaryIO, file)


def wanted_of(upload: Upload) -> Wanted:
    """Return how the file is to be read."""
    try:
        return Wanted.model_validate(upload.choices)
    except ValidationError:
        return Wanted()


def look(upload: Upload, wanted: Wanted) -> Look:
    """Read a file through, and say what would become of it."""
    with file_of(upload.id) as file:
        return _looked(upload, file, wanted)


def _looked(upload: Upload, file: BinaryIO, wanted: Wanted) -> Look:
    found = Look()
    try:
        found.opened = tables.open_table(file, wanted.choices)
        found.names = names_for(upload.population_id, found.opened.table, wanted.columns)
        check(found.names)
        for one in population_files.judge(found.opened.table, found.names):
            _count(found, one)
        if found.opened.sheets:
            found.hidden = found.opened.table.hidden()
    except Refused as refused:
        found.wrong = [mistake.message for mistake in refused.mistakes]
        return found
    if not found.people and not found.faulty.count:
        found.wrong = ["The file names nobody: there is nothing under its first line."]
    return found


def _count(found: Look, one: Judged) -> None:
    if one.person is None:
        found.faulty.add(one.line, *one.wrong)
        return
    found.good.add(one.person)
    if len(found.first) < SHOWN:
        found.first.append(one.person)


def names_for(population_id: str, table: Table, said: Mapping[str, str]) -> Names:
    """Return what each column becomes: as said, or as remembered for the population, or as guessed.

    A column that is called like an attribute of the people who are there keeps its name.
    """
    session = db.session()
    labels = table.columns
    population = session.get(Population, population_id)
    own = _own_names(session, population_id, {one for one in labels if not one.isidentifier()})
    suggested = columns.suggest(table, population.columns if population else {}, own)
    return {label: said.get(label, suggested[label]) for label in labels}


def _own_names(session: Session, population_id: str, labels: set[str]) -> set[str]:
    """Return which of ``labels`` are attributes of people of the population."""
    found: set[str] = set()
    if labels:
        query = select(Member.attributes).where(people_of(population_id))
        for person in session.scalars(query.execution_options(yield_per=1000)):
            found |= labels & person.keys()
            if found == labels:
                break
    return found


def check(names: Names) -> None:
    """Let only names pass under which templates can use what columns hold.

    :raises Refused: otherwise, and when none holds phones or e-mail addresses.
    """
    columns.check(names)
    wrong = [
        f"“{name[:MAX_NAME]}” cannot be the name of an attribute: it has 1 to {MAX_NAME} characters"
        " and no control characters."
        for name in names.values()
        if name != LEFT_OUT and (len(name) > MAX_NAME or not name.isprintable())
    ]
    if wrong:
        raise Refused([Mistake(("file",), sentence) for sentence in wrong])


def save(
    upload: Upload, wanted: Wanted, looked: Look, note: staging.Finish, *, replace: bool
) -> TakenIn:
    """Take a file's people in, and remember what its columns were; faulty rows are left out.

    :param looked: what :func:`look` found, read as is wanted.
    :param note: writes into the audit trail, in the same transaction.
    :raises Refused: when nobody can be taken in, or the file is in already.
    """
    if not looked.people:
        raise Refused.because("No row can be taken in.")
    upload_id = upload.id

    def finish(session: Session, population: Population, done: TakenIn) -> None:
        current = session.get(Upload, upload_id, with_for_update=True, populate_existing=True)
        if current is None or current.saved_at is not None:
            raise Refused.because(
                "This file is in the population already." if current else "This file is gone."
            )
        current.saved_at = utcnow()
        current.choices = wanted.model_dump()
        current.result = {**vars(done), "left_out": looked.faulty.count}
        remember(population, looked.names)
        note(session, population, done)

    return staging.take_in(upload.population_id, looked.good, finish, replace=replace)


def remember(population: Population, names: Names) -> None:
    """Keep what columns became, beside what is known of columns called otherwise."""
    known = {**population.columns, **names}
    population.columns = dict(list(known.items())[-MAX_COLUMNS * 3 :])


def faulty_rows(upload: Upload) -> Iterator[str]:
    """Yield a CSV file of the rows that cannot be taken, each with what is wrong before it.

    It can be mended and uploaded like any other; the first column is never taken.
    """
    wanted = wanted_of(upload)
    with file_of(upload.id) as file:
        opened = tables.open_table(file, wanted.choices)
        names = names_for(upload.population_id, opened.table, wanted.columns)
        shown = [one for one in opened.table.columns if one != columns.FAULTS]
        skipped = [place for place, one in enumerate(opened.table.columns) if one not in shown]
        yield "\ufeff" + tables.write([columns.FAULTS, *shown], [])
        for one in population_files.judge(opened.table, names):
            if one.person is None:
                cells = [cell for place, cell in enumerate(one.cells) if place not in skipped]
                yield tables.write_rows([[" ".join(one.wrong), *cells]])
