"""People who come into a population from a CSV file: checked first, then taken in at once.

The file is read twice its length at most and never held in memory: people who are found good are
put aside in a temporary file, so that the transaction that writes them is short. What is kept of
each in memory is one number, to find who is named twice and who is there already.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from app.domain import attributes
from app.domain.audience.populations import ADDRESS, NAME, PHONE, check, key_of
from app.domain.csv_files import FaultyRows, RowMistake, Table
from app.domain.mistakes import Mistake, Refused
from app.domain.phones import InvalidPhone, normalize
from app.models.audience import Member

_KNOWN_COLUMNS = {
    NAME: {"toname", "name", "fullname"},
    PHONE: {"tophone", "phone", "phonenumber", "mobile", "mobilephone", "cell", "cellphone"},
    ADDRESS: {"toaddress", "email", "emailaddress", "mail"},
}
_CHUNK = 1000
_IN_MEMORY = 1024 * 1024
_E164 = re.compile(r"\+[1-9]\d{7,14}")


@dataclass
class Imported:
    """What became of the people of a file: how many are new, changed or the same as before."""

    added: int = 0
    changed: int = 0
    same: int = 0
    removed: int = 0


@dataclass
class People:
    """The good people of a file, put aside."""

    _count: int = 0
    _aside: IO[str] = field(
        default_factory=lambda: tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed with it
            _IN_MEMORY, "w+", encoding="utf-8"
        )
    )

    def add(self, person: Mapping[str, Any]) -> None:
        """Put somebody aside."""
        self._aside.write(json.dumps(person) + "\n")
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._aside.seek(0)
        for line in self._aside:
            yield json.loads(line)


def attribute_names(columns: Iterable[str]) -> dict[str, str]:
    """Return the attribute that each column of a file becomes.

    ``Phone``, ``E-mail`` and ``Name`` become the attributes that Dispatch knows; of other names
    what a template could not use is replaced: ``First name`` becomes ``First_name``.
    """
    columns = list(columns)
    names = {column: _attribute(column) for column in columns}
    for known, spellings in _KNOWN_COLUMNS.items():
        fitting = [column for column in columns if _letters(column) in spellings]
        exact = [column for column in fitting if _letters(column) == known.lower()]
        if len(fitting) == 1 or exact:
            names[(exact or fitting)[0]] = known
    return names


def _letters(column: str) -> str:
    return re.sub(r"[\W_]", "", column).lower()


def _attribute(column: str) -> str:
    name = re.sub(r"\W+", "_", column).strip("_")
    return f"column_{name}" if name[:1].isdigit() else name


def read_people(table: Table) -> tuple[People, FaultyRows]:
    """Return the people of a file and what is wrong with its rows; those are left out.

    :raises Refused: when no column holds phones or e-mail addresses, or two mean the same.
    """
    names = attribute_names(table.columns)
    _check_names(names)
    people, faulty = People(), FaultyRows()
    seen: dict[int, int] = {}
    for row in table.rows():
        if isinstance(row, RowMistake):
            faulty.add(row.line, row.message)
            continue
        try:
            person = check({names[column]: value for column, value in row.values.items()})
        except Refused as refused:
            faulty.add(row.line, *(wrong.message for wrong in refused.mistakes))
            continue
        key = key_of(person)
        first = seen.setdefault(hash(key), row.line)
        if first != row.line:
            told = f"{key[1]} is listed twice; the first time on line {first}."
            faulty.add(row.line, told)
            continue
        people.add(person)
    return people, faulty


def _check_names(names: Mapping[str, str]) -> None:
    if not {PHONE, ADDRESS} & set(names.values()):
        raise Refused.because(
            "No column is called toPhone or toAddress. Name the column with the phones toPhone, or"
            " the one with the e-mail addresses toAddress, in the first line.",
            "file",
        )
    wrong = []
    for column, name in names.items():
        others = [other for other, same in names.items() if same == name and other != column]
        if others or not name:
            twin = f"“{others[0]}” and it mean the same" if others else "it has no letters"
            wrong.append(f"The column “{column}” cannot be used: {twin}.")
    if wrong:
        raise Refused([Mistake(("file",), sentence) for sentence in wrong])


def merge(
    session: Session, population_id: str, people: Iterable[dict[str, Any]], *, replace: bool
) -> Imported:
    """Take people in; somebody who is there already gets the new attributes.

    :param people: as :func:`read_people` returns them.
    :param replace: also remove everybody else, and every attribute that is not named.
    """
    done = Imported()
    present, others = _present(session, population_id)
    stream = iter(people)
    while chunk := list(islice(stream, _CHUNK)):
        keys = [hash(key_of(person)) for person in chunk]
        known = {key: present.pop(key) for key in keys if key in present}
        before = _attributes(session, list(known.values()))
        new: list[dict[str, Any]] = []
        changed: list[dict[str, Any]] = []
        for key, person in zip(keys, chunk, strict=True):
            if key not in known:
                new.append({"population_id": population_id, "attributes": person})
                continue
            old = before[known[key]]
            written = attributes.like(old, person)
            wanted = written if replace else {**old, **written}
            if wanted != old:
                changed.append({"id": known[key], "attributes": wanted})
        if new:
            session.execute(insert(Member), new)
        if changed:
            session.execute(update(Member), changed)
        done.added += len(new)
        done.changed += len(changed)
        done.same += len(known) - len(changed)
    if replace:
        done.removed = _remove(session, [*present.values(), *others])
    return done


def _attributes(session: Session, ids: list[int]) -> dict[int, dict[str, Any]]:
    if not ids:
        return {}
    rows = session.execute(select(Member.id, Member.attributes).where(Member.id.in_(ids)))
    return {row.id: row.attributes for row in rows}


def _remove(session: Session, ids: list[int]) -> int:
    for start in range(0, len(ids), _CHUNK):
        session.execute(delete(Member).where(Member.id.in_(ids[start : start + _CHUNK])))
    return len(ids)


def _present(session: Session, population_id: str) -> tuple[dict[int, int], list[int]]:
    """Return who is there: the id of the first with each key, by its hash, and all other ids."""
    query = select(Member.id, Member.attributes).where(Member.population_id == population_id)
    found: dict[int, int] = {}
    others: list[int] = []
    stream = session.execute(query.order_by(Member.id).execution_options(yield_per=_CHUNK))
    for member_id, person in stream:
        reachable = person.get(PHONE) or person.get(ADDRESS)
        key = hash(_stored_key(person)) if reachable else None
        if key is None or found.setdefault(key, member_id) != member_id:
            others.append(member_id)
    return found, others


def _stored_key(person: Mapping[str, Any]) -> tuple[str, str]:
    """Return the key of somebody who came in by another way, whose phone may be written freely."""
    name, value = key_of(person)
    if name == PHONE and not _E164.fullmatch(value):
        try:
            return name, normalize(value)
        except InvalidPhone:
            return name, value
    return name, value
