"""Lists come as files for spreadsheets: as they are filtered, by days, and however long."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

import openpyxl
import pytest
from flask import Flask

from app.models.base import utcnow
from app.models.batch import Batch, BatchState
from app.models.client import Client
from app.models.communication import Campaign, Communication
from app.models.house import AuditEntry, Usage
from app.models.incoming import Incoming, Outcome
from app.models.message import Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender
from app.models.template import Template, TemplateKind
from app.staff import downloads
from tests.staff.conftest import Staff
from tests.support.rows import Rows

HOME = "/staff/clients/registrar"
PHONE = "+13195550142"


def read(pat: Staff, path: str) -> list[dict[str, str]]:
    answer = pat.http.get(f"{HOME}/{path}")
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "text/csv"
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.fixture
def came(rows: Rows, number: Sender) -> Callable[..., Incoming]:
    counter = iter(range(10_000))

    def come(body: str | None, **columns: Any) -> Incoming:
        made = Incoming(
            client_id=number.client_id, sender_id=number.id, sid=f"SM{next(counter):032x}",
            from_=PHONE, to=number.address,
            **{
                "outcome": Outcome.REPLIED, "destination": Destination.SMS, "body": body,
                "received_at": utcnow(),
            } | columns,
        )  # fmt: skip
        rows.add(made)
        return made

    return come


@pytest.fixture
def batch(rows: Rows, number: Sender) -> Batch:
    own = {"client_id": number.client_id}
    template = Template(**own, name="news", kind=TemplateKind.SMS)
    campaign = Campaign(**own, name="spring")
    rows.add(template, campaign)
    communication = Communication(
        **own, campaign_id=campaign.id, name="Open house!", destination=Destination.SMS,
        template_id=template.id, sender_id=number.id,
    )  # fmt: skip
    rows.add(communication)
    made = Batch(
        **own, communication_id=communication.id, total=3, scheduled_at=utcnow(), lane_key="x",
        created_by="pat", state=BatchState.COMPLETE,
    )  # fmt: skip
    rows.add(made)
    for place, (state, status) in enumerate(
        [(MessageState.ACCEPTED, "delivered"), (MessageState.SUPPRESSED, None),
         (MessageState.ACCEPTED, "delivered")]
    ):  # fmt: skip
        rows.add(
            Message(
                **own, batch_id=made.id, position=place, sender_id=number.id, to=PHONE,
                credential_id=number.credential_id, from_=number.address, body="=1+1",
                destination=Destination.SMS, state=state, status=status, segments=1,
                member={"toName": f"Ann {place}"},
            )
        )  # fmt: skip
    return made


def test_what_came_in_as_it_is_shown(pat: Staff, came: Callable[..., Incoming], rows: Rows) -> None:
    came("When is the library open?")
    came("=HYPERLINK(1)", outcome=Outcome.NO_ROUTE)
    came(None, destination=Destination.VOICE)
    assert [one["Text"] for one in read(pat, "inbox.csv")] == [
        "When is the library open?", "'=HYPERLINK(1)", "",
    ]  # fmt: skip
    (one,) = read(pat, "inbox.csv?q=library")
    assert (one["From"].lstrip("'"), one["Kind"], one["Attached"]) == (PHONE, "text", "0")
    assert [one["Kind"] for one in read(pat, "inbox.csv?kind=voice")] == ["call"]
    entry = rows.all(AuditEntry)[-1]
    assert (entry.action, entry.target) == ("export", "registrar received")


def test_days_are_whole_ones_where_the_client_is(
    pat: Staff, came: Callable[..., Incoming], registrar: Client
) -> None:
    assert registrar.time_zone == "America/Chicago"
    day = (utcnow() - timedelta(days=5)).replace(hour=0, minute=0, second=0, microsecond=0)
    for hours in (5, 7, 23, 29, 31):  # midnight there is at 5 or 6 here
        came(str(hours), received_at=day.replace(tzinfo=UTC) + timedelta(hours=hours))
    named = f"{day:%Y-%m-%d}"
    found = [one["Text"] for one in read(pat, f"inbox.csv?from={named}&until={named}")]
    assert found in (["7", "23", "29"], ["5", "7", "23"])
    assert pat.http.get(f"{HOME}/inbox.csv?from=yesterday").status_code == 422


def test_what_went_out_and_what_became_of_a_batch(pat: Staff, batch: Batch) -> None:
    assert [one["State"] for one in read(pat, "sent.csv")] == [
        "Delivered", "Not sent: opted out", "Delivered",
    ]  # fmt: skip
    assert {one["Text"] for one in read(pat, "sent.csv")} == {"'=1+1"}
    names = [one["Name"] for one in read(pat, f"batches/{batch.id}.csv")]
    assert names == ["Ann 0", "Ann 1", "Ann 2"]
    (one,) = read(pat, f"batches/{batch.id}.csv?status=suppressed")
    assert (one["Name"], one["Opened"]) == ("Ann 1", "0")
    answer = pat.http.get(f"{HOME}/batches/{batch.id}.csv")
    assert 'filename="Open-house.csv"' in answer.headers["Content-Disposition"]
    page = pat.http.get(f"{HOME}/batches/{batch.id}").text
    assert 'aria-label="Download for Excel"' in page


@pytest.mark.parametrize("path", ["inbox", "sent", "batches/{batch.id}", "usage"])
def test_each_is_there_for_excel_with_the_same_content(
    path: str, pat: Staff, came: Callable[..., Incoming], batch: Batch, rows: Rows
) -> None:
    came("When is the library open?")
    rows.add(Usage(client_id=batch.client_id, month="2026-10", segments_out=7, price=1.25))
    answer = pat.http.get(f"{HOME}/{path.format(batch=batch)}.xlsx")
    assert answer.mimetype.endswith("spreadsheetml.sheet")
    assert answer.headers["Content-Disposition"].endswith('.xlsx"')
    sheet = openpyxl.load_workbook(io.BytesIO(answer.data)).worksheets[0]
    found = [[str("" if cell is None else cell) for cell in row] for row in sheet.values]
    text = pat.http.get(f"{HOME}/{path.format(batch=batch)}.csv").text
    assert len(found) > 1
    same = csv.reader(io.StringIO(text))
    assert found == [[cell.removeprefix("'") for cell in row] for row in same]


def test_usage_by_month(pat: Staff, rows: Rows, registrar: Client) -> None:
    for month in ("2026-10", "2026-09"):
        rows.add(Usage(client_id=registrar.id, month=month, segments_out=7, price=1.25))
    found = read(pat, "usage.csv")
    assert [(one["Month"], one["Segments out"], one["Cost"]) for one in found][:2] == [
        ("2026-09", "7", "1.25"), ("2026-10", "7", "1.25"),
    ]  # fmt: skip


def test_however_long_a_list_is_it_is_read_in_parts(
    app: Flask, pat: Staff, came: Callable[..., Incoming], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is missed or doubled where one part ends, also of those of the same moment."""
    monkeypatch.setattr(downloads, "TOGETHER", 4)
    at = utcnow()
    for n in range(13):
        came(f"{n:02}", received_at=at - timedelta(seconds=20 - n // 5))
    found = [one["Text"] for one in read(pat, "inbox.csv")]
    assert sorted(found) == [f"{n:02}" for n in range(13)]
    answer = pat.http.get(f"{HOME}/inbox.csv", buffered=False)
    assert answer.is_streamed
