"""What numbers and messaging services must be set to at Twilio, so that their routes work.

A text or call comes to us, first at the route's URL and, if that fails, at the same route again by
way of the fallback URL: our answer depends on the SID, not on how often we were asked. A route of
``handle_yourself`` points directly at the client's URL; ours is then the fallback.
"""

from __future__ import annotations

from app.models.route import Handler, Route

RETRIES = "#rc=2&rp=5xx,ct,rt"
"""Twilio's connection overrides: two retries, also when we answer 503 or not in time. By default
Twilio repeats failed connections only (Twilio, "Webhooks: connection overrides")."""
MAX_NAME = 64
"""Longest FriendlyName."""


def for_number(base_url: str, sms: Route | None, voice: Route | None) -> dict[str, str]:
    """Return the settings of a number, named as :class:`app.twilio.results.Number` names them.

    :param base_url: our public address.
    """
    texts, calls = f"{base_url}/inbound/sms", f"{base_url}/inbound/voice"
    return {
        "sms_url": _direct(sms) or texts + RETRIES,
        "sms_method": "POST",
        "sms_fallback_url": texts,
        "sms_fallback_method": "POST",
        "voice_url": _direct(voice) or calls + RETRIES,
        "voice_method": "POST",
        "voice_fallback_url": calls,
        "voice_fallback_method": "POST",
        "status_callback": f"{calls}/status{RETRIES}",
        "status_callback_method": "POST",
        # An application or a trunk would override the URLs.
        "sms_application_sid": "",
        "voice_application_sid": "",
        "trunk_sid": "",
    }


def for_service(base_url: str, sms: Route | None) -> dict[str, str | bool]:
    """Return the settings of a messaging service, named as in
    :class:`app.twilio.results.Service`.

    Its own inbound URL is what Twilio calls for texts to its numbers; where it has none, Twilio
    neither delivers nor logs them.
    """
    texts = f"{base_url}/inbound/sms"
    return {
        "inbound_request_url": _direct(sms) or texts + RETRIES,
        "inbound_method": "POST",
        "fallback_url": texts,
        "fallback_method": "POST",
        "use_inbound_webhook_on_number": False,
    }


def _direct(route: Route | None) -> str | None:
    """Return the client's own URL, where its TwiML is to answer."""
    return route.url if route is not None and route.handler is Handler.HANDLE_YOURSELF else None
