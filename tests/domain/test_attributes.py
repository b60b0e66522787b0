"""What a client knows about a person: any JSON, and where it cannot be kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import attributes

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


def nested(depth: int) -> Any:
    value: Any = "x"
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def places(given_attributes: dict[Any, Any]) -> list[str]:
    return [one.field for one in attributes.mistakes(given_attributes)]


@pytest.mark.parametrize(
    "value",
    [
        {"courses": [{"name": "Algebra", "room": 4}], "n": 7},
        {"a": None, "b": True, "c": False, "d": 1.5, "e": -3, "f": "", "g": [], "h": {}},
        {"deep": nested(5)},
        {"long": "x" * (32 * 1024 - 11)},
        {"ü" * 100: "ü"},
        {"First Name": "Pat", "items": {"": "an empty name inside"}},
        {f"a{n}": n for n in range(1000)},
        {},
    ],
    ids=[
        "the issue's",
        "every type",
        "five deep",
        "32 KiB",
        "a long name",
        "names",
        "many",
        "none",
    ],
)
def test_any_json_is_kept(value: dict[str, Any]) -> None:
    assert places(value) == []


@pytest.mark.parametrize(
    ("value", "place", "said"),
    [
        ({"deep": nested(6)}, "deep[0].a[0].a[0]", "at most 5"),
        ({"a": {"b": [1, {"c": float("inf")}]}}, "a.b[1].c", "too large a number"),
        ({"a": [float("nan")]}, "a[0]", "too large a number, or none"),
        ({"a": [{"b": "x\x00"}]}, "a[0].b", "cannot be kept"),
        ({"a": ["ok", "\ud800"]}, "a[1]", "cannot be kept"),
        ({"x\x00": 1}, "", "cannot be kept"),
        ({"\udfff": 1}, "", "cannot be kept"),
        ({"a": [{"x\x00": 1}]}, "a[0]", "cannot be kept"),
        ({"a": {"\ud800": 1}}, "a", "cannot be kept"),
        ({"a": [10**400]}, "a[0]", "too large a number"),
        ({"a": -(1 << 20_000)}, "a", "too large a number"),
        ({"toName": ["Pat"]}, "toName", "must be text"),
        ({"toPhone": 3195550100}, "toPhone", "must be text"),
        ({"toAddress": {"a": 1}}, "toAddress", "must be text"),
        ({"": 1}, "", "1 to 100 characters"),
        ({"x" * 101: 1}, "", "1 to 100 characters"),
        ({"long": "x" * (32 * 1024 - 10)}, "", "32,769 bytes"),
        ({"long": "ü" * (16 * 1024)}, "", "bytes as JSON"),
        ({"a": {1: 2, None: 3}}, "a", "must be text"),
        ({"when": object()}, "when", "quotation marks"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_named_with_its_place(
    value: dict[str, Any], place: str, said: str
) -> None:
    found = list(attributes.mistakes(value))
    assert place in [one.field for one in found]
    assert said in " ".join(one.message for one in found)
    words = " ".join(one.message for one in found).lower()
    assert not [word for word in ("dict", "str ", "float", "nonetype", "instance") if word in words]


def test_a_value_without_an_end_is_refused_and_not_followed() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert places({"a": circle}) == ["a[0][0][0][0][0]"]


@given(JSON.filter(lambda value: isinstance(value, (list, dict))))
def test_a_cell_gives_lists_and_objects_back_as_they_were(value: Any) -> None:
    assert attributes.read(attributes.text(value)) == value


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_what_is_written_back_unchanged_keeps_its_types(before: dict[str, Any]) -> None:
    written = {name: attributes.text(value) for name, value in before.items()}
    kept = attributes.like(before, written)
    assert json.dumps(kept) == json.dumps(before)


@given(st.text())
def test_a_cell_is_text_unless_it_is_a_list_or_an_object(cell: str) -> None:
    value = attributes.read(cell)
    assert value == cell or isinstance(value, (list, dict))
