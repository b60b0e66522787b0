"""Drafts of canned replies and templates: kept, tried out on one's own phone, then used."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.domain import urls
from app.models.base import utcnow
from app.models.media import Media, MediaSource
from app.models.message import Message
from app.models.template import Template, TemplateDraft, TemplateVersion
from tests.staff.conftest import OF_CLIENTS, Staff
from tests.staff.of_department import ours as ours
from tests.staff.of_department import pat as pat
from tests.support.departments import Department
from tests.support.rows import Rows

HOME = "/staff/clients/registrar"


def path(ours: Department) -> str:
    return f"{HOME}/templates/{ours.reply.id}"


def page(pat: Staff, ours: Department, query: str = "") -> str:
    return html.unescape(pat.http.get(path(ours) + query).get_data(as_text=True))


def keep(pat: Staff, ours: Department, body: str, **more: Any) -> Any:
    return pat.send(path(ours), body=body, draft="1", **more)


def act(pat: Staff, ours: Department, what: str, mark: str | None = None) -> str:
    if mark is None:
        found = re.search(r'name="mark" value="([^"]+)"', page(pat, ours))
        mark = found[1] if found else ""
    answer = pat.send(f"{path(ours)}/draft/{what}", path(ours), mark=mark)
    return html.unescape(pat.http.get(answer.headers["Location"]).get_data(as_text=True))


def in_use(rows: Rows, ours: Department) -> str:
    template = rows.one(select(Template).where(Template.id == ours.reply.id))
    return rows.one(
        select(TemplateVersion.body).where(
            TemplateVersion.template_id == template.id,
            TemplateVersion.number == template.current_version,
        )
    )


def test_a_draft_is_kept_tried_and_then_used(pat: Staff, ours: Department, rows: Rows) -> None:
    before = in_use(rows, ours)
    assert keep(pat, ours, "We moved.").status_code == 302
    assert (in_use(rows, ours), "We moved." in page(pat, ours)) == (before, True)
    pat.send(
        f"{path(ours)}/test", path(ours), which="draft", phone="319-555-0142",
        sender=ours.number.id,
    )  # fmt: skip
    assert rows.one(Message).body == "We moved."
    assert "The draft is in use, as version 2." in act(pat, ours, "use")
    assert (in_use(rows, ours), rows.count(TemplateDraft)) == ("We moved.", 0)
    noted = [(one.action, one.target) for one in rows.all(OF_CLIENTS)]
    name = ours.reply.name
    assert noted == [
        ("draft", f"template {name}"), ("test", f"draft of template {name}"),
        ("change", f"template {name}"),
    ]  # fmt: skip


def test_the_version_in_use_is_tried_where_that_is_chosen(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    keep(pat, ours, "We moved.")
    pat.send(
        f"{path(ours)}/test", path(ours), which="", phone="319-555-0142", sender=ours.number.id
    )
    assert rows.one(Message).body == in_use(rows, ours)


def test_it_is_written_further_and_saved_for_good(pat: Staff, ours: Department, rows: Rows) -> None:
    keep(pat, ours, "We moved.")
    assert "We moved.</textarea>" in page(pat, ours, "?draft=1")
    assert "We moved.</textarea>" not in page(pat, ours)
    pat.send(f"{path(ours)}?draft=1", path(ours), body="We moved to Hall 5.")
    assert (in_use(rows, ours), rows.count(TemplateDraft)) == ("We moved to Hall 5.", 0)


def test_what_could_not_be_used_is_no_draft(pat: Staff, ours: Department, rows: Rows) -> None:
    answer = keep(pat, ours, "Hi {{ toName")
    assert answer.status_code == 422
    assert "Hi {{ toName" in html.unescape(answer.get_data(as_text=True))
    assert rows.count(TemplateDraft) == 0


@pytest.mark.parametrize("what", ["use", "discard"])
def test_nobody_decides_about_a_draft_that_they_have_not_seen(
    pat: Staff, ours: Department, rows: Rows, what: str
) -> None:
    keep(pat, ours, "We moved.")
    seen = rows.one(TemplateDraft).mark
    keep(pat, ours, "We did not move.")
    assert "has been changed since you looked at it" in act(pat, ours, what, seen)
    assert rows.one(TemplateDraft).body == "We did not move."
    act(pat, ours, what)
    assert "has been changed since" in act(pat, ours, what, seen)
    assert rows.count(TemplateDraft) == 0


def test_a_version_that_came_into_use_since_is_told(pat: Staff, ours: Department) -> None:
    keep(pat, ours, "We moved.")
    pat.send(path(ours), body="Closed today.")
    assert "Version 2 has come into use since it was written" in page(pat, ours)


def test_files_of_a_draft_are_kept_and_go_with_it(pat: Staff, ours: Department, rows: Rows) -> None:
    file = Media(
        client_id=ours.client.id, source=MediaSource.STORED, content_type="image/png",
        filename="x.png", size=1, content=b"x", expires_at=utcnow() + timedelta(days=1),
    )  # fmt: skip
    rows.add(file)
    with rows.app.app_context():
        url = urls.of_media(file.code)
    keep(pat, ours, "We moved.", media=url)
    assert rows.one(Media).expires_at is None
    keep(pat, ours, "We moved!", media=url)
    assert rows.one(Media).expires_at is None
    act(pat, ours, "discard")
    gone_at = rows.one(Media).expires_at
    assert gone_at is not None
    assert gone_at <= utcnow()


def test_a_template_is_deleted_with_its_draft(pat: Staff, ours: Department, rows: Rows) -> None:
    made = Template(client_id=ours.client.id, name="spare", kind="reply")
    made.versions = [TemplateVersion(number=1, body="x", created_by="pat")]
    rows.add(made)
    there = f"{HOME}/templates/{made.id}"
    pat.send(there, body="y", draft="1")
    assert rows.count(TemplateDraft) == 1
    assert pat.send(f"{there}/delete", there).status_code == 302
    assert rows.count(TemplateDraft) == 0
