"""What Twilio's REST API answers, as plain values. Times are aware and in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Message:
    """A text of either direction. `price` is negative for what costs; None until it is known."""

    sid: str
    account_sid: str | None
    status: str
    direction: str | None
    from_: str | None
    to: str | None
    body: str
    messaging_service_sid: str | None
    error_code: int | None
    error_message: str | None
    num_segments: int | None
    num_media: int
    price: Decimal | None
    price_unit: str | None
    date_created: datetime | None
    date_updated: datetime | None
    date_sent: datetime | None

    @classmethod
    def of(cls, found: Any) -> Self:
        """Return the message in an instance of the twilio library."""
        return cls(
            sid=_required(found.sid),
            account_sid=found.account_sid,
            status=_required(found.status),
            direction=found.direction,
            from_=found.from_,
            to=found.to,
            body=found.body or "",
            messaging_service_sid=found.messaging_service_sid,
            error_code=_integer(found.error_code),
            error_message=found.error_message,
            num_segments=_integer(found.num_segments),
            num_media=_integer(found.num_media) or 0,
            price=_decimal(found.price),
            price_unit=found.price_unit,
            date_created=_time(found.date_created),
            date_updated=_time(found.date_updated),
            date_sent=_time(found.date_sent),
        )


@dataclass(frozen=True, slots=True)
class MediaItem:
    """A file of an incoming message; `url` needs the account's credentials."""

    sid: str
    content_type: str
    url: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call of either direction; `duration` in seconds."""

    sid: str
    account_sid: str | None
    parent_call_sid: str | None
    status: str
    direction: str | None
    from_: str | None
    to: str | None
    answered_by: str | None
    forwarded_from: str | None
    duration: int | None
    price: Decimal | None
    price_unit: str | None
    date_created: datetime | None
    start_time: datetime | None
    end_time: datetime | None

    @classmethod
    def of(cls, found: Any) -> Self:
        """Return the call in an instance of the twilio library."""
        return cls(
            sid=_required(found.sid),
            account_sid=found.account_sid,
            parent_call_sid=found.parent_call_sid,
            status=_required(found.status),
            direction=found.direction,
            from_=found._from,  # the library's name for it
            to=found.to,
            answered_by=found.answered_by,
            forwarded_from=found.forwarded_from or None,
            duration=_integer(found.duration),
            price=_decimal(found.price),
            price_unit=found.price_unit,
            date_created=_time(found.date_created),
            start_time=_time(found.start_time),
            end_time=_time(found.end_time),
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording of a call; `duration` in seconds, None until it is ready."""

    sid: str
    status: str
    duration: int | None

    @classmethod
    def of(cls, found: Any) -> Self:
        """Return the recording in an instance of the twilio library."""
        return cls(_required(found.sid), _required(found.status), _integer(found.duration))


@dataclass(frozen=True, slots=True)
class Transcription:
    """What Twilio has written down of a recording."""

    status: str
    text: str

    @classmethod
    def of(cls, found: Any) -> Self:
        """Return the transcription in an instance of the twilio library."""
        return cls(_required(found.status), found.transcription_text or "")


@dataclass(frozen=True, slots=True)
class AvailableNumber:
    """A number that can be bought."""

    phone_number: str
    friendly_name: str
    locality: str | None
    region: str | None
    postal_code: str | None
    capabilities: frozenset[str]

    @classmethod
    def of(cls, found: Any) -> Self:
        """Return the number in an instance of the twilio library."""
        return cls(
            phone_number=_required(found.phone_number),
            friendly_name=found.friendly_name or "",
            locality=found.locality,
            region=found.region,
            postal_code=found.postal_code,
            capabilities=_capabilities(found.capabilities),
        )


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the account with its webhooks; an unset URL is an empty text."""

    sid: str
    phone_number: str
    friendly_name: str
    capabilities: frozenset[str]
    sms_url: str
    sms_method: str
    sms_fallback_url: str
    sms_fallback_method: str
    voice_url: str
    voice_method: str
    voice_fallback_url: str
    voice_fallback_method: str
    status_callback: str
    status_callback_method: str
    sms_application_sid: str
    voice_application_sid: str
    trunk_sid: str

    @classmethod
    def of(cls, found: Any) -> Self:
        """Return the number in an instance of the twilio library."""
        texts = {
            name: getattr(found, name) or ""
            for name in cls.__slots__
            if name not in ("sid", "phone_number", "capabilities")
        }
        return cls(
            sid=_required(found.sid),
            phone_number=_required(found.phone_number),
            capabilities=_capabilities(found.capabilities),
            **texts,
        )


@dataclass(frozen=True, slots=True)
class Service:
    """A messaging service; an unset URL is an empty text."""

    sid: str
    friendly_name: str
    inbound_request_url: str
    inbound_method: str
    fallback_url: str
    fallback_method: str
    status_callback: str
    use_inbound_webhook_on_number: bool
    smart_encoding: bool
    sticky_sender: bool
    validity_period: int | None

    @classmethod
    def of(cls, found: Any) -> Self:
        """Return the service in an instance of the twilio library."""
        return cls(
            sid=_required(found.sid),
            friendly_name=found.friendly_name or "",
            inbound_request_url=found.inbound_request_url or "",
            inbound_method=found.inbound_method or "POST",
            fallback_url=found.fallback_url or "",
            fallback_method=found.fallback_method or "POST",
            status_callback=found.status_callback or "",
            use_inbound_webhook_on_number=bool(found.use_inbound_webhook_on_number),
            smart_encoding=bool(found.smart_encoding),
            sticky_sender=bool(found.sticky_sender),
            validity_period=_integer(found.validity_period),
        )


@dataclass(frozen=True, slots=True)
class ServiceNumber:
    """A number in the sender pool of a messaging service."""

    sid: str
    phone_number: str

    @classmethod
    def of(cls, found: Any) -> Self:
        """Return the number in an instance of the twilio library."""
        return cls(sid=_required(found.sid), phone_number=_required(found.phone_number))


@dataclass(frozen=True, slots=True)
class Verification:
    """A caller ID being verified: Twilio calls it, and the person there types the code."""

    phone_number: str
    friendly_name: str
    call_sid: str
    validation_code: str

    @classmethod
    def of(cls, found: Any) -> Self:
        """Return the verification in an instance of the twilio library."""
        return cls(
            phone_number=_required(found.phone_number),
            friendly_name=found.friendly_name or "",
            call_sid=_required(found.call_sid),
            validation_code=_required(str(found.validation_code or "")),
        )


def _required(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("the answer lacks a field that Twilio always sends")
    return value


def _integer(value: Any) -> int | None:
    return int(value) if value not in (None, "") else None


def _decimal(value: Any) -> Decimal | None:
    if value in (None, ""):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError(f"the price {value!r} is not a number") from error


def _time(value: Any) -> datetime | None:
    # The library gives the text itself for a date it cannot read.
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _capabilities(value: Any) -> frozenset[str]:
    """Return ``sms``, ``mms``, ``voice`` …; Twilio writes them in either case."""
    if not isinstance(value, Mapping):
        return frozenset()
    return frozenset(str(name).lower() for name, present in value.items() if present is True)
