"""Long lists come page by page: nothing is missed or shown twice, and no page looks at it all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.extensions import db
from app.models.audience import Member, Population
from app.models.base import utcnow
from app.models.incoming import Incoming
from app.staff import listing
from bench.staff import PAGES, sign_in
from bench.staff_rows import Ids, fill, prepare
from tests.support.departments import department
from tests.support.rows import Rows

STATEMENTS = {
    "home": 20, "inbox": 8, "inbox, older": 9, "inbox, search for a word": 10,
    "inbox, search for a phone": 8, "inbox, to read": 8, "inbox, opt-outs": 10, "search": 15,
    "conversation": 18, "conversations": 9, "conversation, its own page": 19,
    "conversation, news": 12, "batch, by reason": 18, "batch, progress": 12, "batch, news": 16,
    "deliveries, a phone": 13, "deliveries, part of a phone": 14,
    "canned replies": 6, "numbers": 7, "communications": 7, "communication": 14, "batch": 16,
    "batch, its failures": 16, "population": 11, "population, search": 12, "populations": 6,
    "suppression list": 15, "suppression list, search": 15, "suppression lists": 6,
    "deliveries": 10, "deliveries given up": 11, "endpoints": 9, "endpoint": 15, "recordings": 7,
    "history": 6, "history, search": 8,
}  # fmt: skip
"""How many statements each page costs at most, however much it is about."""


@pytest.fixture
def people(rows: Rows) -> Population:
    """Thirty people, every tenth of whom is called Ann."""
    found = department(rows, "registrar", "11").population
    rows.change(Member.__table__.delete())
    rows.add(
        *[
            Member(
                roll=found.id,
                attributes={"toName": "Ann" if n % 10 == 0 else "Bob", "n": n},
            )
            for n in range(30)
        ]
    )
    return found


def walk(app: Flask, found: Population, *, newest_first: bool, name: str | None) -> list[list[int]]:
    """Turn every page of a population, and return the numbers of the people on each."""
    wanted = [Member.attributes["toName"].as_string() == name] if name else []
    seen: list[list[int]] = []
    after: Any = None
    with app.app_context():
        while True:
            page = listing.page(
                db.session(), select(Member).where(Member.roll == found.id), (Member.id,),
                after, size=4, wanted=wanted, newest_first=newest_first,
            )  # fmt: skip
            seen.append([one.attributes["n"] for one in page.rows])
            if page.following is None:
                return seen
            assert page.unfinished == (len(page.rows) < 4)
            after = (page.following,)


@pytest.mark.parametrize("newest_first", [True, False], ids=["newest first", "oldest first"])
def test_everything_comes_once(app: Flask, people: Population, newest_first: bool) -> None:
    pages = walk(app, people, newest_first=newest_first, name=None)
    expected = sorted(range(30), reverse=newest_first)
    assert [n for page in pages for n in page] == expected
    assert {len(page) for page in pages[:-1]} == {4}


@pytest.mark.parametrize("look", [1, 7, 10, 29, 30, 31])
@pytest.mark.parametrize("newest_first", [True, False], ids=["newest first", "oldest first"])
def test_a_search_looks_at_a_part_and_goes_on_from_there(
    app: Flask, people: Population, monkeypatch: pytest.MonkeyPatch, newest_first: bool, look: int
) -> None:
    monkeypatch.setattr(listing, "LOOK", look)
    pages = walk(app, people, newest_first=newest_first, name="Ann")
    assert [n for page in pages for n in page] == sorted([0, 10, 20], reverse=newest_first)
    assert len(pages) <= 30 // look + 1


def test_what_came_at_the_same_moment_is_not_torn_apart(
    app: Flask, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOK", 3)
    ours = department(rows, "registrar", "11")
    now = utcnow()
    rows.add(
        *[
            Incoming(
                client_id=ours.client.id, sender_id=ours.number.id, destination="sms",
                sid=f"SM{n}", from_="+13195550150", to="+13195550111", body=str(n),
                outcome="replied", received_at=now - timedelta(seconds=n // 4),
            )
            for n in range(12)
        ]
    )  # fmt: skip
    seen: list[str] = []
    place: Any = None
    with app.app_context():
        while True:
            page = listing.page(
                db.session(), select(Incoming).where(Incoming.client_id == ours.client.id),
                (Incoming.received_at, Incoming.id), place, size=50,
                wanted=[Incoming.body != "5"],
            )  # fmt: skip
            seen += [str(one.body) for one in page.rows]
            if page.following is None:
                break
            last = db.session.get_one(Incoming, page.following)
            place = (last.received_at, last.id)
    assert sorted(seen, key=int) == [str(n) for n in range(12) if n != 5]


@pytest.fixture
def ids(app: Flask) -> Ids:
    return prepare(app)


def test_a_long_list_costs_as_many_statements_as_a_short_one(
    app: Flask, ids: Ids, statements: list[str]
) -> None:
    browser = sign_in(app)
    found = []
    for rows in (range(30), range(30, 130)):
        fill(app, ids, rows)
        found.append(count(app, browser, ids, statements))
    short, long = found
    assert short == long
    assert {name: n for name, n in long.items() if n > STATEMENTS[name]} == {}


def count(app: Flask, browser: FlaskClient, ids: Ids, statements: list[str]) -> dict[str, int]:
    with app.app_context():
        older = db.session.scalar(select(Incoming.id).order_by(Incoming.received_at).limit(1))
    found = {}
    for name in STATEMENTS:
        path = PAGES[name].format(**vars(ids), incoming=older)
        statements.clear()
        answer = browser.get(
            f"/staff/clients/registrar{path}", base_url="https://dispatch.example.edu"
        )
        assert answer.status_code == 200, path
        found[name] = len([one for one in statements if one != "BEGIN"])
    return found


def test_a_search_that_ended_early_says_so(
    app: Flask, ids: Ids, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(app, ids, range(30))
    monkeypatch.setattr(listing, "LOOK", 10)
    browser = sign_in(app)

    def shown(path: str) -> str:
        return str(
            browser.get(
                f"/staff/clients/registrar{path}", base_url="https://dispatch.example.edu"
            ).text
        )

    page = shown("/inbox?q=Question+3+")
    assert "Nothing among the latest" in page
    assert "Look further back" in page
    population = shown(f"/populations/{ids.population}?q=Person+29")
    assert "Look further" in population
