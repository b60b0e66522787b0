"""Measuring a text before it is sent; figures from Twilio's SMS character limit page."""

from __future__ import annotations

import pytest

from tests.support.departments import Caller

pytestmark = pytest.mark.database("sqlite")


@pytest.mark.parametrize(
    ("body", "encoding", "segments", "units", "characters"),
    [
        ("a" * 160, "GSM-7", 1, 160, 160),
        ("a" * 161, "GSM-7", 2, 161, 161),
        ("{", "GSM-7", 1, 2, 1),
        ("\u00e1" * 71, "UCS-2", 2, 71, 71),
        ("\U0001f600" * 36, "UCS-2", 2, 72, 36),
    ],
)
def test_a_text_is_measured(
    api: Caller, body: str, encoding: str, segments: int, units: int, characters: int
) -> None:
    shown = api.post("preview", {"body": body}).json
    assert (shown["encoding"], shown["segments"]) == (encoding, segments)
    assert (shown["units"], shown["characters"]) == (units, characters)
    assert shown["estimatedCost"] == pytest.approx(0.0083 * segments)


def test_the_characters_that_make_it_dear_are_named(api: Caller) -> None:
    shown = api.post("preview", {"body": "9 \u2013 10 \u201cwow\u201d \u2013" + "a" * 70}).json
    assert shown["unsupported"] == ["\u2013", "\u201c", "\u201d"]
    assert any("would take 1" in warning for warning in shown["warnings"])


@pytest.mark.parametrize("body", [{}, {"body": ""}, {"body": " \n"}, {"body": "", "media": []}])
def test_nothing_is_422(api: Caller, body: dict[str, object]) -> None:
    assert api.post("preview", body).status_code == 422


def test_media_are_counted_and_not_fetched(api: Caller) -> None:
    shown = api.post("preview", {"media": ["https://192.0.2.1/a.png"]}).json
    assert shown["segments"] == 1
    assert shown["estimatedCost"] == pytest.approx(0.022)
