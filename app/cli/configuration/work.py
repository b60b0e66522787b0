"""One run of ``flask apply``: what it changed, what it left alone, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from app.cli.configuration.reader import Document
from app.domain import mistakes
from app.domain.changes import Change
from app.domain.mistakes import SECRET_FIELDS, UNKNOWN_NAME, Mistake, Path, Refused
from app.domain.sending.confirmation import Words
from app.domain.specs import Spec
from app.models.client import Client

ACTOR = "flask apply"
IDENTITY = {"support_users": "email", "api_keys": "label", "users": "email", "numbers": "number"}
"""By which key an item of a section is known; by its name otherwise."""

OneSpec = TypeVar("OneSpec", bound=Spec)


@dataclass
class Scope:
    """A client and where it stands in the file; without one, what belongs to the whole house."""

    path: Path
    data: Mapping[str, Any]
    client: Client | None = None
    broken: set[str] = field(default_factory=set)
    """Names of items that could not be read: that others refer to them is no further mistake."""

    @property
    def client_id(self) -> str:
        """The id of the client."""
        return self.known_client.id

    @property
    def known_client(self) -> Client:
        """The client.

        :raises RuntimeError: when this is the whole house.
        """
        if self.client is None:
            raise RuntimeError("there is no client here")
        return self.client


class Work:
    """Collects changes, notes and mistakes while the sections are applied one after another."""

    def __init__(
        self, session: Session, document: Document, folder: File, force: bool, words: Words
    ) -> None:
        self.session = session
        self.words = words
        self.document = document
        self.folder = folder
        self.force = force
        self.changes: list[str] = []
        self.notes: list[str] = []
        self.secrets: list[tuple[str, str, str]] = []
        """Client, endpoint and signing secret, for those that were made here."""
        self.mistakes: list[Mistake] = list(document.mistakes)
        self._unread = {mistake.path for mistake in document.mistakes}

    def items(
        self, scope: Scope, section: str, model: type[OneSpec]
    ) -> Iterator[tuple[Path, OneSpec]]:
        """Yield the readable items of one list of the file, each with its place."""
        path = (*scope.path, section)
        data = scope.data.get(section)
        if data is None:
            return
        if not isinstance(data, list):
            self.add(Mistake(path, f"“{section}” must be a list."))
            return
        identity, seen = IDENTITY.get(section, "name"), dict[str, Path]()
        for index, item in enumerate(data):
            here = (*path, index)
            try:
                spec = mistakes.parse(model, item)
            except Refused as refused:
                self.refuse(refused, *here)
                if isinstance(item, Mapping):
                    scope.broken |= {str(item.get("name")), str(item.get(identity))}
                continue
            key = str(_identity(spec, identity))
            if key in seen:
                line = self.document.values[seen[key]][0]
                self.add(Mistake(here, f"“{key}” is described twice; the first is on line {line}."))
                continue
            seen[key] = here
            yield here, spec

    @contextmanager
    def at(self, scope: Scope, path: Path) -> Iterator[None]:
        """Take what is refused inside as mistakes at ``path``; the run goes on after it."""
        try:
            yield
        except Refused as refused:
            found = [mistake.under(*path) for mistake in refused.mistakes]
            for mistake in found:
                if mistake.code == UNKNOWN_NAME and str(self.value(mistake.path)) in scope.broken:
                    continue
                self.add(mistake)
            item = self.value(path)
            if isinstance(item, Mapping):
                scope.broken |= {str(item.get("name")), str(item.get("number"))}

    def refuse(self, refused: Refused, *path: str | int) -> None:
        """Take every reason of ``refused``, seen from ``path``."""
        for mistake in refused.mistakes:
            self.add(mistake.under(*path))

    def add(self, mistake: Mistake) -> None:
        """Take a mistake, without any value that is not to be shown.

        What could not be read is no second mistake for being wrong.
        """
        if mistake.path in self._unread:
            return
        value = self.value(mistake.path)
        is_secret_field = bool(mistake.path) and mistake.path[-1] in SECRET_FIELDS
        hidden = is_secret_field or mistake.path in self.document.secret
        message = mistake.message
        if hidden and isinstance(value, str) and value:
            message = message.replace(value, "…")
        self.mistakes.append(Mistake(mistake.path, message, mistake.code))

    def value(self, path: Path) -> Any:
        """Return what the file says at ``path``, or None."""
        value = self.document.data
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def took(self, scope: Scope, change: Change[Any] | None) -> None:
        """Tell the person who runs this what was changed, if anything was."""
        if change:
            client = scope.client
            is_own = client is None or change.target == f"client {client.name}"
            self.changes.append(change.line("" if is_own else scope.known_client.name))

    def left_alone(self, scope: Scope, target: str, by: str) -> None:
        """Note that something was not touched because a person changed it."""
        name = scope.known_client.name
        self.notes.append(
            f"! {name}: {target} was changed by {by} and is left alone; --force overwrites it."
        )

    def note(self, scope: Scope, text: str) -> None:
        """Note something that the person should know."""
        self.notes.append(f"! {scope.known_client.name}: {text}")


def _identity(spec: Spec, name: str) -> object:
    campaign = getattr(spec, "campaign", None)
    value = getattr(spec, name)
    return f"{campaign} / {value}" if campaign else value
