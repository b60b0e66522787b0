"""The account, its balance and usage, lookups and prices, as Twilio's library reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from twilio.base.exceptions import TwilioRestException

from app.twilio.client import TwilioClient
from tests.support.sandbox import DEMO, PERSON, Running, eventually

LANDLINE = "+13195550118"


def test_an_account_proves_that_its_token_is_right(running: Running) -> None:
    sid = running.box.settings.account_sid
    found = running.client().api.accounts(sid).fetch()
    assert (found.sid, found.status, found.type) == (sid, "active", "Full")
    with pytest.raises(TwilioRestException) as wrong:
        running.client(password="f" * 32).api.accounts(sid).fetch()
    assert (wrong.value.status, wrong.value.code) == (401, 20003)
    with pytest.raises(TwilioRestException) as foreign:
        running.client().api.accounts("AC" + "9" * 32).fetch()
    assert foreign.value.status == 404


def test_what_is_sent_costs_and_counts(running: Running) -> None:
    client = running.client()
    before = float(client.balance.fetch().balance)
    sent = client.messages.create(to=PERSON, from_=DEMO, body="a" * 161)
    eventually(lambda: client.messages(sent.sid).fetch().price)
    assert float(client.balance.fetch().balance) == pytest.approx(before - 2 * 0.0079, abs=0.006)
    [record] = client.usage.records.list(category="sms-outbound")
    assert (record.count, record.usage, record.usage_unit) == ("1", "2", "segments")
    categories = {one.category for one in client.usage.records.this_month.list()}
    assert {"sms", "mms", "calls", "phonenumbers", "totalprice"} <= categories
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    [nothing] = client.usage.records.list(category="sms", start_date=tomorrow, end_date=tomorrow)
    assert nothing.count == "0"


@pytest.mark.parametrize(
    ("phone", "valid", "kind"),
    [(PERSON, True, "mobile"), (LANDLINE, True, "landline"), ("+18885550104", True, "tollFree"),
     ("(319) 555-0110", True, "mobile"), ("12345", False, None)],
)  # fmt: skip
def test_a_phones_line_type_is_told(
    phone: str, valid: bool, kind: str | None, running: Running
) -> None:
    lookup = running.client().lookups.v2.phone_numbers(phone)
    found = lookup.fetch(fields="line_type_intelligence")
    assert found.valid is valid
    assert (found.line_type_intelligence or {}).get("type") == kind
    assert lookup.fetch().line_type_intelligence is None


def test_the_application_reads_it(running: Running) -> None:
    account = running.box.settings
    twilio = TwilioClient(
        account.account_sid, account.account_sid, account.auth_token, base_url=running.url
    )
    assert [twilio.line_type(one) for one in (PERSON, LANDLINE)] == ["mobile", "landline"]


def test_prices(running: Running) -> None:
    pricing = running.client().pricing
    assert pricing.v1.messaging.countries("US").fetch().price_unit == "USD"
    [local, *_] = pricing.v1.phone_numbers.countries("US").fetch().phone_number_prices
    assert local["number_type"] == "local"
    assert pricing.v1.voice.countries("US").fetch().inbound_call_prices
    with pytest.raises(TwilioRestException):
        pricing.v1.voice.countries("XX").fetch()
