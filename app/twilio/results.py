"""What Twilio's REST API answers, as plain values. Times are aware and in UTC."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Self, cast

_ALWAYS = frozenset({"sid", "status", "phone_number"})
"""What no answer lacks."""


class _Read:
    """What is read field by field from an instance of the twilio library, by the field's type.

    A text that Twilio leaves out is empty, or what the field's metadata say under ``else``; ``at``
    is where the library has it, if not under the field's own name.
    """

    __slots__ = ()

    @classmethod
    def of(cls, found: Any) -> Self:
        """Return what an instance of the twilio library says.

        :raises ValueError: when it lacks what Twilio always sends, or a price is no number.
        """
        return cls(
            **{name: read(getattr(found, at)) for name, at, read in _reading(cast(Any, cls))}
        )


@dataclass(frozen=True, slots=True)
class Message(_Read):
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


@dataclass(frozen=True, slots=True)
class MediaItem:
    """A file of an incoming message; `url` needs the account's credentials."""

    sid: str
    content_type: str
    url: str


@dataclass(frozen=True, slots=True)
class Call(_Read):
    """A call of either direction; `duration` in seconds."""

    sid: str
    account_sid: str | None
    parent_call_sid: str | None
    status: str
    direction: str | None
    from_: str | None = field(metadata={"at": "_from"})  # the library's name for it
    to: str | None
    answered_by: str | None
    forwarded_from: str | None
    duration: int | None
    price: Decimal | None
    price_unit: str | None
    date_created: datetime | None
    start_time: datetime | None
    end_time: datetime | None


@dataclass(frozen=True, slots=True)
class Recording(_Read):
    """A recording of a call; `duration` in seconds, None until it is ready."""

    sid: str
    status: str
    duration: int | None


@dataclass(frozen=True, slots=True)
class Transcription(_Read):
    """What Twilio has written down of a recording."""

    status: str
    text: str = field(metadata={"at": "transcription_text"})


@dataclass(frozen=True, slots=True)
class AvailableNumber(_Read):
    """A number that can be bought."""

    phone_number: str
    friendly_name: str
    locality: str | None
    region: str | None
    postal_code: str | None
    capabilities: frozenset[str]


@dataclass(frozen=True, slots=True)
class Number(_Read):
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


@dataclass(frozen=True, slots=True)
class Service(_Read):
    """A messaging service; an unset URL is an empty text."""

    sid: str
    friendly_name: str
    inbound_request_url: str
    inbound_method: str = field(metadata={"else": "POST"})
    fallback_url: str
    fallback_method: str = field(metadata={"else": "POST"})
    status_callback: str
    use_inbound_webhook_on_number: bool
    smart_encoding: bool
    sticky_sender: bool
    validity_period: int | None


@dataclass(frozen=True, slots=True)
class ServiceNumber(_Read):
    """A number in the sender pool of a messaging service."""

    sid: str
    phone_number: str


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


@cache
def _reading(kind: type[Any]) -> tuple[tuple[str, str, Callable[[Any], Any]], ...]:
    """Return each field's name, where the library has it, and how it is read."""
    return tuple(
        (one.name, one.metadata.get("at", one.name), _reader(one.name, one.type, one.metadata))
        for one in fields(kind)
    )


def _reader(name: str, kind: Any, more: Mapping[str, Any]) -> Callable[[Any], Any]:
    if kind is str:
        return _required if name in _ALWAYS else lambda value: value or more.get("else", "")
    return _READERS[kind]


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


_READERS: dict[Any, Callable[[Any], Any]] = {
    str | None: lambda value: value or None,
    int: lambda value: _integer(value) or 0,
    int | None: _integer,
    bool: bool,
    Decimal | None: _decimal,
    datetime | None: _time,
    frozenset[str]: _capabilities,
}
