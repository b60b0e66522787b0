"""Web addresses in a text are rewritten; not a character around them is touched."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.content.links import CODE_LENGTH, new_code, rewrite

BASE = "https://d.example.edu"


@pytest.mark.parametrize(
    ("text", "urls", "rewritten"),
    [
        ("no link at all", [], "no link at all"),
        ("See https://a.edu/x.", ["https://a.edu/x"], "See {0}."),
        ("(https://a.edu/x)", ["https://a.edu/x"], "({0})"),
        ("https://a.edu/a_(b)", ["https://a.edu/a_(b)"], "{0}"),
        ("(see https://a.edu/a_(b)).", ["https://a.edu/a_(b)"], "(see {0})."),
        ("https://a.edu/?a=1&b=2#c!", ["https://a.edu/?a=1&b=2#c"], "{0}!"),
        ("HTTP://A.edu/X", ["HTTP://A.edu/X"], "{0}"),
        ("“https://a.edu/x”", ["https://a.edu/x"], "“{0}”"),
        ("<https://a.edu/x>", ["https://a.edu/x"], "<{0}>"),
        ("https://a.edu:8443/%C3%A9", ["https://a.edu:8443/%C3%A9"], "{0}"),
        ("https://a.edu\nhttps://b.edu", ["https://a.edu", "https://b.edu"], "{0}\n{1}"),
        ("https://a.edu and https://a.edu", ["https://a.edu"], "{0} and {0}"),
        ("www.a.edu, ftp://a.edu, mailto:x@a.edu, a.edu", [], None),
        ("http:// https://? https://", [], None),
        ("xhttps://a.edu", [], None),
        (f"{BASE}/l/abcdefghij", [], None),
        ("https://a.edu/" + "x" * 2048, [], None),
        ("https://[bad", [], None),
    ],
    ids=range(18),
)
def test_rewriting(text: str, urls: list[str], rewritten: str | None) -> None:
    codes = iter(f"{number:0{CODE_LENGTH}}" for number in range(9))
    result, links = rewrite(text, BASE, lambda: next(codes))
    assert [link.url for link in links] == urls
    expected = text if rewritten is None else rewritten
    for number, link in enumerate(links):
        expected = expected.replace(f"{{{number}}}", f"{BASE}/l/{link.code}")
    assert result == expected


@given(st.text(alphabet="ab /.:;,!?()<>\"'#&=\n’é😀https", max_size=80))
def test_putting_the_addresses_back_gives_the_text(text: str) -> None:
    result, links = rewrite(text, BASE)
    for link in links:
        result = result.replace(f"{BASE}/l/{link.code}", link.url)
    assert result == text


def test_codes_cannot_be_guessed() -> None:
    codes = {new_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert all(re.fullmatch(r"[0-9A-Za-z]{10}", code) for code in codes)
