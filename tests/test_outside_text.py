"""No text from outside takes longer than it is long: every expression and every entrance.

A regular expression that tries again from each place, or in each way, takes the square of what it
is given, or worse; a stranger decides how much that is. All expressions of the application are
found by walking its modules, so that a new one is tried without anybody thinking of it.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import regex
from flask import Flask

import app
import config
from app.domain import keywords, phone_kinds, phones, plain_urls, reactions, specs, tables, urls
from app.domain.audience import members
from app.domain.content import links, templates, vcards
from app.domain.mistakes import Refused
from app.domain.routing.handlers import base as handlers
from app.models.route import Destination
from app.outbound.relay import letters, schedule
from app.twilio import segments
from app.twiml import check, spoken, tags
from app.twiml import text as twiml_text

SIZES = (16_000, 32_000, 64_000)
INSTANT = 0.08
"""Seconds of processor time that nobody notices, whatever the shape of the curve."""
GROWTH = 3.2
"""Of twice the text, at most; a square takes four times as long."""
SLOWEST = 1.5
"""Seconds for the longest text."""

PIECES = [
    "a", "A", "1", "٣", " ", "\t", "\n", "\r\n", "-", "_", ".", ",", ";", ":", "@", "#", "%", "&",
    "$", "\\", "/", "?", "!", "'", '"', "“", "”", "«", "(", ")", "[", "{", "}", "<", ">", "+", "=",
    "*", "\u200b", "é", "🙏", "a@", "@a", "a.", ".a", "a-", "-a", "a ", " a", "1 ", "1-", "a:",
    "((", "((a ", "[[a ", "<<a ", "{{", "{{ ", "{{ a", "{{ a }}", "{% ", "{% raw %}", "{#", "<a ",
    "<a b='", '<a b="', "</", "<!--", "<![CDATA[", "&#", "http://", "https://a.", "http://a?",
    "www.a.", "stop ", "no ", "opt ", "don't ", "Liked “", "Reacted ", "x1 ", "ext", "+1", "1.",
    "a=", "%41", "]]", "a'b", "do not ", "take me ", "tel:", "sip:a@", "a/b+", "application/",
]  # fmt: skip
ENDS = ["", "!", "@a", "\n>"]


def grown(piece: str, end: str, size: int) -> str:
    return (piece * (size // len(piece) + 1))[: size - len(end)] + end


def took(work: Callable[[str], object], text: str) -> float:
    best = 10.0
    for _ in range(2):
        started = time.thread_time()
        with contextlib.suppress(ValueError, Refused):  # refused, but how soon?
            work(text)
        best = min(best, time.thread_time() - started)
        if best < INSTANT:
            break
    return best


def slow(
    work: Callable[[str], object], ends: Sequence[str] = ENDS, sizes: Sequence[int] = SIZES
) -> list[str]:
    """Return the texts that take `work` long, or longer than in proportion."""
    found = []
    for piece in PIECES:
        for end in ends:
            before = took(work, grown(piece, end, sizes[0]))
            if before < INSTANT / 8:  # a square of that is no more than it takes for 16 times that
                continue
            for size in sizes[1:]:
                now = took(work, grown(piece, end, size))
                if now > INSTANT and (now > before * GROWTH or now > SLOWEST):
                    found.append(f"{piece!r} … {end!r}: {before:.3f} s, {now:.3f} s for {size:,}")
                    break
                before = now
    return found


def modules() -> Iterator[tuple[str, ast.Module]]:
    for info in pkgutil.walk_packages(app.__path__, "app."):
        path = Path(importlib.util.find_spec(info.name).origin or "")
        yield info.name, ast.parse(path.read_text())


METHODS = {"match", "fullmatch", "search", "sub", "split", "findall", "finditer"}
Use = tuple[str, str, Any]
"""Where an expression stands, how it is used, and itself."""


@lru_cache(maxsize=1)
def uses() -> list[Use]:
    """Return every expression of the application with each way in which it is used."""
    found: list[Use] = []
    trees = list(modules())
    methods = _methods([tree for _, tree in trees])
    for module, tree in trees:
        for name, value in vars(importlib.import_module(module)).items():
            if isinstance(value, (re.Pattern, regex.Pattern)):
                for method in sorted(methods.get(name, METHODS)):
                    found.append((f"{module}.{name}", method, value))
        for node in ast.walk(tree):
            if inline := _inline(node):
                found.append((f"{module}:{node.lineno}", *inline))  # type: ignore[attr-defined]
    unique = {
        (pattern.pattern, method): (place, method, pattern) for place, method, pattern in found
    }
    return sorted(unique.values(), key=lambda one: one[:2])


def _methods(trees: list[ast.Module]) -> dict[str, set[str]]:
    """Return how what has a name is used, wherever it is: `NAME.search(…)`."""
    found: dict[str, set[str]] = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Attribute) and node.attr in METHODS:
            name = getattr(node.value, "id", None) or getattr(node.value, "attr", "")
            found.setdefault(name, set()).add(node.attr)
    return found


def _inline(node: ast.AST) -> tuple[str, Any] | None:
    """Return what `re.search("…", text)` does, if the node is such a call."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
        return None
    owner, first = node.func.value, node.args[0]
    if not (isinstance(owner, ast.Name) and owner.id in ("re", "regex")):
        return None
    if node.func.attr not in METHODS or not isinstance(first, ast.Constant):
        return None
    return node.func.attr, re.compile(first.value)


def apply(pattern: Any, method: str) -> Callable[[str], object]:
    is_bytes = isinstance(pattern.pattern, bytes)

    def work(text: str) -> object:
        given: Any = text.encode("utf-8", "replace") if is_bytes else text
        if method == "sub":
            return pattern.sub(b"" if is_bytes else "", given)
        if method == "finditer":
            return sum(1 for _ in pattern.finditer(given))
        return getattr(pattern, method)(given)

    return work


def test_the_walk_finds_the_expressions_that_strangers_meet() -> None:
    places = " ".join(place for place, _, _ in uses())
    for known in ("specs._EMAIL", "phones._WRITTEN", "spoken._SAYS", ".PLACEHOLDER"):
        assert known in places
    assert len(uses()) > 60


@pytest.mark.parametrize(
    ("method", "pattern"),
    [(method, pattern) for _, method, pattern in uses()],
    ids=[f"{place} {method}" for place, method, _ in uses()],
)
def test_no_expression_takes_more_than_in_proportion(method: str, pattern: Any) -> None:
    assert slow(apply(pattern, method)) == []


VOCABULARY = keywords.Vocabulary.of(("en", "es", "fr", "zh"), {})
ENTRANCES: dict[str, Callable[[str], object]] = {
    "a text that may be a keyword": VOCABULARY.read,
    "a text that may be an opt-out": keywords.sounds_like_stop,
    "a text that may be a reaction": reactions.parse,
    "a text that is measured": segments.measure,
    "a text whose links are shortened": lambda text: links.rewrite(text, "https://e.edu"),
    "a text that is encoded": segments.smart_encode,
    "a phone": phones.normalize,
    "a phone or short code": lambda text: phones.normalize(text, short_codes=True),
    "a phone that is judged": lambda text: phone_kinds.refusal(text, True, Destination.SMS),
    "an e-mail address": specs._email,
    "a member's address": lambda text: members.check({"toAddress": text}),
    "a member's phone": lambda text: members.check({"toPhone": text}),
    "an address of a mail": letters.is_address,
    "a line of a mail": letters.one_line,
    "the type of an attachment": lambda text: letters.attachment(text, 1),
    "a web address": urls.refusal,
    "a plain URL": lambda text: plain_urls.fill(text, {"a": "x"}),
    "a header that asks to wait": lambda text: schedule.retry_after(text, datetime.now(UTC)),
    "the address of support": config._EMAIL.fullmatch,
    "a voice": handlers._VOICE.fullmatch,
    "TwiML": check.check_document,
    "TwiML that only speaks": spoken.take_apart,
    "words that become TwiML": lambda text: spoken.as_twiml(spoken.Spoken(text)),
    "what is said in pieces": lambda text: twiml_text.split(text, 4096, 4096),
    "what is cut": lambda text: twiml_text.trim(text, 1600),
    "a template": templates.check,
    "a template's tags": lambda text: list(tags.pieces(text)),
    "a CSV file": lambda text: list(
        tables.open_table(text.encode("utf-8", "replace")).table.rows()
    ),
    "a CSV cell": lambda text: list(tables.read(f"a\n{text}".encode("utf-8", "replace")).rows()),
    "a CSV file in some encoding": lambda text: list(
        tables.open_table(f"é{text}".encode("cp1252", "replace")).table.rows()
    ),
    "a contact card": lambda text: vcards.write(vcards.Contact(name="a", email=text, url=text)),
}


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("work", ENTRANCES.values(), ids=ENTRANCES)
def test_no_entrance_takes_more_than_in_proportion(
    work: Callable[[str], object], app: Flask
) -> None:
    ends = ENDS[:1] if work is ENTRANCES["a CSV file in some encoding"] else ENDS  # read 19 times
    is_read = work in [one for name, one in ENTRANCES.items() if "CSV" in name]
    sizes = [size // 4 for size in SIZES] if is_read else SIZES
    with app.app_context():
        assert slow(work, ends, sizes) == []
