"""Applying a configuration file: everything in one transaction, or nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as File

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.cli.configuration import clients, reader, routes, sections
from app.cli.configuration.work import Scope, Work
from app.domain.mistakes import Mistake, unknown_key
from app.extensions import unit_of_work

MAX_FILE = 50 * 1024 * 1024
_LOCK = 0x44495350  # one run at a time on PostgreSQL; on SQLite there is one writer anyway


@dataclass(frozen=True)
class FileMistake:
    """A mistake with its place in the file: line and column from 1."""

    line: int
    column: int
    field: str
    message: str


class WrongFile(ValueError):
    """The file cannot be applied; ``mistakes`` are in the order of the file."""

    def __init__(self, mistakes: list[FileMistake]) -> None:
        self.mistakes = mistakes
        super().__init__(f"{len(mistakes)} mistakes")


@dataclass(frozen=True)
class Applied:
    """What a run did, or would do: lines for people without secrets, but for new ones."""

    changes: tuple[str, ...]
    notes: tuple[str, ...]
    secrets: tuple[tuple[str, str, str], ...]
    """Client, endpoint and signing secret, for those that were made in this run."""


class _Undo(Exception):
    """Ends the transaction without keeping anything."""


def apply_file(
    file: File,
    *,
    dry_run: bool = False,
    force: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Applied:
    """Create or update what ``file`` describes, in one transaction; nothing is ever deleted.

    :param dry_run: do everything, tell what changed, and keep nothing of it.
    :param force: overwrite what people changed since.
    :raises WrongFile: with every mistake at once; nothing is changed then.
    :raises OSError: when the file cannot be read.
    """
    document = reader.read(_text(file), environ)
    words = sections.ask_about_credentials(document.data)
    work: Work | None = None
    try:
        with unit_of_work() as session:
            _one_at_a_time(session)
            work = Work(session, document, file.parent, force, words)
            _apply(work)
            if work.mistakes or dry_run:
                raise _Undo
    except _Undo:
        pass
    if work is None:
        raise RuntimeError("the transaction ended before it began")
    if work.mistakes:
        raise WrongFile(_placed(document, work.mistakes))
    return Applied(tuple(work.changes), tuple(work.notes), tuple(work.secrets))


def _text(file: File) -> str:
    content = file.read_bytes()
    if len(content) > MAX_FILE:
        raise WrongFile([FileMistake(1, 1, "", "The file is larger than 50 MB.")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        message = "The file is not written in UTF-8."
        raise WrongFile([FileMistake(line, column, "", message)]) from None


def _apply(work: Work) -> None:
    data = work.document.data
    if not isinstance(data, dict):
        if not work.mistakes:
            work.add(Mistake((), "The file must begin with “clients:” or “support_users:”."))
        return
    known = ("clients", "support_users")
    for name in data:
        if name not in known:
            work.add(Mistake((name,), unknown_key(name, known), "extra_forbidden"))
    sections.support_users(work, Scope((), data))
    scopes = _clients(work, data.get("clients"))
    for scope in scopes:
        for name in sections.SECTIONS:
            if name != "communications":
                sections.apply(work, scope, name)
        sections.service_numbers(work, scope)
    for scope in scopes:  # what refers to numbers, which may be another client's further down
        routes.apply_routes(work, scope)
        sections.twiml_rules(work, scope)
        sections.default_callbacks(work, scope)
        sections.apply(work, scope, "communications")


def _clients(work: Work, data: object) -> list[Scope]:
    if data is None:
        return []
    if not isinstance(data, list):
        work.add(Mistake(("clients",), "“clients” must be a list."))
        return []
    scopes: dict[str, Scope] = {}
    for index, item in enumerate(data):
        scope = clients.apply_client(work, ("clients", index), item)
        if scope is None:
            continue
        name = scope.known_client.name
        if name in scopes:
            line = work.document.values[scopes[name].path][0]
            message = f"The client “{name}” is described twice; the first is on line {line}."
            work.add(Mistake(scope.path, message))
        else:
            scopes[name] = scope
    return list(scopes.values())


def _one_at_a_time(session: Session) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _placed(document: reader.Document, mistakes: list[Mistake]) -> list[FileMistake]:
    placed = {
        FileMistake(*document.place(mistake), _field(mistake), mistake.message)
        for mistake in mistakes
    }
    return sorted(placed, key=lambda mistake: (mistake.line, mistake.column, mistake.message))


def _field(mistake: Mistake) -> str:
    path = mistake.path
    if path and str(path[-1]).startswith("<"):  # a place of the reader's own
        path = path[:-1]
    return Mistake(path, "").field
