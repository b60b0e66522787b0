"""What the local Twilio keeps: accounts, numbers, messages, calls, and what happened."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .clock import utcnow


def new_sid(prefix: str) -> str:
    """Two letters and 32 hexadecimal digits, as Twilio's identifiers are."""
    return prefix + secrets.token_hex(16)


@dataclass
class Account:
    """An account with its token and API keys. `test` marks magic-number test credentials."""

    sid: str
    auth_token: str
    friendly_name: str = "Sandbox"
    api_keys: dict[str, str] = field(default_factory=dict)
    trial: bool = False
    parent_sid: str | None = None
    test: bool = False
    calls_per_second: float = 1.0
    next_call_at: float = 0.0


@dataclass
class Number:
    """A phone number or short code of an account. `kind`: long_code, toll_free, short_code."""

    phone: str
    account_sid: str
    kind: str = "long_code"
    sid: str = field(default_factory=lambda: new_sid("PN"))
    friendly_name: str = ""
    sms_url: str = ""
    sms_method: str = "POST"
    sms_fallback_url: str = ""
    sms_fallback_method: str = "POST"
    voice_url: str = ""
    voice_method: str = "POST"
    voice_fallback_url: str = ""
    voice_fallback_method: str = "POST"
    status_callback: str = ""
    status_callback_method: str = "POST"
    sms_application_sid: str = ""
    voice_application_sid: str = ""
    service_sid: str | None = None
    rate: float | None = None
    next_slot_at: float = 0.0
    date_created: datetime = field(default_factory=utcnow)
    date_updated: datetime = field(default_factory=utcnow)

    @property
    def segments_per_second(self) -> float:
        """Twilio's default rates: long code 1, toll-free 3, short code 100."""
        return self.rate or {"toll_free": 3.0, "short_code": 100.0}.get(self.kind, 1.0)


@dataclass
class Service:
    """A messaging service with its own inbound settings and its opt-out switch."""

    account_sid: str
    sid: str = field(default_factory=lambda: new_sid("MG"))
    friendly_name: str = ""
    inbound_request_url: str | None = None
    inbound_method: str = "POST"
    fallback_url: str | None = None
    fallback_method: str = "POST"
    status_callback: str | None = None
    sticky_sender: bool = True
    smart_encoding: bool = False
    mms_converter: bool = True
    area_code_geomatch: bool = True
    validity_period: int = 36000
    use_inbound_webhook_on_number: bool = False
    usecase: str = "undeclared"
    advanced_opt_out: bool = False
    date_created: datetime = field(default_factory=utcnow)
    date_updated: datetime = field(default_factory=utcnow)


@dataclass
class CallerId:
    """A number that the account may show as caller without renting it."""

    phone: str
    account_sid: str
    friendly_name: str = ""
    sid: str = field(default_factory=lambda: new_sid("PN"))
    date_created: datetime = field(default_factory=utcnow)


@dataclass
class Media:
    """A picture or file that somebody sent to a number."""

    parent_sid: str
    content_type: str
    data: bytes
    sid: str = field(default_factory=lambda: new_sid("ME"))
    token: str = field(default_factory=lambda: secrets.token_hex(20))
    date_created: datetime = field(default_factory=utcnow)


@dataclass
class Message:
    """A text in Twilio's log. `slot_at`: when its sender's queue lets it go (simulated)."""

    account_sid: str
    to: str
    from_: str | None
    body: str
    direction: str
    status: str
    sid: str = field(default_factory=lambda: new_sid("SM"))
    num_segments: int = 1
    media_urls: list[str] = field(default_factory=list)
    media: list[Media] = field(default_factory=list)
    service_sid: str | None = None
    status_callback: str | None = None
    validity_period: int = 36000
    send_at: datetime | None = None
    error_code: int | None = None
    error_message: str | None = None
    price: str | None = None
    date_created: datetime = field(default_factory=utcnow)
    date_updated: datetime = field(default_factory=utcnow)
    date_sent: datetime | None = None
    history: list[str] = field(default_factory=list)
    slot_at: float = 0.0
    sender: str | None = None


@dataclass
class Recording:
    """Sound taken from a call. The served file is a quiet tone of `duration` seconds."""

    account_sid: str
    call_sid: str
    duration: int
    source: str
    channels: int = 1
    status: str = "completed"
    words: str | None = None
    """What was said, where it was to be written down."""
    sid: str = field(default_factory=lambda: new_sid("RE"))
    start_time: datetime = field(default_factory=utcnow)
    date_created: datetime = field(default_factory=utcnow)


@dataclass
class Call:
    """A call in Twilio's log, what the person on the line hears, and its webhook addresses."""

    account_sid: str
    to: str
    from_: str
    direction: str
    status: str = "queued"
    sid: str = field(default_factory=lambda: new_sid("CA"))
    parent_call_sid: str | None = None
    phone_number_sid: str | None = None
    url: str | None = None
    method: str = "POST"
    twiml: str | None = None
    fallback_url: str | None = None
    fallback_method: str = "POST"
    status_callback: str | None = None
    status_callback_method: str = "POST"
    status_events: tuple[str, ...] = ("completed",)
    timeout: int = 60
    record: bool = False
    recording_status_callback: str | None = None
    machine_detection: str | None = None
    async_amd: bool = False
    async_amd_callback: str | None = None
    send_digits: str = ""
    answered_by: str | None = None
    sip_code: int = 200
    price: str | None = None
    sequence: int = 0
    duration: int | None = None
    date_created: datetime = field(default_factory=utcnow)
    date_updated: datetime = field(default_factory=utcnow)
    start_time: datetime | None = None
    end_time: datetime | None = None
    ringing_for: str | None = None
    heard: list[dict[str, Any]] = field(default_factory=list)
    waiting_for: str | None = None
    history: list[str] = field(default_factory=list)


@dataclass
class Phone:
    """A person's phone: how it answers calls and what becomes of texts to it.

    `answers`: ask (rings on the page; a person answers if nobody is watching), person, machine,
    fax, busy, no-answer, failed, unknown. `machine_ends`: beep, silence, other.
    `outcome`: delivered, undelivered, failed, sent. `create_error` refuses the POST itself;
    `times` limits the plan to so many texts or calls (None: always).
    """

    phone: str
    name: str = ""
    answers: str = "ask"
    machine_ends: str = "beep"
    digits: str = ""
    speech: str = ""
    talks: float = 8.0
    record_seconds: int = 4
    outcome: str = "delivered"
    error_code: int | None = None
    create_error: int | None = None
    times: int | None = None


@dataclass
class Exchange:
    """One webhook request of ours and what came back."""

    number: int
    kind: str
    sid: str
    method: str
    url: str
    params: list[tuple[str, str]]
    signature: str
    at: datetime = field(default_factory=utcnow)
    attempt: int = 1
    status: int | None = None
    content_type: str | None = None
    body: str = ""
    duration_ms: int = 0
    error: str | None = None


@dataclass
class Alert:
    """A line of the debugger: Twilio's code, what it means, and the resource."""

    code: int
    level: str
    text: str
    sid: str = ""
    url: str = ""
    at: datetime = field(default_factory=utcnow)
