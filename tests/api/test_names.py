"""What is named in the address of a call has a name that can be kept, or the call is refused."""

from __future__ import annotations

from typing import Any

import pytest

from app.models.hours import Hours
from app.models.rota import Rota
from tests.support.departments import Caller
from tests.support.rows import Rows

PEOPLE = {
    "people": [{"name": "Pat", "phone": "+13195550181"}],
    "weeks": [{"mon": ["08:00-17:00 Pat"]}],
}


@pytest.mark.parametrize(
    ("path", "body", "model"),
    [("hours", {"mon": ["08:00-12:00"]}, Hours), ("rotas", PEOPLE, Rota)],
    ids=["hours", "rotas"],
)
@pytest.mark.parametrize("name", ["%F1%8D%A6%B3", "%20", "%E2%80%8B", "x" * 101])
def test_a_name_of_which_nothing_can_be_seen_is_refused(
    api: Caller, rows: Rows, path: str, body: dict[str, Any], model: type[Any], name: str
) -> None:
    answer = api.put(f"{path}/{name}", body)
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert [one["field"] for one in answer.json["errors"]] == ["name"]
    assert rows.count(model) == 0
