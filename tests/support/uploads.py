"""Files with people, uploaded at the page as a browser does, and taken in after a look."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from tests.support.forms import Form, forms

UNTICKED = ("skip", "with_hidden")


def send_file(staff: Any, path: str, content: str | bytes, name: str = "people.csv") -> Any:
    """Upload a file at the page of a population; return the answer."""
    data = content.encode() if isinstance(content, str) else content
    sent = {"csrf_token": staff.token(path), "file": (BytesIO(data), name)}
    return staff.http.post(f"{path}/import", data=sent)


def form_of(staff: Any, path: str) -> Form:
    """Return the form that shows what was recognised, as it would be sent untouched."""
    found = next(one for one in forms(path, staff.http.get(path).text) if "action" in one.fields
                 or one.action == path)  # fmt: skip
    for name in UNTICKED:
        found.fields.pop(name, None)
    return found


def decide(staff: Any, path: str, action: str, **fields: str) -> Any:
    """Press a button of the form at ``path``, having filled in ``fields``."""
    sent = {**form_of(staff, path).fields, **fields, "action": action}
    return staff.http.post(path, data=sent)


def take_in(staff: Any, path: str, content: str | bytes, name: str = "people.csv", **fields: str):
    """Upload a file, and take its people in if it can be looked at; return the last answer."""
    answer = send_file(staff, path, content, name)
    if answer.status_code != 303:
        return answer
    return decide(staff, answer.headers["Location"], "save", **fields)
