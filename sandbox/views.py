"""What the page shows, as JSON."""

from __future__ import annotations

from typing import Any

from .clock import iso8601
from .core import Sandbox
from .records import Alert, Call, Exchange, Message

SHOWN_TEXTS = 200
SHOWN_CALLS = 5
SHOWN_LINES = 40
LIVE = {"queued", "ringing", "in-progress"}


def feed(box: Sandbox, phone: str) -> dict[str, Any]:
    """Everything on the page for one phone."""
    store = box.store
    version = store.version
    exchanges = list(store.exchanges)[-SHOWN_LINES:]
    alerts = list(store.alerts)[-SHOWN_LINES:]
    return {
        "version": version,
        "speed": box.clock.speed,
        "people": people(box),
        "numbers": [
            {"phone": n.phone, "kind": n.kind, "service": n.service_sid}
            for n in list(store.numbers.values())
            if n.account_sid == box.settings.account_sid
        ][:60],
        "texts": texts(box, phone),
        "calls": calls(box, phone),
        "log": log(box),
        "exchanges": [exchange(e) for e in reversed(exchanges)],
        "alerts": [alert(a) for a in reversed(alerts)],
        "mails": list(reversed(list(store.mails)[-SHOWN_LINES:])),
        "hits": list(reversed(list(store.hits)[-SHOWN_LINES:])),
        "faults": box.faults.as_dict(),
    }


def people(box: Sandbox) -> list[dict[str, Any]]:
    """Phones with a name or a plan."""
    return [vars(p) for p in list(box.store.phones.values()) if p.name or p.answers != "ask"][:100]


def texts(box: Sandbox, phone: str) -> list[dict[str, Any]]:
    """The conversation of a phone, oldest first, with Twilio's own automatic replies."""
    rows = list(box.store.by_phone.get(phone, [])) + list(box.store.whispers.get(phone, []))
    rows.sort(key=lambda m: m.date_created)
    return [message(m, phone) for m in rows[-SHOWN_TEXTS:]]


def message(row: Message, phone: str) -> dict[str, Any]:
    """A bubble. `mine`: the person sent it."""
    media = [{"url": f"/media-storage/{m.token}", "contentType": m.content_type} for m in row.media]
    media += [{"url": url, "contentType": ""} for url in row.media_urls]
    return {
        "sid": row.sid,
        "mine": row.from_ == phone and row.direction == "inbound",
        "automatic": row.direction == "twilio",
        "from": row.from_,
        "to": row.to,
        "body": row.body,
        "status": row.status,
        "errorCode": row.error_code,
        "at": iso8601(row.date_created),
        "media": media,
        "arrived": row.direction == "inbound" or row.status in ("sent", "delivered"),
    }


def log(box: Sandbox) -> list[dict[str, Any]]:
    """The latest texts and calls of everybody, newest first, as in Twilio's console."""
    store = box.store
    rows: list[Message | Call] = [
        *list(store.messages.values())[-SHOWN_LINES:],
        *list(store.calls.values())[-SHOWN_LINES:],
    ]
    rows.sort(key=lambda row: row.date_created, reverse=True)
    return [
        {
            "sid": row.sid,
            "from": row.from_ or "messaging service",
            "to": row.to,
            "status": row.status,
            "errorCode": row.error_code if isinstance(row, Message) else None,
            "text": row.body if isinstance(row, Message) else None,
            "inbound": row.direction == "inbound",
            "at": iso8601(row.date_created),
        }
        for row in rows[:SHOWN_LINES]
    ]


def calls(box: Sandbox, phone: str) -> list[dict[str, Any]]:
    """The latest calls of a phone, newest first; live ones are always among them.

    A phone that rings for a caller has a call of its own, which shows the caller's number and is
    not the caller's.
    """
    rows: list[dict[str, Any]] = []
    for row in reversed(list(box.store.calls.values())):
        holder = row.from_ if row.direction == "inbound" else row.to
        if phone == holder and (len(rows) < SHOWN_CALLS or row.status in LIVE):
            rows.append(call(row))
    return rows


def call(row: Call) -> dict[str, Any]:
    """A call with what was heard."""
    return {
        "sid": row.sid,
        "parent": row.parent_call_sid,
        "from": row.from_,
        "to": row.to,
        "direction": row.direction,
        "status": row.status,
        "live": row.status in LIVE,
        "ringingFor": row.ringing_for,
        "waitingFor": row.waiting_for,
        "answeredBy": row.answered_by,
        "duration": row.duration,
        "heard": row.heard[-200:],
        "history": row.history,
    }


def exchange(row: Exchange) -> dict[str, Any]:
    """A line of the webhook log."""
    return {
        "number": row.number,
        "kind": row.kind,
        "sid": row.sid,
        "method": row.method,
        "url": row.url,
        "params": row.params,
        "signature": row.signature,
        "at": iso8601(row.at),
        "attempt": row.attempt,
        "status": row.status,
        "contentType": row.content_type,
        "body": row.body,
        "ms": row.duration_ms,
        "error": row.error,
    }


def alert(row: Alert) -> dict[str, Any]:
    """A line of the debugger."""
    return {
        "code": row.code,
        "level": row.level,
        "text": row.text,
        "sid": row.sid,
        "url": row.url,
        "at": iso8601(row.at),
    }
