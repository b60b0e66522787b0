"""What the load is made of: who sends, who texts in, who is told."""

from __future__ import annotations

ACCOUNT = "AC" + "0123456789abcdef" * 2
TOKEN = "12345678901234567890123456789012"
CLIENTS = 10
LONG_CODES = 10
"""Of each client, at one segment a second."""
SHORT_CODE = "55501"
KEY = "bench-key-of-client-number-{}-0123456789abcdef"


def long_codes(client: int) -> list[str]:
    """Return the long codes of one client."""
    return [f"+1319555{client}{number:03}" for number in range(LONG_CODES)]


def rates(share: float) -> dict[str, float]:
    """Return each sender's rate in segments a second, at this share of 200 in all."""
    found = {number: share for client in range(CLIENTS) for number in long_codes(client)}
    return {**found, SHORT_CODE: 100.0 * share}


def settings(endpoints: int, share: float) -> dict[str, object]:
    """Return the configuration file of the house, with endpoints at this port."""
    return {"clients": [_client(number, endpoints, share) for number in range(CLIENTS)]}


def _client(number: int, endpoints: int, share: float) -> dict[str, object]:
    answering = {"handler": "auto_reply", "template": "away"}
    senders: list[dict[str, object]] = [
        {"number": one, "credential": "main", "rate": share, "sms": answering}
        for one in long_codes(number)
    ]
    if number == 0:
        senders.append(
            {"number": SHORT_CODE, "credential": "main", "sender_type": "short_code",
             "rate": 100.0 * share}
        )  # fmt: skip
    kinds = ("segments_per_hour", "segments_per_day", "call_minutes_per_hour",
             "call_minutes_per_day", "messages_per_phone_per_hour")  # fmt: skip
    return {
        "name": f"client-{number}",
        "owner_email": f"owner-{number}@example.edu",
        "twilio_enabled": True,
        "limits": dict.fromkeys(kinds),
        "api_keys": [{"label": "bench", "key": KEY.format(number)}],
        "credentials": [{"name": "main", "account_sid": ACCOUNT, "auth_token": TOKEN}],
        "endpoints": [{"name": "hooks", "url": f"http://127.0.0.1:{endpoints}/hooks/{number}"}],
        "callbacks": {"message_status": {"endpoint": "hooks"}},
        "templates": [
            {"name": "away", "kind": "reply", "body": "This is an automated service."},
            {"name": "reminder", "kind": "sms", "body": "Hi {{ toName }}, class starts Monday."},
        ],
        "populations": [{"name": "nobody", "members": []}],
        "numbers": senders,
        "communications": [
            {"name": "reminder", "campaign": "spring", "type": "twilio", "destination": "sms",
             "template": "reminder", "population": "nobody", "from": long_codes(number)[0]}
        ],
    }  # fmt: skip
