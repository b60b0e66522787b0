"""Messaging services of the v1 API and their sender pools."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask, Response, request

from ..clock import iso8601, utcnow
from ..core import Sandbox
from ..errors import RestError
from ..records import Account, Number, Service
from .base import flag, integer, page_v1, reply, signed_in

BASE = "/v1/Services"
MAX_POOL = 400
_URLS = {
    "InboundRequestUrl": "inbound_request_url",
    "FallbackUrl": "fallback_url",
    "StatusCallback": "status_callback",
}
_TEXTS = {
    "FriendlyName": "friendly_name",
    "InboundMethod": "inbound_method",
    "FallbackMethod": "fallback_method",
    "Usecase": "usecase",
}
_FLAGS = {
    "StickySender": "sticky_sender",
    "SmartEncoding": "smart_encoding",
    "MmsConverter": "mms_converter",
    "AreaCodeGeomatch": "area_code_geomatch",
    "UseInboundWebhookOnNumber": "use_inbound_webhook_on_number",
}


def shown(service: Service) -> dict[str, Any]:
    """A service as Twilio's JSON."""
    url = f"https://messaging.twilio.com/v1/Services/{service.sid}"
    return {
        "sid": service.sid,
        "account_sid": service.account_sid,
        "friendly_name": service.friendly_name,
        "date_created": iso8601(service.date_created),
        "date_updated": iso8601(service.date_updated),
        "inbound_request_url": service.inbound_request_url,
        "inbound_method": service.inbound_method,
        "fallback_url": service.fallback_url,
        "fallback_method": service.fallback_method,
        "status_callback": service.status_callback,
        "sticky_sender": service.sticky_sender,
        "smart_encoding": service.smart_encoding,
        "mms_converter": service.mms_converter,
        "fallback_to_long_code": True,
        "scan_message_content": "inherit",
        "area_code_geomatch": service.area_code_geomatch,
        "validity_period": service.validity_period,
        "synchronous_validation": False,
        "usecase": service.usecase,
        "us_app_to_person_registered": True,
        "use_inbound_webhook_on_number": service.use_inbound_webhook_on_number,
        "links": {"phone_numbers": f"{url}/PhoneNumbers", "short_codes": f"{url}/ShortCodes"},
        "url": url,
    }


def shown_number(number: Number) -> dict[str, Any]:
    """A number in a sender pool as Twilio's JSON."""
    base = f"https://messaging.twilio.com/v1/Services/{number.service_sid}"
    return {
        "sid": number.sid,
        "account_sid": number.account_sid,
        "service_sid": number.service_sid,
        "date_created": iso8601(number.date_created),
        "date_updated": iso8601(number.date_updated),
        "phone_number": number.phone,
        "country_code": "US",
        "capabilities": ["SMS", "MMS", "Voice"],
        "url": f"{base}/PhoneNumbers/{number.sid}",
    }


def _apply(service: Service) -> None:
    for name, column in _URLS.items():
        value = request.form.get(name)
        if value is None:
            continue
        if value and not re.match(r"https?://[^/\s]+", value):
            raise RestError(21402, url=value)
        setattr(service, column, value or None)
    for name, column in _TEXTS.items():
        if name in request.form:
            setattr(service, column, request.form[name])
    for name, column in _FLAGS.items():
        setattr(service, column, flag(name, getattr(service, column)))
    service.validity_period = integer("ValidityPeriod", service.validity_period)
    service.date_updated = utcnow()


def register(app: Flask, box: Sandbox) -> None:
    """Create, fetch, list, update, delete; PhoneNumbers of a service."""

    def find(account: Account, sid: str) -> Service:
        service = box.store.services.get(sid)
        if service is None or service.account_sid != account.sid:
            raise RestError(20404, path=request.path)
        return service

    @app.post(BASE, endpoint="services.create")
    @signed_in(box)
    def create(account: Account) -> Response:
        if not request.form.get("FriendlyName"):
            raise RestError(20001)
        service = Service(account_sid=account.sid)
        _apply(service)
        box.store.services[service.sid] = service
        return reply(shown(service), 201)

    @app.get(BASE, endpoint="services.list")
    @signed_in(box)
    def listing(account: Account) -> Response:
        rows = [s for s in list(box.store.services.values()) if s.account_sid == account.sid]
        return page_v1("services", rows, lambda s: s.sid, shown)

    @app.get(f"{BASE}/<sid>", endpoint="services.fetch")
    @signed_in(box)
    def fetch(account: Account, sid: str) -> Response:
        return reply(shown(find(account, sid)))

    @app.post(f"{BASE}/<sid>", endpoint="services.update")
    @signed_in(box)
    def update(account: Account, sid: str) -> Response:
        service = find(account, sid)
        _apply(service)
        return reply(shown(service))

    @app.delete(f"{BASE}/<sid>", endpoint="services.delete")
    @signed_in(box)
    def delete(account: Account, sid: str) -> Response:
        service = find(account, sid)
        for number in box.store.numbers_of(service.sid):
            number.service_sid = None
        del box.store.services[sid]
        return Response(status=204)

    _register_pool(app, box)


def _register_pool(app: Flask, box: Sandbox) -> None:
    def pool(account: Account, sid: str) -> list[Number]:
        service = box.store.services.get(sid)
        if service is None or service.account_sid != account.sid:
            raise RestError(20404, path=request.path)
        return box.store.numbers_of(sid)

    def member(account: Account, sid: str, number_sid: str) -> Number:
        for number in pool(account, sid):
            if number.sid == number_sid:
                return number
        raise RestError(20404, path=request.path)

    @app.post(f"{BASE}/<sid>/PhoneNumbers", endpoint="pool.add")
    @signed_in(box)
    def add(account: Account, sid: str) -> Response:
        numbers = pool(account, sid)
        number = box.store.number_by_sid(request.form.get("PhoneNumberSid", ""))
        if number is None or number.account_sid != account.sid:
            raise RestError(20404, path=request.path)
        if number.service_sid == sid:
            raise RestError(21710, status=409)
        if number.service_sid:
            raise RestError(21712, status=409)
        if len(numbers) >= MAX_POOL:
            raise RestError(20001)
        number.service_sid = sid
        return reply(shown_number(number), 201)

    @app.get(f"{BASE}/<sid>/PhoneNumbers", endpoint="pool.list")
    @signed_in(box)
    def listing(account: Account, sid: str) -> Response:
        rows = [n for n in pool(account, sid) if n.kind != "short_code"]
        return page_v1("phone_numbers", rows, lambda n: n.sid, shown_number)

    @app.get(f"{BASE}/<sid>/PhoneNumbers/<number_sid>", endpoint="pool.fetch")
    @signed_in(box)
    def fetch(account: Account, sid: str, number_sid: str) -> Response:
        return reply(shown_number(member(account, sid, number_sid)))

    @app.delete(f"{BASE}/<sid>/PhoneNumbers/<number_sid>", endpoint="pool.remove")
    @signed_in(box)
    def remove(account: Account, sid: str, number_sid: str) -> Response:
        member(account, sid, number_sid).service_sid = None
        return Response(status=204)
