"""The values that people write down, each checked by itself, and what all such forms share."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from app.domain import attributes, passwords, phones, urls
from app.domain.mistakes import INVALID_PHONE, SEVERAL, Refused
from app.domain.one_line import one_line
from app.models.base import HIGHEST_RATE, LOWEST_RATE
from app.twiml.addresses import listed_host
from config import network

_EMAIL = re.compile(
    r"[^@\s<>,;\"()\[\]\x00-\x1f]+@[^@\s<>,;\"()\[\]\x00-\x1f]+\.[^@\s<>,;\"()\[\]\x00-\x1f.]+"
)
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Times outside of this are mistakes, and the ends of the calendar cannot be reckoned with."""


def _origin(text: str) -> str:
    if reason := urls.refusal(text, called_by_us=True):
        raise ValueError(reason)
    origin = urls.origin(text)
    if urlsplit(text).path.strip("/") or "?" in text or "#" in text:
        raise ValueError(f"“{text}” has to end behind the host, such as {origin}.")
    return origin


WebOrigin = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=300), AfterValidator(_origin)
]
"""Scheme, host and port of a web address, as `app.domain.urls.origin` writes it."""


def _one_line(value: object) -> object:
    return one_line(value) if isinstance(value, str) else value


Line = BeforeValidator(_one_line)
"""Of a name: it is kept as :func:`app.domain.one_line.one_line` says."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=100), Line]
"""What something is called."""


class Input(BaseModel):
    """What is common to all that comes from outside: a number is no truth value.

    YAML reads ``yes`` and ``on`` as true, which would otherwise count as 1.
    """

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, bool) and info.field_name in _number_fields(cls):
            raise PydanticCustomError("float_type", "must be a number.")
        return value


@cache
def _number_fields(model: type[BaseModel]) -> frozenset[str]:
    """Return the fields that take numbers and no truth values."""
    return frozenset(
        name
        for name, field in model.model_fields.items()
        if (kinds := _kinds(field.annotation)) & {int, float} and bool not in kinds
    )


def _kinds(annotation: Any) -> set[Any]:
    """Return the types of which a value of ``annotation`` may be one."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return set().union(*map(_kinds, get_args(annotation)))
    return {annotation}


class Spec(Input):
    """What is common to everything that is written down: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


def _web_address(url: str) -> str:
    if reason := urls.refusal(url):
        raise ValueError(reason)
    return url


def phone(text: str, *, short_codes: bool = False) -> str:
    """Read a phone, with its own code of mistake."""
    try:
        return phones.normalize(text, short_codes=short_codes)
    except phones.InvalidPhone as error:
        raise PydanticCustomError(INVALID_PHONE, "{reason}", {"reason": error.reason}) from None


def _trimmed(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


Trimmed = BeforeValidator(_trimmed)
"""Of what is pasted: blanks around it are no part of it."""
WebAddress = Annotated[str, Trimmed, AfterValidator(_web_address)]
Phone = Annotated[str, AfterValidator(phone)]


def is_email(text: str) -> bool:
    """Tell whether ``text`` is one e-mail address and nothing else."""
    return len(text) <= 254 and _EMAIL.fullmatch(text) is not None


def _email(text: str) -> str:
    if not is_email(text):
        raise ValueError(f"“{text}” is not an e-mail address.")
    return text


def _sid(prefix: str, what: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not re.fullmatch(prefix + "[0-9a-fA-F]{32}", text):
            raise ValueError(f"{what} is {prefix} and 32 hexadecimal digits.")
        return text

    return check


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"“{name}” is no time zone; use a name such as America/Chicago.")
    return name


def _time(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise ValueError(f"“{text}” is no time of day; write it like 21:00.")
    return text


def _address(text: str) -> str:
    return phone(text, short_codes=True)


def _network(text: str) -> str:
    try:
        return str(network(text))
    except ValueError as error:
        raise ValueError(
            f"“{text}” is no network; write its first address and its size, such as 10.20.0.0/16."
        ) from error


def _sip_domain(text: str) -> str:
    return listed_host(text, may_have_port=False)


def _password(text: str) -> str:
    if reason := passwords.refusal(text):
        raise ValueError(reason)
    return text


def _api_key(text: str) -> str:
    if len(text) < 32:
        raise ValueError("An API key needs 32 random characters or more.")
    return text


def _signing_secret(text: str) -> str:
    try:
        size = len(base64.b64decode(text.removeprefix("whsec_"), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not text.startswith("whsec_") or not 24 <= size <= 64:
        raise ValueError("A signing secret is whsec_ and the base64 of 24 to 64 random bytes.")
    return text


def _our_address(url: str) -> str:
    if reason := urls.refusal(url, called_by_us=True):
        raise ValueError(reason)
    return url


def _no_colon(name: str) -> str:
    if ":" in name:
        raise ValueError(f"“{name}” holds a colon, which no user name of HTTP Basic may.")
    return name


def instant(at: datetime) -> datetime:
    """Return a time in UTC.

    :raises ValueError: when it is outside of the years that anybody can mean.
    """
    if not _FIRST <= at < _LAST:
        raise ValueError(f"A time must be in the years {_FIRST.year} to {_LAST.year - 1}.")
    return at.astimezone(UTC)


def _null_is_empty(value: object) -> object:
    return [] if value is None else value


def _null_is_blank(value: object) -> object:
    return "" if value is None else value


def told_in_place(read: Callable[[Any], Any], *kinds: type) -> BeforeValidator:
    """Have ``read`` read values of these kinds; what it refuses is told at its place in them."""

    def check(value: object) -> object:
        if not isinstance(value, kinds):
            return value
        try:
            return read(value)
        except Refused as refused:
            wrong = [*refused.mistakes]
            raise PydanticCustomError(SEVERAL, "{mistakes}", {"mistakes": wrong}) from None

    return BeforeValidator(check)


Email = Annotated[str, Trimmed, AfterValidator(_email)]
Password = Annotated[str, AfterValidator(_password)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=500)]
TwilioSecret = Annotated[Secret, Trimmed]
"""A token or key as Twilio's console shows it."""
AccountSid = Annotated[str, Trimmed, AfterValidator(_sid("AC", "The SID of a Twilio account"))]
KeySid = Annotated[str, Trimmed, AfterValidator(_sid("SK", "The SID of an API key at Twilio"))]
ServiceSid = Annotated[str, Trimmed, AfterValidator(_sid("MG", "The SID of a messaging service"))]
TimeOfDay = Annotated[str, AfterValidator(_time)]
PerSecond = Annotated[float, Field(ge=LOWEST_RATE, le=HIGHEST_RATE, allow_inf_nan=False)]
Instant = Annotated[AwareDatetime, AfterValidator(instant)]
Address = Annotated[str, AfterValidator(_address)]
Empty = BeforeValidator(_null_is_empty)
Text = Annotated[str, BeforeValidator(_null_is_blank)]
Attributes = Annotated[dict[str, Any], told_in_place(attributes.check, dict)]
"""What is known about a person: any JSON."""
Host = Annotated[str, AfterValidator(listed_host)]
SipDomain = Annotated[str, AfterValidator(_sip_domain)]
Network = Annotated[str, StringConstraints(max_length=60), AfterValidator(_network)]
"""Written one way: ``10.20.0.0/16``."""
Zone = Annotated[str, Trimmed, AfterValidator(_zone)]
OurAddress = Annotated[str, Trimmed, AfterValidator(_our_address)]
SigningSecret = Annotated[str, AfterValidator(_signing_secret)]
ApiKeyText = Annotated[str, StringConstraints(max_length=500), AfterValidator(_api_key)]
WithoutColon = AfterValidator(_no_colon)
