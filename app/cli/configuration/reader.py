"""Reading YAML so that every mistake has its line and column.

Every scalar is read as the text that was written, and gets its type from the schema: ``off`` stays
``off``, ``21:00`` stays a time, ``+13195550100`` keeps its plus sign. Only null is null.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from app.domain import attributes
from app.domain.mistakes import Mistake, Path
from config import SETTINGS

MAX_VALUES = 2_000_000
"""Most values in one file, counted each time an alias repeats them."""

_VARIABLE = re.compile(r"\$(\$?)\{([^}]*)\}")
_JSON_LITERAL = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?|true|false")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Place = tuple[int, int]


@dataclass
class Document:
    """What the file says, where it says it, and what could not be read."""

    data: Any = None
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    secret: set[Path] = field(default_factory=set)
    """Where a value came from the environment: it is never shown."""
    mistakes: list[Mistake] = field(default_factory=list)

    def place(self, mistake: Mistake) -> Place:
        """Return the line and column, from 1, of what the mistake is about."""
        path = mistake.path
        if mistake.code == "extra_forbidden" and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, (1, 1))


def read(text: str, environ: Mapping[str, str]) -> Document:
    """Read ``text``; mistakes are collected in the document, never raised."""
    document = Document()
    try:
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        document.values[()] = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        words = " ".join(part for part in (error.context, error.problem) if part)
        document.mistakes.append(Mistake((), f"This cannot be read as YAML: {words}.", "yaml"))
        return document
    except yaml.YAMLError as error:
        document.mistakes.append(Mistake((), f"This cannot be read as YAML: {error}.", "yaml"))
        return document
    except RecursionError:
        document.mistakes.append(Mistake((), "The file is nested too deeply.", "yaml"))
        return document
    if node is not None:
        document.data = _Builder(document, environ).build(node, ())
    return document


class _Builder:
    """Turns YAML's nodes into plain values and remembers where each was."""

    def __init__(self, document: Document, environ: Mapping[str, str]) -> None:
        self._document = document
        self._environ = environ
        self._open: set[int] = set()
        self._left = MAX_VALUES

    def build(self, node: Node, path: Path) -> Any:
        """Return the value of ``node``, which stands at ``path``."""
        self._left -= 1
        self._document.values[path] = _place(node)
        if self._left == 0:
            self._mistake(path, "The file is too large: its aliases repeat too much.")
        if self._left <= 0:
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self._mistake(path, "This alias contains itself.")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
            return self._mapping(node, path) if isinstance(node, MappingNode) else None
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        found: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._mistake(path, "A key must be a plain name.", key_node)
            elif key_node.value == "<<" and not key_node.style:
                merged |= self._merged(value_node, path)
            elif key_node.value in first:
                line = first[key_node.value]
                message = f"“{key_node.value}” is given twice; the first is on line {line}."
                self._mistake((*path, key_node.value), message, key_node)
            else:
                first[key_node.value] = _place(key_node)[0]
                here = (*path, key_node.value)
                self._document.keys[here] = _place(key_node)
                found[key_node.value] = self.build(value_node, here)
        return merged | found

    def _merged(self, node: Node, path: Path) -> dict[str, Any]:
        nodes = node.value if isinstance(node, SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for one in reversed(nodes):
            if isinstance(one, MappingNode):
                here = self._document.values[path]
                merged |= self.build(one, path) or {}
                self._document.values[path] = here
            else:
                self._mistake(path, "“<<” must be followed by an alias of names with values.", one)
        return merged

    def _scalar(self, node: ScalarNode, path: Path) -> str | float | bool | None:
        if node.tag.startswith("!") or node.tag == "tag:yaml.org,2002:binary":
            self._mistake(path, f"The tag {node.tag} is not supported; write plain text.")
        if _UNSTORABLE.search(node.value):
            self._mistake(path, "This holds NUL or half a character, which no text may hold.")
        if not node.style and node.value in _NULL:
            return None
        if not node.style and _is_attribute(path) and _JSON_LITERAL.fullmatch(node.value):
            value: float | bool = json.loads(node.value)
            if json.dumps(value) == node.value:  # 1.50 would not come back as it was written
                return value
        storable = _UNSTORABLE.sub("\ufffd", str(node.value))  # the database may still be asked
        return _VARIABLE.sub(lambda found: self._variable(found, path), storable)

    def _variable(self, found: re.Match[str], path: Path) -> str:
        escaped, name = found.groups()
        if escaped:
            return f"${{{name}}}"
        self._document.secret.add(path)
        if not _NAME.fullmatch(name):
            self._mistake(
                path,
                f"“${{{name}}}” names no environment variable; where it is meant as text,"
                f" write “$${{{name}}}”.",
            )
        elif name in SETTINGS:
            self._mistake(
                path,
                f"{name} is a setting of Dispatch itself and stands in no configuration; give the"
                " value to an environment variable of another name.",
            )
            return ""
        elif name not in self._environ:
            self._mistake(path, f"The environment variable {name} is not set.")
        return self._environ.get(name, "")

    def _mistake(self, path: Path, message: str, node: Node | None = None) -> None:
        """Note a mistake; ``node`` is where it is, if that is not the value at ``path``."""
        if node is None:
            self._document.mistakes.append(Mistake(path, message, "yaml"))
            return
        # A place of its own: what stands at the same path may have been read already.
        here = (*path, f"<{len(self._document.mistakes)}>")
        self._document.values[here] = _place(node)
        self._document.mistakes.append(Mistake(here, message, "yaml"))


def _is_attribute(path: Path) -> bool:
    """Tell whether a value belongs to what is known about a member, whose types are kept."""
    return "members" in path[:-1] and path[-1] not in attributes.KNOWN


def _place(node: Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1
