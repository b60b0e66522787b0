"""Every body that the API takes, absurd as a whole and in each of its fields: never a failure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from app.api.operation import Operation, operations
from tests.api.test_schemathesis import furnish
from tests.support.departments import Caller, Department
from tests.support.rows import Rows

pytestmark = [
    pytest.mark.settings(API_REQUESTS_PER_MINUTE="1000000"),
    pytest.mark.timeout(300),
]
DEEP = 200_000

RAW: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "another encoding": '{"to": "é"}'.encode("latin-1"),
    "UTF-16": '{"to": "x"}'.encode("utf-16"),
    "a mark of the byte order": b'\xef\xbb\xbf{"to": "x"}',
    "half a surrogate pair as bytes": b'{"to": "\xed\xa0\x80"}',
    "half a surrogate pair": b'{"to": "\\ud800"}',
    "half a surrogate pair in a name": b'{"\\udfff": 1}',
    "NUL": b'{"to": "\\u0000"}',
    "NUL in a name": b'{"\\u0000": 1}',
    "NUL between": b'{"to"\0: 1}',
    "no number": b'{"to": NaN}',
    "a number beyond": b'{"to": 1e999}',
    "many digits": b'{"to": ' + b"9" * 5000 + b"}",
    "too deep": b"[" * DEEP + b"]" * DEEP,
    "a name twice": b'{"to": 1, "to": [2]}',
    "a megabyte": b'{"to": "' + b"x" * 2**20 + b'"}',
    "a form": b"to=%2B13195550101&body=Hi",
}
VALUES: dict[str, Any] = {
    "null": None,
    "a truth value": True,
    "a number": 7,
    "a number beyond": 10**400,
    "a fraction": 0.1,
    "a negative number": -1,
    "blanks": "  \t",
    "NUL": "a\0",
    "half a surrogate pair": "\ud800",
    "a megabyte": "x" * 2**20,
    "a text": "²",
    "a list": [],
    "lists": [[[[["x"]]]], None, {}],
    "a mapping": {},
    "a mapping of anything": {"\ud800": [None], "a\0": {"x": 1}, "": "", "to": "x"},
}


def calls(mine: dict[str, list[str]]) -> Iterator[tuple[Operation, str]]:
    for one in operations:
        if one.body is not None:
            path = one.path
            for name, values in mine.items():
                path = path.replace(f"<{name}>", values[0])
            yield one, path


@pytest.fixture
def mine(rows: Rows, registrar: Department) -> dict[str, list[str]]:
    return furnish(rows, registrar)


def send(api: Caller, one: Operation, path: str, raw: bytes) -> str | None:
    answer = api.http.open(f"/api/v1{path}", method=one.method, data=raw, headers=api.headers)
    if answer.status_code >= 500:
        return f"{one.method} {path}: {answer.status} for {raw[:80]!r}"
    if answer.status_code >= 400 and answer.content_type != "application/problem+json":
        return f"{one.method} {path}: {answer.content_type} for {raw[:80]!r}"
    return None


def test_a_body_of_any_bytes_is_answered(
    app: Flask, api: Caller, mine: dict[str, list[str]]
) -> None:
    found = list(calls(mine))
    assert len(found) >= 8
    wrong = [send(api, one, path, raw) for one, path in found for raw in RAW.values()]
    assert [one for one in wrong if one] == []


def test_a_field_of_any_kind_is_answered(
    app: Flask, api: Caller, mine: dict[str, list[str]]
) -> None:
    wrong = []
    for one, path in calls(mine):
        assert one.body is not None
        example = dict(one.example or {})
        names = [field.alias or name for name, field in one.body.model_fields.items()]
        for name in {*names, *example}:
            wrong.append(send(api, one, path, json.dumps({**example, name: None}).encode()))
            rest = {key: value for key, value in example.items() if key != name}
            wrong.append(send(api, one, path, json.dumps(rest).encode()))
            for value in VALUES.values():
                for body in ({name: value}, {**example, name: value}, {name: [value]}):
                    wrong.append(send(api, one, path, json.dumps(body).encode()))
    assert [one for one in wrong if one] == []
