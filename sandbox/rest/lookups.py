"""What Twilio tells of phones and prices: Lookup v2 and Pricing v1, for the US."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask, Response, request

from ..core import Sandbox
from ..errors import RestError
from ..outbox import PRICE_PER_MMS, PRICE_PER_SEGMENT
from ..records import Account
from .base import reply, signed_in
from .numbers import kind_of, pretty

_PHONE = re.compile(r"\+[1-9]\d{7,14}")
_FIELDS = (
    "caller_name", "sim_swap", "call_forwarding", "line_status", "identity_match",
    "reassigned_number", "sms_pumping_risk", "phone_number_quality_score", "pre_fill",
)  # fmt: skip
LANDLINE = 30006
"""The error of a text to a landline: a phone that is planned to answer so is one."""


def register(app: Flask, box: Sandbox) -> None:
    """A phone's line type; prices of texts, calls and numbers."""

    @app.get("/v2/PhoneNumbers/<phone>", endpoint="Lookups.fetch")
    @signed_in(box)
    def lookup(account: Account, phone: str) -> Response:  # noqa: ARG001 anybody signed in
        number = re.sub(r"[\s().-]", "", phone)
        if re.fullmatch(r"[2-9]\d{9}", number):
            number = f"+1{number}"
        asked = request.args.get("Fields", "").split(",")
        return reply(_looked_up(box, number, "line_type_intelligence" in asked))

    @app.get("/v1/<kind>/Countries/<country>", endpoint="Pricing.fetch")
    @signed_in(box)
    def pricing(account: Account, kind: str, country: str) -> Response:  # noqa: ARG001
        if country.upper() != "US" or kind not in _PRICES:
            raise RestError(20404, path=request.path)
        head = {"country": "United States", "iso_country": "US", "price_unit": "USD"}
        url = f"https://pricing.twilio.com{request.path}"
        return reply({**head, **_PRICES[kind], "url": url})


def _looked_up(box: Sandbox, phone: str, with_type: bool) -> dict[str, Any]:
    valid = _PHONE.fullmatch(phone) is not None
    domestic = phone.startswith("+1")
    return {
        "phone_number": phone,
        "calling_country_code": "1" if valid and domestic else None,
        "country_code": "US" if valid and domestic else None,
        "national_format": pretty(phone) if valid else None,
        "valid": valid,
        "validation_errors": [] if valid else ["INVALID_BUT_POSSIBLE"],
        "line_type_intelligence": _line(box, phone) if valid and with_type else None,
        **dict.fromkeys(_FIELDS),
        "url": f"https://lookups.twilio.com/v2/PhoneNumbers/{phone}",
    }


def _line(box: Sandbox, phone: str) -> dict[str, Any]:
    plan = box.store.phones.get(phone)
    landline = plan is not None and plan.error_code == LANDLINE
    kind = "tollFree" if kind_of(phone) == "toll_free" else "landline" if landline else "mobile"
    return {
        "type": kind,
        "carrier_name": "Sandbox Wireless" if kind == "mobile" else "Sandbox Bell",
        "mobile_country_code": "310" if kind == "mobile" else None,
        "mobile_network_code": "999" if kind == "mobile" else None,
        "error_code": None,
    }


def _each(price: float, kind: str) -> dict[str, str]:
    return {"base_price": f"{price:.4f}", "current_price": f"{price:.4f}", "number_type": kind}


_PRICES: dict[str, dict[str, Any]] = {
    "Messaging": {
        "outbound_sms_prices": [
            {
                "carrier": "All carriers",
                "mcc": "310",
                "mnc": "999",
                "prices": [
                    _each(PRICE_PER_SEGMENT, "local"), _each(PRICE_PER_SEGMENT, "toll-free"),
                ],
            }
        ],
        "inbound_sms_prices": [
            _each(PRICE_PER_SEGMENT, "local"), _each(PRICE_PER_SEGMENT, "toll-free"),
        ],
        "outbound_mms_prices": [_each(PRICE_PER_MMS, "local")],
    },
    "Voice": {
        "outbound_prefix_prices": [
            {
                "friendly_name": "Outbound Minute - United States",
                "prefixes": ["1"],
                "base_price": "0.0140",
                "current_price": "0.0140",
            }
        ],
        "inbound_call_prices": [_each(0.0085, "local"), _each(0.022, "toll free")],
    },
    "PhoneNumbers": {
        "phone_number_prices": [_each(1.15, "local"), _each(2.15, "toll free")],
    },
}  # fmt: skip
