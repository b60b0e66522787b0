"""What may be written in the configuration file, item by item, with its types and limits."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    model_validator,
)

from app.domain import passwords, phones, urls
from app.domain.call_options import CallOptionsSpec
from app.domain.callbacks import CallbacksSpec
from app.domain.route_specs import Name, Phone, Spec
from app.models.communication import MachineDetection, Purpose
from app.models.credential import Scope
from app.models.sender import SenderKind, SenderType
from app.models.template import TemplateKind
from app.models.user import Role

_EMAIL = re.compile(r"[^@\s<>,;\"()\[\]\x00-\x1f]+@[^@\s<>,;\"()\[\]\x00-\x1f]+")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
MAX_STEP_DELAY = 30 * 24 * 3600


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text) or len(text) > 254:
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
    return phones.normalize(text, short_codes=True)


def _password(text: str) -> str:
    if not passwords.SHORTEST <= len(text) <= passwords.LONGEST:
        raise ValueError(
            f"A password needs {passwords.SHORTEST} to {passwords.LONGEST} characters."
        )
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


def _null_is_empty(value: object) -> object:
    return [] if value is None else value


def _null_is_blank(value: object) -> object:
    return "" if value is None else value


Email = Annotated[str, AfterValidator(_email)]
Password = Annotated[str, AfterValidator(_password)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=500)]
AccountSid = Annotated[str, AfterValidator(_sid("AC", "The SID of a Twilio account"))]
KeySid = Annotated[str, AfterValidator(_sid("SK", "The SID of an API key at Twilio"))]
ServiceSid = Annotated[str, AfterValidator(_sid("MG", "The SID of a messaging service"))]
TimeOfDay = Annotated[str, AfterValidator(_time)]
PerSecond = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Address = Annotated[str, AfterValidator(_address)]
Empty = BeforeValidator(_null_is_empty)
Text = Annotated[str, BeforeValidator(_null_is_blank)]
AttributeName = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class SupportUserSpec(Spec):
    """A person of Dispatch Support, who sees every client."""

    email: Email
    password: Password | None = None


class UserSpec(SupportUserSpec):
    """A person who works for the client."""

    role: Role = Role.STAFF


class QuietHours(Spec):
    """When batches wait, in the client's time zone; may go past midnight."""

    begin: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")

    @model_validator(mode="after")
    def _not_empty(self) -> QuietHours:
        if self.begin == self.end:
            raise ValueError("“from” and “to” are the same; leave quiet_hours out for none.")
        return self


class UsageAlert(Spec):
    """How much use in a month the owner is told about (at 80 % and 100 %)."""

    segments_per_month: Annotated[int, Field(gt=0)] | None = None
    call_minutes_per_month: Annotated[int, Field(gt=0)] | None = None


class ClientSpec(Spec):
    """A client's own settings; its lists of things are sections of their own."""

    name: Annotated[Name, AfterValidator(_no_colon)]
    owner_email: Email | None = None
    twilio_enabled: bool = False
    international: bool = False
    trial: bool = False
    allow_list: Annotated[list[Phone], Empty] = Field(default_factory=list)
    time_zone: Annotated[str, AfterValidator(_zone)] = "America/Chicago"
    quiet_hours: QuietHours | None = None
    retention_days: Annotated[int, Field(ge=1, le=3650)] = 45
    usage_alert: UsageAlert | None = None
    callbacks: CallbacksSpec | None = None


class ApiKeySpec(Spec):
    """A key of one of the client's systems."""

    label: Name
    key: Annotated[str, StringConstraints(max_length=500), AfterValidator(_api_key)]
    scope: Scope = Scope.ADMIN
    expires_at: AwareDatetime | None = None


class CredentialSpec(Spec):
    """A Twilio account and the API key by which the client uses it."""

    name: Name
    account_sid: AccountSid
    auth_token: Secret
    next_auth_token: Secret | None = None
    api_key_sid: KeySid | None = None
    api_key_secret: Secret | None = None
    calls_per_second: PerSecond = 1.0
    trial: bool = False

    @model_validator(mode="after")
    def _whole_key(self) -> CredentialSpec:
        if (self.api_key_sid is None) != (self.api_key_secret is None):
            raise ValueError("“api_key_sid” and “api_key_secret” belong together; one is missing.")
        return self


class SavedCredentialSpec(Spec):
    """A log-in for callbacks to plain URLs."""

    name: Name
    username: Annotated[
        str, StringConstraints(min_length=1, max_length=200), AfterValidator(_no_colon)
    ]
    password: Secret


class SuppressionListSpec(Spec):
    """Phones that must not be texted."""

    name: Name
    entries: Annotated[list[Phone], Empty] = Field(default_factory=list)


class PopulationSpec(Spec):
    """People, each with whatever attributes the client knows."""

    name: Name
    members: Annotated[list[dict[AttributeName, Text]], Empty] = Field(default_factory=list)


class RecordingSpec(Spec):
    """An audio file beside the configuration file."""

    name: Name
    file: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class TemplateSpec(Spec):
    """Text with placeholders."""

    name: Name
    kind: TemplateKind
    body: Text = ""
    media: Annotated[list[str], Empty] = Field(default_factory=list)


class EndpointSpec(Spec):
    """The client's own system, told by signed JSON."""

    name: Name
    url: Annotated[str, AfterValidator(_our_address)]
    secret: Annotated[str, AfterValidator(_signing_secret)] | None = None


class NumberSpec(Spec):
    """A phone number and what it does."""

    number: Address
    kind: Literal[SenderKind.TWILIO, SenderKind.VERIFIED] = SenderKind.TWILIO
    credential: Name | None = None
    sender_type: SenderType | None = None
    rate: PerSecond | None = None
    suppression_list: Name | None = None
    sms: Any = None
    voice: Any = None

    @model_validator(mode="after")
    def _possible(self) -> NumberSpec:
        if self.sender_type and self.is_short != (self.sender_type is SenderType.SHORT_CODE):
            kind = "is a short code" if self.is_short else "is no short code (5 or 6 digits)"
            raise ValueError(f"{self.number} {kind}: its sender_type cannot be {self.sender_type}.")
        if self.kind is SenderKind.VERIFIED and self.suppression_list:
            raise ValueError(
                f"{self.number} sends no texts, being verified only: leave out its list."
            )
        if self.kind is SenderKind.VERIFIED and self.is_short:
            raise ValueError(f"{self.number} is a short code, which places no calls.")
        return self

    @property
    def is_short(self) -> bool:
        """Whether this is a short code."""
        return not self.number.startswith("+")


class MessagingServiceSpec(Spec):
    """A messaging service of Twilio's with the client's numbers in it."""

    name: Name
    sid: ServiceSid
    credential: Name | None = None
    sender_type: SenderType = SenderType.LONG_CODE
    rate: PerSecond | None = None
    numbers: Annotated[list[Address], Empty] = Field(default_factory=list)
    suppression_list: Name | None = None
    sms: Any = None


class StepSpec(Spec):
    """A further text, some seconds after the one before."""

    template: Name
    after: Annotated[int, Field(ge=0, le=MAX_STEP_DELAY)]


class CommunicationSpec(Spec):
    """What is said, to whom, from where, and how."""

    name: Name
    campaign: Name = "General"
    type: Literal["twilio"] = "twilio"
    destination: Literal["sms", "voice"]
    template: Name
    population: Name | None = None
    sender: Address | None = Field(default=None, alias="from")
    messaging_service: Name | None = None
    machine_detection: MachineDetection = MachineDetection.OFF
    suppression_list: Name | None = None
    link_tracking: bool = False
    smart_encoding: bool = False
    send_as_mms: bool = False
    purpose: Purpose = Purpose.NOTIFICATION
    validity_period: Annotated[int, Field(ge=1, le=36_000)] | None = None
    """Seconds (Twilio, ValidityPeriod: 1 to 36,000)."""
    retry_calls: Annotated[int, Field(ge=0, le=10)] = 0
    retry_calls_after: Annotated[int, Field(ge=60, le=86_400)] = 900
    call_options: CallOptionsSpec | None = None
    steps: Annotated[list[StepSpec], Empty] = Field(default_factory=list, max_length=20)
    callbacks: CallbacksSpec | None = None

    @model_validator(mode="after")
    def _fits_its_destination(self) -> CommunicationSpec:
        if (self.sender is None) == (self.messaging_service is None):
            raise ValueError("Give exactly one of “from” and “messaging_service”.")
        is_call = self.destination == "voice"
        if is_call and self.messaging_service:
            raise ValueError("A messaging service places no calls: give “from”, a number.")
        for name, unused in (_ONLY_SMS if is_call else _ONLY_VOICE).items():
            if getattr(self, name) != unused:
                kinds = ("texts", "a call") if is_call else ("calls", "a text")
                raise ValueError(f"“{name}” is for {kinds[0]}, but this is {kinds[1]}.")
        return self


_ONLY_SMS: dict[str, Any] = {
    "suppression_list": None,
    "link_tracking": False,
    "smart_encoding": False,
    "send_as_mms": False,
    "validity_period": None,
    "steps": [],
}
_ONLY_VOICE: dict[str, Any] = {
    "machine_detection": MachineDetection.OFF,
    "retry_calls": 0,
    "retry_calls_after": 900,
    "call_options": None,
}

SECTIONS: dict[str, type[Spec]] = {
    "api_keys": ApiKeySpec,
    "users": UserSpec,
    "credentials": CredentialSpec,
    "saved_credentials": SavedCredentialSpec,
    "suppression_lists": SuppressionListSpec,
    "populations": PopulationSpec,
    "recordings": RecordingSpec,
    "templates": TemplateSpec,
    "endpoints": EndpointSpec,
    "numbers": NumberSpec,
    "messaging_services": MessagingServiceSpec,
    "communications": CommunicationSpec,
}
"""The lists of a client."""

IDENTITY: dict[str, str] = {
    "support_users": "email",
    "api_keys": "label",
    "users": "email",
    "numbers": "number",
}
"""By which key an item of a section is known; by its name otherwise."""
