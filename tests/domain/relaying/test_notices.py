from __future__ import annotations

import json

from flask import Flask
from sqlalchemy import select

from app.domain.relaying import notices
from app.extensions import unit_of_work
from app.models.delivery import Delivery, EventType
from app.models.endpoint import Endpoint, EndpointKind
from tests.support.rows import Rows


def notify(app: Flask, to: object, key: str | None = None) -> None:
    with app.app_context(), unit_of_work() as session:
        notices.notify(session, to, "80 % used", "Dear owner,\n…", dedupe_key=key)  # type: ignore[arg-type]


def test_a_notice_is_one_delivery_per_address(app: Flask, rows: Rows) -> None:
    notify(app, ["owner@example.edu", "support@example.edu", "Owner@Example.edu "])
    assert sorted(rows.all(select(Endpoint.url))) == ["owner@example.edu", "support@example.edu"]
    assert set(rows.all(select(Endpoint.kind))) == {EndpointKind.EMAIL}
    for delivery in rows.all(Delivery):
        assert delivery.type is EventType.NOTICE
        assert delivery.client_id is None, "clients do not see the mails of the house"
        data = json.loads(delivery.body)["data"]
        assert (data["subject"], data["text"]) == ("80 % used", "Dear owner,\n…")


def test_one_happening_makes_one_mail(app: Flask, rows: Rows) -> None:
    for month in ("2026-11", "2026-11", "2026-12"):
        notify(app, "owner@example.edu", f"usage:{month}:80")
    assert rows.count(Delivery) == 2
    assert rows.count(Endpoint) == 1
