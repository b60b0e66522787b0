"""What a new release has changed in a client's settings is told to its owner, once."""

from __future__ import annotations

import json

from flask import Flask

from app.maintenance import news
from app.models.base import utcnow
from app.models.delivery import Delivery
from app.models.house import Bookmark
from tests.support.house import furnish
from tests.support.rows import Rows


def test_an_owner_is_told_which_hosts_were_listed(app: Flask, rows: Rows) -> None:
    house = furnish(rows, twiml_hosts=["ivr.example.edu"], sip_domains=["pbx.example.edu"])
    furnish(rows, address="+13195550199", twiml_hosts=["chosen.example.edu"])
    rows.add(Bookmark(name=news.HOSTS_ADDED + house.client.id, at=utcnow()))
    with app.app_context():
        news.tick()
        news.tick()
    mail = json.loads(rows.one(Delivery).body)["data"]
    assert house.client.name in mail["subject"]
    assert "ivr.example.edu" in mail["text"]
    assert "pbx.example.edu" in mail["text"]
    assert rows.count(Bookmark) == 0


def test_of_a_client_that_is_gone_nobody_is_told(app: Flask, rows: Rows) -> None:
    rows.add(Bookmark(name=f"{news.HOSTS_ADDED}gone", at=utcnow()))
    with app.app_context():
        news.tick()
    assert (rows.count(Delivery), rows.count(Bookmark)) == (0, 0)
