"""Twilio's parameters as plain data, and what is wrong with them in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from werkzeug.exceptions import BadRequest

from app.domain import keywords
from app.domain.phone_spellings import one_spelling, texted
from app.domain.urls import MAX_URL
from app.inbound.number import CallFacts
from app.inbound.webhook import Webhook
from app.models.base import PHONE_LENGTH, utcnow
from app.models.incoming import OptOut, TextChannel
from app.models.route import Destination

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
_CHANNEL = re.compile(r"([a-z][a-z0-9]{1,20}):(.*)", re.DOTALL | re.IGNORECASE)
_PHONE = re.compile(r"\+[0-9]{5,15}")


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
    caller: str = ""
    """Whom a text comes from, in the spelling in which numbers of ours are kept."""
    word: str = ""
    """What a text says if it is a word (`app.domain.keywords.read`)."""
    faults: tuple[str, ...] = ()
    """What is missing or malformed, in sentences."""
    details: dict[str, str] = field(init=False)
    """The parameters that have no column of their own in the log."""

    def __post_init__(self) -> None:
        details = {
            name: value
            for name, value in self.parameters.items()
            if name not in _OWN_COLUMNS and not _MEDIA_FIELD.fullmatch(name)
        }
        object.__setattr__(self, "details", details)

    def require_whole(self) -> None:
        """Go on only with what has all its parts.

        :raises BadRequest: naming everything that is missing or malformed.
        """
        if self.faults:
            raise BadRequest(" ".join(self.faults))


def text(webhook: Webhook) -> Arrival:
    """Return the incoming text that the request describes, read once; whole or with its faults.

    Nobody is told of these before the request is known to be Twilio's.
    """
    fields = webhook.fields
    check = _Check(fields)
    sid = check.sid("MessageSid", _MESSAGE, "SM or MM and 32 hexadecimal digits")
    account = check.account()
    sender = check.phone("From")
    called = check.phone("To")
    check.body()
    media = check.media()
    body, service = fields.get("Body", ""), fields.get("MessagingServiceSid", "")
    caller = phone_of(sender)
    return Arrival(
        destination=Destination.SMS,
        sid=sid,
        account_sid=account,
        from_=texted(caller),
        to=phone_of(called),
        text_channel=channel(sender, called, len(media)),
        received_at=utcnow(),
        parameters=fields,
        body=body,
        media=media,
        segments=_count(fields.get("NumSegments", ""), 1),
        service_sid=service if _SERVICE.fullmatch(service) else None,
        opt_out_type=_opt_out(fields.get("OptOutType", "")),
        caller=caller,
        word=keywords.read(body),
        faults=tuple(check.faults),
    )


def call(webhook: Webhook) -> Arrival:
    """Return the incoming call that the request describes; its caller may be anybody or hidden.

    :raises BadRequest: naming everything that is missing or malformed.
    """
    check = _Check(webhook.fields)
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
    plain = address.strip()
    found = _CHANNEL.fullmatch(plain)
    return one_spelling(found[2] if found and _PHONE.fullmatch(found[2]) else plain)


def channel(sender: str, called: str, media: int) -> TextChannel:
    """Return by what a text came from ``sender`` to ``called``, with so many ``media``.

    The channel is in one of the two addresses ("Channels", Twilio's Messages resource); of a text
    between plain phones only media tell MMS from SMS.
    """
    for address in (sender, called):
        if found := _CHANNEL.fullmatch(address):
            try:
                return TextChannel(found[1].lower())
            except ValueError:
                continue
    return TextChannel.MMS if media else TextChannel.SMS


def call_sid(webhook: Webhook) -> str:
    """Return the CallSid.

    :raises BadRequest: when it is missing or malformed.
    """
    check = _Check(webhook.fields)
    sid = check.sid("CallSid", _CALL, "CA and 32 hexadecimal digits")
    check.finish()
    return sid


def seconds(value: str) -> int | None:
    """Return a duration in seconds as Twilio writes it; None when it is none."""
    return int(value) if re.fullmatch(r"[0-9]{1,7}", value) else None


class _Check:
    """Collects what is wrong, so that all of it is said at once."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields
        self.faults: list[str] = []

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
        missing = [name for name in ("Body", "NumMedia") if name not in self._fields]
        self.faults += [f"{name} is missing." for name in missing]

    def media(self) -> tuple[MediaItem, ...]:
        """Return the media that are there; fewer than announced is Twilio's affair."""
        count = self._fields.get("NumMedia") or "0"
        if not _SMALL_NUMBER.fullmatch(count):
            self.faults.append("NumMedia must be a whole number.")
            return ()
        found = []
        for index in range(int(count)):
            url = self._fields.get(f"MediaUrl{index}")
            if url and len(url) <= MAX_URL:
                kind = self._fields.get(f"MediaContentType{index}", "")[:100]
                found.append(MediaItem(url, kind or "application/octet-stream"))
        return tuple(found)

    def finish(self) -> None:
        if self.faults:
            raise BadRequest(" ".join(self.faults))

    def _field(self, name: str, fits: Callable[[str], bool], rule: str) -> str:
        value = self._fields.get(name, "")
        if not value:
            self.faults.append(f"{name} is missing.")
        elif not fits(value):
            self.faults.append(f"{name} {rule}.")
        return value


def _count(value: str, default: int) -> int:
    return int(value) if _SMALL_NUMBER.fullmatch(value) else default


def _opt_out(value: str) -> OptOut | None:
    try:
        return OptOut(value.upper())
    except ValueError:
        return None
