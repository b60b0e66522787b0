"""Bodies are JSON, whatever they say they are, and every mistake is named at once."""

from __future__ import annotations

import pytest

from tests.support.departments import Caller


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_is_json_whatever_its_content_type(api: Caller, content_type: str | None) -> None:
    more = {"Content_Type": content_type} if content_type else {}
    assert api.post("preview", {"body": "Hi"}, **more).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "\xff",
        '{"body": NaN}',
        '{"body": 1e999}',
        "[" * 100_000,
        '{"body": ' + "9" * 5000 + "}",
    ],
    ids=["broken", "not UTF-8", "NaN", "infinite", "deep", "long number"],
)
def test_what_is_not_json_is_400(api: Caller, body: str) -> None:
    answer = api.http.post("/api/v1/preview", data=body.encode("latin-1"), headers=api.headers)
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"


def test_every_mistake_is_named_at_once(api: Caller) -> None:
    answer = api.post("preview", {"body": 5, "medai": [], "media": ["a", None]})
    assert answer.status_code == 422
    errors = {one["field"]: one["code"] for one in answer.json["errors"]}
    assert errors == {"body": "string_type", "medai": "extra_forbidden", "media[1]": "string_type"}
    messages = {one["field"]: one["message"] for one in answer.json["errors"]}
    assert messages["body"] == "“body” must be text."
    assert "did you mean “media”?" in messages["medai"]


@pytest.mark.parametrize("text", ["a\0b", "\ud800"], ids=["NUL", "half a pair"])
def test_text_that_no_database_keeps_is_422(api: Caller, text: str) -> None:
    answer = api.post("preview", {"body": text})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == "body"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "nothing", 404), ("DELETE", "client", 405)]
)
def test_errors_of_the_router_are_problems_too(
    api: Caller, method: str, path: str, status: int
) -> None:
    answer = api.http.open(f"/api/v1/{path}", method=method, headers=api.headers)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert set(answer.json) >= {"type", "status", "title", "detail"}
