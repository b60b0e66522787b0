"""Every form of the staff pages, with every field left out or absurd: a sentence, never a failure.

Forms are found as a browser finds them, on every page that there is; addresses that take a form
without any page showing it are found in the application's own list of routes.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.staff.conftest import Staff
from tests.staff.test_everybody import keys_of, paths, rules
from tests.staff.test_hostile import AddPerson, fill
from tests.support.departments import Department, department
from tests.support.forms import Form, families, forms, names_of
from tests.support.rows import Rows

SUPPORT = "sam@example.edu"
LAST = ("/delete", "/logout", "/sessions/end", "/close", "/cancel", "/revoke", "/halt")
"""After these there is less to try."""
Pairs = list[tuple[str, str | bytes]]

ABSURD: dict[str, list[str | bytes]] = {
    "NUL": ["\0"],
    "half a surrogate pair": [b"\xed\xa0\x80"],
    "no character at all": [b"\xff\xfe"],
    "several values": ["1", "", "x"],
    "a number below": ["-1"],
    "a number beyond": ["9" * 400],
    "an exponent": ["1e400"],
    "no number": ["nan"],
    "digits of another script": ["٣"],
    "what only looks like a digit": ["²"],
    "JSON": ['{"a": [null]}'],
    "a line break": ["a\r\nb: c"],
    "a date that no month has": ["2026-02-30T25:61"],
    "half an address": ["http://[::1"],
    "half a template": ["{{ a | "],
    "half TwiML": ["<Response><Say>"],
    "blanks": ["  \t "],
}
FILES = ((b"x", "a.txt"), (b"\0\xff" * 99, "\ud800.csv"), (b"", ""))
LONG: list[str | bytes] = ["x" * 2**20]


class Walker:
    """A person of support, who sees every page, and signs in again whenever that is needed."""

    def __init__(self, app: Flask, ours: Department) -> None:
        self.app, self.ours = app, ours
        self.addresses = itertools.count(1)
        self.failed: list[str] = []
        self.sent = 0
        self.enter()

    def enter(self) -> None:
        self.staff = Staff(self.app.test_client())
        self.staff.http.environ_base["REMOTE_ADDR"] = self.address()
        self.staff.sign_in(SUPPORT)
        self.token = self.staff.token("/staff/account")

    def address(self) -> str:
        number = next(self.addresses)
        return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    def post(self, path: str, pairs: Pairs, why: str, files: dict[str, Any] | None = None) -> None:
        for _ in range(2):
            answer = self._post(path, pairs, files)
            if not answer.headers.get("Location", "").startswith("/staff/login"):
                break
            self.enter()
        if answer.status_code >= 500 or answer.mimetype not in ("text/html", "text/csv", ""):
            self.failed.append(f"{path} {why}: {answer.status}")

    def _post(self, path: str, pairs: Pairs, files: dict[str, Any] | None) -> TestResponse:
        self.sent += 1
        whole = [("csrf_token", self.token), *(one for one in pairs if one[0] != "csrf_token")]
        from_ = {"REMOTE_ADDR": self.address()}  # what is counted by address is another's business
        if files:
            data: dict[str, Any] = {name: value for name, value in whole if name not in files}
            data |= {
                name: (io.BytesIO(content), called) for name, (content, called) in files.items()
            }
            return self.staff.http.post(path, data=data, environ_overrides=from_)
        return self.staff.http.post(
            path, data=urlencode(whole), environ_overrides=from_,
            content_type="application/x-www-form-urlencoded",
        )  # fmt: skip

    def forms(self) -> list[Form]:
        found: dict[Any, Form] = {}
        keys = keys_of(self.app, self.ours.client)
        for rule, method in rules(self.app):
            if method != "GET":
                continue
            for path in dict.fromkeys(paths(rule, ["registrar"], keys)):
                page = self.staff.http.get(path).get_data(as_text=True)
                for form in forms(path, page):
                    if form.method == "post":
                        found[form.action, *sorted(form.fields)] = form
        anonymous = Staff(self.app.test_client())
        for path in ("/staff/login", "/staff/forgotten"):
            for form in forms(path, anonymous.http.get(path).get_data(as_text=True)):
                found[form.action, *sorted(form.fields)] = form
        return sorted(found.values(), key=lambda form: form.action.endswith(LAST))


@pytest.fixture
def walker(app: Flask, rows: Rows, add_person: AddPerson) -> Walker:
    ours = department(rows, "registrar", "11")
    fill(rows, ours)
    add_person(SUPPORT, ours.client, support=True)
    add_person("pat@example.edu", ours.client)
    return Walker(app, ours)


def pairs_of(form: Form, but: str = "", given: list[str | bytes] | None = None) -> Pairs:
    """Return what the form sends, with one field left out, or with other values in it."""
    pairs: Pairs = [(name, value) for name, value in form.fields.items() if name != but]
    return [*pairs, *((but, value) for value in given or ())]


def some_of_each(form: Form) -> list[str]:
    """Return the first and the last field of each kind."""
    return [name for family in families(form) for name in dict.fromkeys((family[0], family[-1]))]


@pytest.mark.database("sqlite")
@pytest.mark.timeout(300)  # some thousand requests
def test_a_field_left_out_is_never_a_failure(walker: Walker) -> None:
    found = walker.forms()
    assert len(found) > 40
    for form in found:
        for name in some_of_each(form):
            walker.post(form.action, pairs_of(form, name), f"without {name}")
        walker.post(form.action, [], "without anything")
    assert walker.failed == []


@pytest.mark.database("sqlite")
@pytest.mark.timeout(600)  # some thousand requests
def test_an_absurd_field_is_never_a_failure(walker: Walker) -> None:
    for form in walker.forms():
        for turn, (why, values) in enumerate(ABSURD.items()):
            for family in families(form)[turn % 3 :: 3]:  # a third of them alone, then all at once
                name = family[turn % len(family)]
                walker.post(form.action, pairs_of(form, name, values), f"{name}: {why}")
            every = [(name, value) for name in names_of(form) for value in values]
            walker.post(form.action, every, f"everything: {why}")
        every = [(name, value) for name in names_of(form) for value in LONG]
        walker.post(form.action, every[:1], "a megabyte")
        walker.post(form.action, every, "megabytes")
    assert walker.failed == []
    assert walker.sent > 1500


@pytest.mark.database("sqlite")
@pytest.mark.timeout(300)
def test_a_file_where_none_is_asked_for_and_none_where_one_is(walker: Walker) -> None:
    for form in walker.forms():
        for turn, name in enumerate([*some_of_each(form), *form.files]):
            for content, called in FILES if name in form.files else FILES[turn % 3 :][:1]:
                files = {name: (content, called.encode("utf-8", "replace").decode())}
                walker.post(form.action, pairs_of(form), f"{name}: a file", files)
        for name in form.files:
            walker.post(form.action, [*pairs_of(form), (name, "text")], f"{name}: a text")
    assert walker.failed == []


@pytest.mark.database("sqlite")
def test_json_is_no_form(walker: Walker) -> None:
    for form in walker.forms():
        for body in ({name: ["x", None] for name in names_of(form)}, [1], "x", None):
            answer = walker.staff.http.post(
                form.action, json=body, headers={"X-CSRFToken": walker.token}
            )
            assert answer.status_code < 500, (form.action, body)


@pytest.mark.database("sqlite")
@pytest.mark.timeout(300)
def test_addresses_that_take_forms_take_anybody_elses(walker: Walker) -> None:
    """Each address with every name that any form has, empty and absurd."""
    names = sorted({name for form in walker.forms() for name in names_of(form)})
    keys = keys_of(walker.app, walker.ours.client)
    for path in _posts(walker.app, keys):
        if walker.staff.http.post(path, data={"csrf_token": walker.token}).status_code == 404:
            continue
        for values in ([""], ["\u00b2"], ["x", "1"]):
            pairs: Pairs = [(name, value) for name in names for value in values]
            walker.post(path, pairs, f"every name as {values}")
    assert walker.failed == []


def _posts(app: Flask, keys: list[str]) -> Iterator[str]:
    every = [
        path
        for rule, method in rules(app)
        if method == "POST"
        for path in dict.fromkeys(paths(rule, ["registrar"], keys))
    ]
    yield from sorted(every, key=lambda path: path.endswith(LAST))
