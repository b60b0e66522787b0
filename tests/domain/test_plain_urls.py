from __future__ import annotations

from typing import Any

import pytest

from app.domain.plain_urls import fill

DATA = {
    "batchId": "01H",
    "status": "delivered",
    "errorCode": None,
    "counts": {"sent": 2},
    "sequence": 7,
    "member": {"netid": "ada/l", "toName": "Ada & Co", "status": "student", "emoji": "🎓"},
}


@pytest.mark.parametrize(
    ("url", "filled"),
    [
        ("https://e.edu/done/{{ batchId }}", "https://e.edu/done/01H"),
        ("https://e.edu/{{batchId}}?n={{sequence}}", "https://e.edu/01H?n=7"),
        ("https://e.edu/who/{{ netid }}", "https://e.edu/who/ada%2Fl"),
        ("https://e.edu/?q={{ toName }}&x=1", "https://e.edu/?q=Ada%20%26%20Co&x=1"),
        ("https://e.edu/?q={{ emoji }}", "https://e.edu/?q=%F0%9F%8E%93"),
        ("https://e.edu/?s={{ status }}", "https://e.edu/?s=delivered"),
        ("https://e.edu/?e={{ errorCode }}", "https://e.edu/?e="),
        ("https://e.edu/?d={{ CallDuration }}", "https://e.edu/?d="),
        ("https://e.edu/?c={{ counts }}", "https://e.edu/?c=%7B%22sent%22%3A2%7D"),
        ("https://e.edu/", "https://e.edu/"),
    ],
    ids=[
        "path", "no blanks", "slash", "ampersand", "emoji", "the event's field first", "null",
        "does not apply", "an object", "none",
    ],
)  # fmt: skip
def test_placeholders_are_filled_and_encoded(url: str, filled: str) -> None:
    assert fill(url, DATA) == filled


def test_the_attributes_may_come_apart_from_the_event() -> None:
    assert fill("https://e.edu/{{ netid }}", {}, {"netid": "x"}) == "https://e.edu/x"


def test_a_value_is_not_filled_again() -> None:
    data: dict[str, Any] = {"member": {"a": "{{ b }}", "b": "secret"}}
    assert fill("https://e.edu/{{ a }}", data) == "https://e.edu/%7B%7B%20b%20%7D%7D"
