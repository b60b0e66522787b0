"""Numbers: what can be bought and what is rented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from flask import Flask, Response, request

from ..clock import rfc2822, utcnow
from ..core import API_VERSION, Sandbox
from ..errors import RestError
from ..records import Account, Number
from .base import reply, signed_in
from .resource import ACCOUNT, Resource, add

_FIELDS = {
    "FriendlyName": "friendly_name",
    "SmsUrl": "sms_url",
    "SmsMethod": "sms_method",
    "SmsFallbackUrl": "sms_fallback_url",
    "SmsFallbackMethod": "sms_fallback_method",
    "VoiceUrl": "voice_url",
    "VoiceMethod": "voice_method",
    "VoiceFallbackUrl": "voice_fallback_url",
    "VoiceFallbackMethod": "voice_fallback_method",
    "StatusCallback": "status_callback",
    "StatusCallbackMethod": "status_callback_method",
    "SmsApplicationSid": "sms_application_sid",
    "VoiceApplicationSid": "voice_application_sid",
}
_TOLL_FREE = ("800", "833", "844", "855", "866", "877", "888")
_LOCALITY = {
    "319": ("Iowa City", "IA", "52240"),
    "515": ("Des Moines", "IA", "50309"),
    "563": ("Davenport", "IA", "52801"),
}
_MAGIC_BUY = {"+15005550000": 21422, "+15005550001": 21421}


def pretty(phone: str) -> str:
    """`(319) 555-0100`, Twilio's default friendly name of a US number."""
    if phone.startswith("+1") and len(phone) == 12:
        return f"({phone[2:5]}) {phone[5:8]}-{phone[8:]}"
    return phone


def kind_of(phone: str) -> str:
    """long_code, toll_free or short_code, from the digits."""
    if not phone.startswith("+"):
        return "short_code"
    return "toll_free" if phone[2:5] in _TOLL_FREE and phone[1] == "1" else "long_code"


def shown(number: Number) -> dict[str, Any]:
    """A rented number as Twilio's JSON."""
    data = {column: getattr(number, column) for column in _FIELDS.values()}
    return data | {
        "sid": number.sid,
        "account_sid": number.account_sid,
        "friendly_name": number.friendly_name or pretty(number.phone),
        "phone_number": number.phone,
        "api_version": API_VERSION,
        "voice_caller_id_lookup": False,
        "voice_receive_mode": "voice",
        "date_created": rfc2822(number.date_created),
        "date_updated": rfc2822(number.date_updated),
        "capabilities": {"voice": True, "sms": True, "mms": True, "fax": False},
        "address_requirements": "none",
        "address_sid": None,
        "bundle_sid": None,
        "identity_sid": None,
        "beta": False,
        "origin": "twilio",
        "trunk_sid": None,
        "status": "in-use",
        "emergency_status": "Inactive",
        "emergency_address_sid": None,
        "emergency_address_status": "unregistered",
        "type": "toll-free" if number.kind == "toll_free" else "local",
        "uri": f"/{API_VERSION}/Accounts/{number.account_sid}/IncomingPhoneNumbers/"
        f"{number.sid}.json",
        "subresource_uris": {},
    }


def apply_fields(number: Number) -> None:
    """Take the webhook settings of a form; raises RestError, and takes none, for what is no URL
    (21402) and for a fallback without the address that it is for (21405, 21406)."""
    given: dict[str, str] = {}
    for name, column in _FIELDS.items():
        if name not in request.form:
            continue
        value = request.form[name]
        address = name.endswith(("Url", "StatusCallback")) and value
        if address and not re.match(r"https?://[^/\s]+", value):
            raise RestError(21402, url=value)
        given[column] = value
    will_be = {column: getattr(number, column) for column in _FIELDS.values()} | given
    for fallback, url, code in (
        ("voice_fallback_url", "voice_url", 21405),
        ("sms_fallback_url", "sms_url", 21406),
    ):
        if will_be[fallback] and not will_be[url]:
            raise RestError(code)
    for column, value in given.items():
        setattr(number, column, value)
    number.date_updated = utcnow()


def register(app: Flask, box: Sandbox) -> None:
    """Search, buy, list, fetch, update, release."""

    @app.get(f"{ACCOUNT}/AvailablePhoneNumbers/<country>/<kind>.json", endpoint="numbers.search")
    @signed_in(box)
    def search(account: Account, country: str, kind: str) -> Response:
        if country != "US" or kind not in ("Local", "TollFree", "Mobile"):
            raise RestError(20404, path=request.path)
        if account.test:
            raise RestError(20008)
        rows = [_offer(phone) for phone in _offers(box, kind)]
        return reply({"available_phone_numbers": rows, "uri": request.path})

    @app.post(f"{ACCOUNT}/IncomingPhoneNumbers.json", endpoint="numbers.buy")
    @app.post(f"{ACCOUNT}/IncomingPhoneNumbers/Local.json", endpoint="numbers.buy_local")
    @app.post(f"{ACCOUNT}/IncomingPhoneNumbers/TollFree.json", endpoint="numbers.buy_toll_free")
    @signed_in(box, test_allowed=True)
    def buy(account: Account) -> Response:
        phone = _wanted(box, account)
        number = Number(phone=phone, account_sid=account.sid, kind=kind_of(phone))
        number.friendly_name = pretty(phone)
        apply_fields(number)
        if not account.test:
            box.store.numbers[phone] = number
            box.store.touch()
        return reply(shown(number), 201)

    add(app, box, _rented(box))


def _rented(box: Sandbox) -> Resource[Number]:
    def get(sid: str) -> Number | None:
        number = box.store.number_by_sid(sid)
        return number if number is not None and number.kind != "short_code" else None

    def change(number: Number) -> None:
        apply_fields(number)
        box.store.touch()

    def release(number: Number) -> None:
        del box.store.numbers[number.phone]
        box.store.touch()

    return Resource(
        "IncomingPhoneNumbers", "incoming_phone_numbers", get, partial(_owned, box), shown,
        change, release,
    )  # fmt: skip


def _owned(box: Sandbox, account: Account) -> Iterator[Number]:
    phone, name = request.args.get("PhoneNumber", ""), request.args.get("FriendlyName")
    pattern = re.escape(phone).replace(r"\*", ".")
    for number in sorted(box.store.numbers.values(), key=lambda n: n.date_created):
        if number.account_sid != account.sid or number.kind == "short_code":
            continue
        if phone and not re.search(pattern, number.phone):
            continue
        if name is None or (number.friendly_name or pretty(number.phone)) == name:
            yield number


def _offers(box: Sandbox, kind: str) -> Iterator[str]:
    """Numbers on sale: the 2xx exchanges of the area code that nobody has bought yet."""
    area = request.args.get("AreaCode", "")
    if kind == "TollFree":
        areas = [area] if area else ["833", "844", "855"]
    else:
        areas = [area] if area else ["319", "515", "563"]
    areas = [code for code in areas if _lies_in(code)]
    pattern = _contains(request.args.get("Contains", ""))
    text = request.args.get("PageSize", "30")
    left = min(50, int(text)) if text.isdigit() else 30
    for code in areas:
        if not re.fullmatch(r"[2-9]\d\d", code) or code == "533":
            continue
        for line in range(100):
            phone = f"+1{code}2{line // 10:02d}{(line * 37 + 1000) % 10000:04d}"
            if phone in box.store.numbers or not re.search(pattern, phone):
                continue
            if left <= 0:
                return
            left -= 1
            yield phone


def _lies_in(area: str) -> bool:
    """Whether the area code's place is the one asked for by InLocality and InRegion."""
    locality, region, _ = _LOCALITY.get(area, ("", "", ""))
    asked = request.args.get("InLocality", ""), request.args.get("InRegion", "")
    return all(
        not want or want.lower() == have.lower()
        for want, have in zip(asked, (locality, region), strict=True)
    )


def _contains(text: str) -> str:
    return re.escape(text).replace(r"\*", r"\d").replace("%", r"\d").replace(r"\$", "$")


def _offer(phone: str) -> dict[str, Any]:
    locality, region, postal = _LOCALITY.get(phone[2:5], ("", "", ""))
    return {
        "friendly_name": pretty(phone),
        "phone_number": phone,
        "lata": "635",
        "rate_center": locality.upper().replace(" ", "")[:8] or None,
        "locality": locality or None,
        "region": region or None,
        "postal_code": postal or None,
        "latitude": "41.661100",
        "longitude": "-91.530200",
        "iso_country": "US",
        "address_requirements": "none",
        "beta": False,
        "capabilities": {"voice": True, "SMS": True, "MMS": True},
    }


def _wanted(box: Sandbox, account: Account) -> str:
    phone, area = request.form.get("PhoneNumber", ""), request.form.get("AreaCode", "")
    if account.test:
        if phone == "+15005550006" or area == "500":
            return "+15005550006"
        raise RestError(_MAGIC_BUY.get(phone, 21421) if phone else 21452, to=phone)
    if phone:
        if not re.fullmatch(r"\+1[2-9]\d{9}", phone):
            raise RestError(21421, to=phone)
        if phone in box.store.numbers:
            raise RestError(21422, to=phone)
        return phone
    if not re.fullmatch(r"[2-9]\d\d", area):
        raise RestError(21451)
    for line in range(100, 10000):
        phone = f"+1{area}200{line:04d}"
        if phone not in box.store.numbers and area != "533":
            return phone
    raise RestError(21452)
