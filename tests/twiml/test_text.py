"""Text made fit for XML and for Twilio's limits."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.twiml import text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a\x07b", "ab"),
        ("a\x00b\x1fc\x7fd\x9be", "abcde"),
        ("a\ud800b\udfffc", "abc"),
        ("a\ufffeb\uffffc", "abc"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("tab\tstays\nas do lines", "tab\tstays\nas do lines"),
        ("Grüße 👍 <b>&amp;", "Grüße 👍 <b>&amp;"),
    ],
    ids=["bell", "controls", "lone surrogates", "noncharacters", "line ends", "tab", "ordinary"],
)
def test_clean(raw: str, expected: str) -> None:
    assert text.clean(raw) == expected


@given(st.text(st.characters()))
def test_a_cleaned_text_is_always_legal_xml(raw: str) -> None:
    element = ET.Element("Say")
    element.text = text.clean(raw)
    assert (ET.fromstring(ET.tostring(element)).text or "") == text.clean(raw)


@pytest.mark.parametrize(
    ("raw", "limit", "expected"),
    [
        ("hello", 5, "hello"),
        ("hello!", 5, "he..."),
        ("😀😀😀", 6, "😀😀😀"),
        ("😀😀😀", 5, "😀..."),
        ("a😀b😀", 5, "a..."),
        ("hello", 2, "he"),
    ],
    ids=[
        "fits",
        "cut",
        "pairs fit",
        "cut between pairs",
        "pair not halved",
        "no room for the mark",
    ],
)
def test_trim(raw: str, limit: int, expected: str) -> None:
    assert text.trim(raw, limit) == expected
    assert text.utf16_units(text.trim(raw, limit)) <= limit


@pytest.mark.parametrize(
    ("raw", "limit", "expected"),
    [
        ("", 10, []),
        ("  \n ", 10, []),
        ("short", 10, ["short"]),
        ("One two. Three four.", 12, ["One two.", "Three four."]),
        ("one two three four", 9, ["one two", "three", "four"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("Costs 3.50 today", 9, ["Costs", "3.50", "today"]),
    ],
    ids=[
        "empty",
        "blank",
        "short",
        "sentences",
        "words",
        "one long word",
        "a decimal is no sentence",
    ],
)
def test_split(raw: str, limit: int, expected: list[str]) -> None:
    assert text.split(raw, limit) == expected


def test_split_bounds_the_encoded_size_too() -> None:
    pieces = text.split("ж" * 1000, 3000, encoded_limit=4500)  # six bytes each, encoded
    assert [len(piece) for piece in pieces] == [750, 250]


@given(st.text(st.characters(codec="utf-8"), max_size=300), st.integers(1, 40), st.integers(12, 90))
def test_split_loses_nothing_and_keeps_the_limit(raw: str, limit: int, encoded: int) -> None:
    pieces = text.split(raw, limit, encoded)
    assert "".join("".join(pieces).split()) == "".join(raw.split())
    assert all(0 < len(piece) <= limit for piece in pieces)
