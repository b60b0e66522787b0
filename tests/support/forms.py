"""The forms of a page, as a browser would find and send them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from app.domain.routing.handlers import SPECS


@dataclass
class Form:
    """One form: where it goes, and each field with the value that it would send untouched."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    selects: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)


class _Reader(HTMLParser):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.forms: list[Form] = []
        self.open: Form | None = None
        self.select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            method = given.get("method", "get").lower()
            self.open = Form(given.get("action") or self.path, method)
            self.forms.append(self.open)
        if self.open is None:
            return
        name = given.get("name", "")
        if tag == "option" and self.select and ("selected" in given or not self.chosen):
            self.open.fields[self.select] = given.get("value", "")
            self.chosen = True
        elif tag == "select":
            self.select, self.chosen = name, False
            self.open.selects.add(name)
        elif tag == "textarea":
            self.open.fields[name] = ""
        elif tag == "button" and name:
            self.open.fields.setdefault(name, given.get("value", ""))
        elif tag == "input":
            self._input(self.open, name, given)

    def _input(self, form: Form, name: str, given: dict[str, str]) -> None:
        kind = given.get("type", "text")
        if kind == "file":
            form.files.add(name)
        elif kind not in ("checkbox", "radio"):
            form.fields[name] = given.get("value", "")
        elif "checked" in given or name not in form.fields:
            form.fields[name] = given.get("value", "on")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.open = None
        elif tag == "select":
            self.select = None


def forms(path: str, page: str) -> list[Form]:
    """Return the forms of the page that was shown at ``path``."""
    reader = _Reader(path)
    reader.feed(page)
    return reader.forms


_OWN = ("handler", "key", "kept")


def route_fields(**fields: Any) -> dict[str, Any]:
    """Return the fields of a number's form by the names that they have there.

    ``handler="hours", open_handler="menu", open_say="…"`` stands for ``hours.open-menu.say``: a
    field of the menu that is chosen while the hours are open.
    """
    given = {name.replace("_", "-"): value for name, value in fields.items()}
    return {_named(name, given): value for name, value in given.items()}


def _named(name: str, given: Mapping[str, Any], old: str = "", new: str = "") -> str:
    rest = name.removeprefix(old)
    if rest in (*_OWN, "at", "draft", "do"):
        return new + rest
    handler = given.get(f"{old}handler", "none")
    inside = re.match(r"[a-z]+(-\d+)?-", rest)
    if inside and f"{old}{inside[0]}handler" in given:
        return _named(name, given, old + inside[0], f"{new}{handler}.{inside[0]}")
    return f"{new}{handler}.{rest.replace('-', '_') if rest in _UNDERSCORED else rest}"


_UNDERSCORED = {
    name.replace("_", "-") for spec in SPECS.values() for name in spec.model_fields if "_" in name
}


def names_of(form: Form) -> list[str]:
    return [name for name in form.fields if name != "csrf_token"]


def families(form: Form) -> list[list[str]]:
    """Return the fields by what they are: those of every day, hour and key are read as one."""
    found: dict[str, list[str]] = {}
    for name in names_of(form):
        found.setdefault(re.sub(r"^.*-|\d+", "", name) or name, []).append(name)
    return list(found.values())
