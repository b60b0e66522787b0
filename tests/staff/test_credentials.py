"""Twilio accounts in the form: Twilio is asked before anything is kept of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.domain.sending.confirmation import REFUSED
from app.models.credential import Credential
from tests.staff.conftest import Staff
from tests.support.fake_twilio import FakeTwilio
from tests.support.rows import Rows

AC = "AC" + "5" * 32
NEW = "/staff/clients/registrar/credentials/new"
TYPED = {"name": "main", "account_sid": AC, "auth_token": "right", "calls_per_second": "1"}


@pytest.fixture
def fake(twilio_port: int) -> Iterator[FakeTwilio]:
    with FakeTwilio(port=twilio_port) as twilio:
        twilio.tokens = {AC: ("right", "next")}
        yield twilio


@pytest.fixture
def environ(environ: dict[str, str], fake: FakeTwilio) -> dict[str, str]:
    return {**environ, "TWILIO_API_BASE_URL": fake.url}


def test_what_twilio_takes_is_saved(pat: Staff, rows: Rows) -> None:
    pat.send(NEW, **TYPED)
    assert rows.one(Credential).confirmation == "confirmed"
    assert "In use" in pat.http.get("/staff/clients/registrar/credentials").text


@pytest.mark.parametrize("field", ["auth_token", "next_auth_token"])
def test_what_twilio_refuses_is_not(field: str, pat: Staff, rows: Rows) -> None:
    answer = pat.send(NEW, **{**TYPED, field: "wrong"})
    assert answer.status_code == 422
    assert REFUSED.replace("'", "&#39;") in answer.text
    assert "wrong" not in answer.text
    assert rows.count(Credential) == 0


def test_what_twilio_cannot_be_asked_about_is_unconfirmed(
    pat: Staff, rows: Rows, fake: FakeTwilio
) -> None:
    fake.account_status = 404
    pat.send(NEW, **TYPED)
    found = rows.one(Credential)
    assert found.confirmation == "unconfirmed"
    page = f"/staff/clients/registrar/credentials/{found.id}"
    for path in (page, "/staff/clients/registrar/credentials", "/staff/clients/registrar/"):
        assert "nconfirmed" in pat.http.get(path).text
    fake.account_status = None
    pat.send(page, name="main", calls_per_second="2")
    assert rows.one(Credential).confirmation == "confirmed"


def test_a_new_name_needs_no_word_of_twilios(pat: Staff, rows: Rows, fake: FakeTwilio) -> None:
    pat.send(NEW, **TYPED)
    fake.account_status = 503
    page = f"/staff/clients/registrar/credentials/{rows.one(Credential).id}"
    pat.send(page, name="first", calls_per_second="1")
    found = rows.one(Credential)
    assert (found.name, found.confirmation) == ("first", "confirmed")
    pat.send(page, name="first", calls_per_second="1", auth_token="another")
    assert rows.one(Credential).confirmation == "unconfirmed"


@pytest.mark.parametrize("rate", ["0", "0.009", "1e-300", "1000.1", "nan", "inf", "many", "-1"])
def test_a_rate_has_its_bounds(rate: str, pat: Staff, rows: Rows) -> None:
    answer = pat.send(NEW, **{**TYPED, "calls_per_second": rate})
    assert answer.status_code == 422
    assert "“calls_per_second” must be" in answer.text
    assert rows.count(Credential) == 0
