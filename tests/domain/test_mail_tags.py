"""Addresses that say what a mail to them is about, and that nobody can make up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from app.domain import mail_tags
from app.domain.mail_tags import About, Tag
from app.models.base import new_id

pytestmark = pytest.mark.database("sqlite")


@pytest.fixture
def current(app: Flask) -> Any:
    """The application's own, which the caller may change: it is made anew for each test."""
    return app.extensions["settings"]


@pytest.fixture(autouse=True)
def inside(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


@pytest.mark.parametrize("about", About)
def test_an_address_is_read_as_it_was_written(about: About) -> None:
    one = new_id()
    written = mail_tags.address(about, one)
    assert mail_tags.read(written) == Tag(about, one)
    # Mail servers may write it in small letters or in capitals (RFC 5321 leaves it to them).
    assert mail_tags.read(written.lower()) == Tag(about, one)
    assert mail_tags.read(written.upper()) == Tag(about, one)


def test_it_fits_into_what_mail_servers_take(current: Any) -> None:
    local = mail_tags.address(About.REPLY, new_id()).rpartition("@")[0]
    longest = 23 - len(current.mail_from.rpartition("@")[0])
    assert len(local) + longest == 64  # RFC 5321, 4.5.3.1.1


def test_what_somebody_made_up_says_nothing() -> None:
    one, other = new_id(), new_id()
    written = mail_tags.address(About.BOUNCE, one)
    wrong = [
        written.replace("+b", "+r"),
        written.replace(one.lower(), other.lower()),
        written.replace("+b", "+"),
        written.rpartition("@")[0],
        "dispatch@example.edu", "@", "", "+b@", f"{written[:-20]}@example.edu",
        f"dispatch+b{'z' * 26}{'a' * 13}@example.edu",
    ]  # fmt: skip
    for address in wrong[:3] + wrong[4:]:
        assert mail_tags.read(address) is None, address


def test_a_key_that_was_replaced_is_still_known(current: Any) -> None:
    written = mail_tags.address(About.REPLY, new_id())
    old = current.secret_key
    try:
        object.__setattr__(current, "secret_key", "another secret of many characters")
        assert mail_tags.read(written) is None
        object.__setattr__(current, "secret_key_fallbacks", (old,))
        assert mail_tags.read(written) is not None
    finally:
        object.__setattr__(current, "secret_key", old)
        object.__setattr__(current, "secret_key_fallbacks", ())


def test_answers_end_and_bounces_do_not() -> None:
    made = datetime(2026, 11, 1, 12, tzinfo=UTC)
    with time_machine.travel(made, tick=False):
        one = new_id()
    for days, over in ((29, False), (31, True)):
        with time_machine.travel(made + timedelta(days=days), tick=False):
            assert Tag(About.REPLY, one).is_over is over
            assert not Tag(About.BOUNCE, one).is_over
