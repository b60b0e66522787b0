"""The demo account: numbers whose webhooks point at the application, and a few people."""

from __future__ import annotations

from .core import Sandbox
from .records import Account, CallerId, Number, Phone, Service
from .settings import Settings

RETRIES = "#rc=2&rp=5xx,ct,rt"
NUMBERS = {
    "+13195550100": "long_code",
    "+13195550101": "long_code",
    "+13195550102": "long_code",
    "+13195550103": "long_code",
    "+18885550104": "toll_free",
    "31955": "short_code",
}
OFFICE = "+13193350000"
PEOPLE = [
    Phone("+13195550110", "Ana Moreno"),
    Phone("+13195550111", "Ben Carter"),
    Phone("+13195550112", "Chi Nguyen", digits="1"),
    Phone("+13195550113", "Dee Walker, voice mail", answers="machine"),
    Phone("+13195550114", "Eli Stone, always busy", answers="busy"),
    Phone("+13195550115", "Fay Ito, never answers", answers="no-answer"),
    Phone("+13195550116", "Gus Hall, a fax", answers="fax"),
    Phone("+13195550117", "Hal Reed, phone is off", outcome="undelivered", error_code=30003),
    Phone("+13195550118", "Ida Lund, a landline", outcome="undelivered", error_code=30006),
]


def point_at(number: Number, app_url: str) -> Number:
    """Set a number's webhooks to the application's, with retries and fallbacks."""
    number.sms_url = f"{app_url}/inbound/sms{RETRIES}"
    number.voice_url = f"{app_url}/inbound/voice{RETRIES}"
    number.sms_fallback_url = f"{app_url}/inbound/sms"
    number.voice_fallback_url = f"{app_url}/inbound/voice"
    number.status_callback = f"{app_url}/inbound/voice/status{RETRIES}"
    return number


def plant(box: Sandbox, settings: Settings) -> None:
    """Put the demo account, its numbers, its service and the people into the memory."""
    store = box.store
    store.accounts[settings.account_sid] = Account(
        settings.account_sid,
        settings.auth_token,
        "Demo",
        api_keys={settings.api_key_sid: settings.api_key_secret},
    )
    store.accounts[settings.test_account_sid] = Account(
        settings.test_account_sid, settings.test_auth_token, "Test credentials", test=True
    )
    for phone, kind in NUMBERS.items():
        number = Number(phone=phone, account_sid=settings.account_sid, kind=kind)
        store.numbers[phone] = point_at(number, settings.app_url)
    service = Service(
        account_sid=settings.account_sid, sid=settings.service_sid, friendly_name="Outreach"
    )
    service.inbound_request_url = f"{settings.app_url}/inbound/sms{RETRIES}"
    service.fallback_url = f"{settings.app_url}/inbound/sms"
    store.services[service.sid] = service
    for phone in ("+13195550102", "+13195550103"):
        store.numbers[phone].service_sid = service.sid
    office = CallerId(OFFICE, settings.account_sid, "Office of the Registrar")
    store.caller_ids[office.sid] = office
    for person in PEOPLE:
        store.phones[person.phone] = Phone(**vars(person))
