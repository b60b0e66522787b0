"""The doors by which things are set up: file, form, upload, command and API, each asked alike."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient, FlaskCliRunner

from app.domain import passwords
from app.models.user import Membership, Role, User
from tests.staff.conftest import PASSWORD, Staff
from tests.support.departments import Caller, Department, department
from tests.support.rows import Rows
from tests.support.uploads import take_in

SUPPORT = "sam@example.edu"


@dataclass
class Told:
    """What a door answered: all its words and, where it names them, the places of mistakes."""

    is_refused: bool
    text: str = ""
    mistakes: dict[str, tuple[str | None, str]] = field(default_factory=dict)
    """Of a place the code, where that is told, and the sentence."""


class Doors:
    """The three faces of one client, open to somebody who may do everything for it."""

    def __init__(
        self, ours: Department, staff: Staff, runner: FlaskCliRunner, folder: Path, rows: Rows
    ) -> None:
        self.ours, self.rows = ours, rows
        self._staff, self._runner, self._folder = staff, runner, folder
        self._api = Caller.by_header(staff.http, ours)
        self._token: str | None = None
        self._home = f"/staff/clients/{ours.client.name}"
        folder.mkdir(exist_ok=True)

    @classmethod
    def open(
        cls, runner: FlaskCliRunner, folder: Path, http: FlaskClient, rows: Rows, **names: str
    ) -> list[Doors]:
        """Make clients of these names, each with the tail of its numbers, and open their doors."""
        hashed = passwords.hash_password(PASSWORD)
        pat = User(email=SUPPORT, password_hash=hashed, is_support=True)
        rows.add(pat)
        made = [department(rows, name, tail) for name, tail in names.items()]
        rows.add(
            *(Membership(user_id=pat.id, client_id=one.client.id, role=Role.OWNER) for one in made)
        )
        staff = Staff(http)
        staff.sign_in(SUPPORT)
        return [cls(one, staff, runner, folder, rows) for one in made]

    def file(self, section: str, item: dict[str, Any], *below: str) -> Told:
        """Apply a file with one item; places are told from ``below`` it."""
        return self.settings({section: [item]}, f"{section}[0]", *below)

    def settings(self, written: dict[str, Any], *below: str) -> Told:
        """Apply a file with this about the client; places are told from ``below`` it."""
        client = {"name": self.ours.client.name, **written}
        path = self._folder / "dispatch.yaml"
        path.write_text(json.dumps({"clients": [client]}, ensure_ascii=False), encoding="utf-8")
        result = self._runner.invoke(args=["apply", str(path)])
        assert result.exit_code in (0, 2), result.output
        place = re.escape(".".join(["clients[0]", *below]))
        found = re.findall(rf"yaml:\d+:\d+: {place}\.?([^:\s]*): (.*)", result.stderr)
        mistakes = {where: (None, words) for where, words in found}
        return Told(result.exit_code == 2, result.output, mistakes)

    def form(self, path: str, seen_at: str, **fields: Any) -> Told:
        """Fill in a form of the client's."""
        self._token = self._token or self._staff.token(f"{self._home}/{seen_at}")
        data = {"csrf_token": self._token, **fields}
        answer = self._staff.http.post(f"{self._home}/{path}", data=data)
        assert answer.status_code in (200, 302, 400, 409, 422), answer.text
        if answer.status_code != 302:
            return Told(answer.status_code != 200, html.unescape(answer.text))
        page = self._staff.http.get(answer.headers["Location"])
        return Told('class="note bad" role="status"' in page.text, html.unescape(page.text))

    def upload(self, path: str, content: str) -> Told:
        """Take a file of people in, if it can be."""
        answer = take_in(self._staff, f"{self._home}/{path}", content)
        assert answer.status_code in (303, 400, 422), answer.text
        return Told(answer.status_code != 303, html.unescape(answer.text))

    def command(self, *arguments: str) -> Told:
        """Run another command of an operator's."""
        result = self._runner.invoke(args=[*arguments])
        return Told(result.exit_code != 0, result.output)

    def put(self, name: str, content: bytes) -> Path:
        """Put a file beside the configuration file."""
        path = self._folder / name
        path.write_bytes(content)
        return path

    def call(self, method: str, path: str, body: Any) -> Told:
        """Call the API."""
        answer = getattr(self._api, method)(path, body)
        assert answer.status_code in (200, 201, 202, 204, 400, 422), answer.text
        is_refused = answer.status_code >= 400
        errors = answer.json.get("errors", []) if is_refused else []
        mistakes = {one["field"]: (one["code"], one["message"]) for one in errors}
        said = " ".join(words for _, words in mistakes.values())
        return Told(is_refused, said, mistakes)
