"""Twilio's parameters as plain data, and what is wrong with them in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from werkzeug.exceptions import BadRequest

from app.domain.phone_spellings import one_spelling, texted
from app.domain.urls import MAX_URL
from app.inbound.number import CallFacts
from app.inbound.webhook import Webhook
from app.models.base import PHONE_LENGTH, utcnow
from app.models.incoming import OptOut, TextChannel
from app.models.route import Destination
from app.twilio import addresses

_HEX = "[0-9a-fA-F]{32}"
_ACCOUNT = re.compile(f"AC{_HEX}")
_MESSAGE = re.compile(f"(SM|MM){_HEX}")
_CALL = re.compile(f"CA{_HEX}")
_SERVICE = re.compile(f"MG{_HEX}")
_SMALL_NUMBER = re.compile(r"[0-9]{1,3}")
_OWN_COLUMNS = frozenset(
    {"MessageSid", "SmsSid", "SmsMessageSid", "CallSid", "AccountSid", "From", "To", "Body"}
    | {"NumMedia", "NumSegments"}
)
_MEDIA_FIELD = re.compile(r"Media(Url|ContentType)[0-9]+")


@dataclass(frozen=True)
class MediaItem:
    """One picture or the like of an incoming text, still at Twilio."""

    url: str
    content_type: str


@dataclass(frozen=True)
class Arrival:
    """An incoming text or call, as Twilio described it."""

    destination: Destination
    sid: str
    account_sid: str
    from_: str
    to: str
    received_at: datetime
    parameters: dict[str, str]
    """Every parameter of the request, by Twilio's names."""
    body: str = ""
    media: tuple[MediaItem, ...] = ()
    segments: int = 0
    text_channel: TextChannel | None = None
    service_sid: str | None = None
    opt_out_type: OptOut | None = None
    call_status: str | None = None
    recovered: bool = False
    answered: bool = False
    """Twilio's log has an answer of ours to it, of which the database no longer knows."""
    details: dict[str, str] = field(init=False)
    """The parameters that have no column of their own in the log."""

    def __post_init__(self) -> None:
        details = {
            name: value
            for name, value in self.parameters.items()
            if name not in _OWN_COLUMNS and not _MEDIA_FIELD.fullmatch(name)
        }
        object.__setattr__(self, "details", details)


def text(webhook: Webhook) -> Arrival:
    """Return the incoming text that the request describes.

    :raises BadRequest: naming everything that is missing or malformed.
    """
    check = _Check(webhook)
    sid = check.sid("MessageSid", _MESSAGE, "SM or MM and 32 hexadecimal digits")
    account = check.account()
    sender = check.phone("From")
    called = check.phone("To")
    check.body()
    media = check.media()
    check.finish()
    return Arrival(
        destination=Destination.SMS,
        sid=sid,
        account_sid=account,
        from_=texted(phone_of(sender)),
        to=phone_of(called),
        text_channel=addresses.channel(sender, called, len(media)),
        received_at=utcnow(),
        parameters=webhook.fields,
        body=webhook.get("Body"),
        media=media,
        segments=_count(webhook.get("NumSegments"), 1),
        service_sid=service_sid(webhook),
        opt_out_type=_opt_out(webhook.get("OptOutType")),
    )


def call(webhook: Webhook) -> Arrival:
    """Return the incoming call that the request describes; its caller may be anybody or hidden.

    :raises BadRequest: naming everything that is missing or malformed.
    """
    check = _Check(webhook)
    sid = check.sid("CallSid", _CALL, "CA and 32 hexadecimal digits")
    account = check.account()
    called = check.phone("To")
    check.finish()
    return Arrival(
        destination=Destination.VOICE,
        sid=sid,
        account_sid=account,
        from_=webhook.get("From").strip()[:PHONE_LENGTH],
        to=called,
        received_at=utcnow(),
        parameters=webhook.fields,
        call_status=webhook.get("CallStatus")[:32] or None,
    )


def step(webhook: Webhook, call: CallFacts, account_sid: str) -> Arrival:
    """Return a call in the log, as Twilio describes it at one of its steps."""
    return Arrival(
        destination=Destination.VOICE,
        sid=call.sid,
        account_sid=account_sid,
        from_=call.from_,
        to=call.to,
        received_at=utcnow(),
        parameters=webhook.fields,
        call_status=webhook.get("CallStatus")[:32] or None,
    )


def phone_of(address: str) -> str:
    """Return the one spelling of the person's phone, without the channel that Twilio puts before.

    ``rcs:+13195550100`` is ``+13195550100``; what is no phone stays as it is.
    """
    return one_spelling(addresses.plain(address.strip()))


def service_sid(webhook: Webhook) -> str | None:
    """Return the messaging service that Twilio names, if it does."""
    value = webhook.get("MessagingServiceSid")
    return value if _SERVICE.fullmatch(value) else None


def call_sid(webhook: Webhook) -> str:
    """Return the CallSid.

    :raises BadRequest: when it is missing or malformed.
    """
    check = _Check(webhook)
    sid = check.sid("CallSid", _CALL, "CA and 32 hexadecimal digits")
    check.finish()
    return sid


def seconds(value: str) -> int | None:
    """Return a duration in seconds as Twilio writes it; None when it is none."""
    return int(value) if re.fullmatch(r"[0-9]{1,7}", value) else None


class _Check:
    """Collects what is wrong, so that all of it is said at once."""

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook
        self._faults: list[str] = []

    def sid(self, name: str, pattern: re.Pattern[str], shape: str) -> str:
        return self._field(name, lambda value: bool(pattern.fullmatch(value)), f"must be {shape}")

    def account(self) -> str:
        return self.sid("AccountSid", _ACCOUNT, "AC and 32 hexadecimal digits")

    def phone(self, name: str) -> str:
        return self._field(
            name,
            lambda value: (
                bool(value.strip()) and len(value) <= PHONE_LENGTH and value.isprintable()
            ),
            f"must be a phone number or address of at most {PHONE_LENGTH} characters",
        ).strip()

    def body(self) -> None:
        """Refuse a text without ``Body`` or ``NumMedia``: Twilio always sends both, the one empty
        where there are no words, the other 0 where there are no media (Messaging webhooks).

        Twilio signs names and values without anything between them, so that a signed form verifies
        however it is cut: as ``ApiVersion=2010-04-01BodySTOP`` too, of which no word would be read,
        or as ``NumMedi=a1``, without the pictures.
        """
        missing = [name for name in ("Body", "NumMedia") if not self._webhook.has(name)]
        self._faults += [f"{name} is missing." for name in missing]

    def media(self) -> tuple[MediaItem, ...]:
        """Return the media that are there; fewer than announced is Twilio's affair."""
        count = self._webhook.get("NumMedia") or "0"
        if not _SMALL_NUMBER.fullmatch(count):
            self._faults.append("NumMedia must be a whole number.")
            return ()
        found = []
        for index in range(int(count)):
            url = self._webhook.get(f"MediaUrl{index}")
            if url and len(url) <= MAX_URL:
                kind = self._webhook.get(f"MediaContentType{index}")[:100]
                found.append(MediaItem(url, kind or "application/octet-stream"))
        return tuple(found)

    def finish(self) -> None:
        if self._faults:
            raise BadRequest(" ".join(self._faults))

    def _field(self, name: str, fits: Callable[[str], bool], rule: str) -> str:
        value = self._webhook.get(name)
        if not value:
            self._faults.append(f"{name} is missing.")
        elif not fits(value):
            self._faults.append(f"{name} {rule}.")
        return value


def _count(value: str, default: int) -> int:
    return int(value) if _SMALL_NUMBER.fullmatch(value) else default


def _opt_out(value: str) -> OptOut | None:
    try:
        return OptOut(value.upper())
    except ValueError:
        return None
