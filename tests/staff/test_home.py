"""The first page says what needs attention, in words."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from app.models.base import utcnow
from app.models.client import Client
from app.models.endpoint import DisabledReason, Endpoint, EndpointKind, EndpointState
from app.models.house import Usage
from app.models.incoming import Incoming, Outcome
from app.models.installation import Hold, Installation
from app.models.route import Destination
from app.models.sender import Sender
from tests.staff.conftest import Staff
from tests.support.rows import Rows


def page(staff: Staff) -> str:
    return str(staff.http.get("/staff/clients/registrar/").get_data(as_text=True))


def test_a_quiet_day_has_no_concerns(pat: Staff, number: Sender) -> None:
    shown = page(pat)
    assert "Needs attention" not in shown
    assert "(319) 555-0100" in shown
    assert "nothing is set up" in shown


@pytest.mark.parametrize("path", ["clients/registrar/", "clients/registrar/inbox", "account"])
def test_each_page_says_that_a_restored_database_sends_nothing(
    path: str, pat: Staff, rows: Rows
) -> None:
    said = "No text and no call goes out just now."
    assert said not in pat.http.get(f"/staff/{path}").get_data(as_text=True)
    rows.add(Installation(held_at=utcnow(), held_because=Hold.WENT_BACK))
    assert said in pat.http.get(f"/staff/{path}").get_data(as_text=True)
    assert said not in pat.http.get("/staff/static/staff.css").get_data(as_text=True)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"twilio_enabled": False}, "Twilio is not enabled"),
        ({"halted_at": utcnow()}, "stopped all sending"),
        ({"trial": True}, "on trial"),
    ],
    ids=["not enabled", "halted", "trial"],
)
def test_the_clients_own_standing_is_said(
    pat: Staff, rows: Rows, values: dict[str, object], said: str
) -> None:
    rows.change(update(Client).values(values))
    assert said in page(pat)


def test_stopped_senders_and_dead_endpoints_are_named(
    pat: Staff, number: Sender, rows: Rows, registrar: Client
) -> None:
    rows.change(
        update(Sender).values(stopped_at=utcnow(), stopped_reason="Not registered (30034).")
    )
    rows.add(
        Endpoint(
            client_id=registrar.id, kind=EndpointKind.WEBHOOK, name="sis", url="https://x.edu/",
            state=EndpointState.DISABLED, disabled_reason=DisabledReason.GONE,
        )
    )  # fmt: skip
    shown = page(pat)
    assert "Not registered (30034)." in shown
    assert "“sis” is switched off" in shown


def test_usage_near_its_threshold_is_said(pat: Staff, rows: Rows, registrar: Client) -> None:
    rows.change(update(Client).values(alert_segments=1000))
    usage = Usage(client_id=registrar.id, month=f"{utcnow():%Y-%m}", segments_out=850)
    rows.add(usage)
    assert "850 segments used this month, 85 %" in page(pat)


def test_today_is_the_clients_day(pat: Staff, number: Sender, rows: Rows) -> None:
    for index, age in enumerate((timedelta(0), timedelta(days=2))):
        rows.add(
            Incoming(
                client_id=number.client_id, destination=Destination.SMS, sender_id=number.id,
                sid=f"SM{index:032x}", from_="+13195550142", to=number.address, body="hello",
                outcome=Outcome.NO_ROUTE, flagged=True, received_at=utcnow() - age,
            )
        )  # fmt: skip
    shown = page(pat)
    assert '<dd class="figure">1</dd><dt>text in</dt>' in shown
    assert "2 texts need somebody to read" in shown
