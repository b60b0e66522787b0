"""What may be written down of each thing that a client has: its fields, types and limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from app.domain import keywords, passwords
from app.domain.relaying.callbacks import CallbacksSpec
from app.domain.sending.call_options import CallOptionsSpec
from app.domain.specs import (
    AccountSid,
    Address,
    ApiKeyText,
    Attributes,
    Email,
    Empty,
    Host,
    Instant,
    KeySid,
    Name,
    OurAddress,
    Password,
    PerSecond,
    Phone,
    Secret,
    ServiceSid,
    SigningSecret,
    SipDomain,
    Spec,
    Text,
    TimeOfDay,
    WebOrigin,
    WithoutColon,
    Zone,
)
from app.models.base import MOST_COUNTED
from app.models.client import DEFAULT_LIMITS, LONGEST_RETENTION_DAYS
from app.models.communication import MAX_STEP_DELAY, MachineDetection, Purpose
from app.models.credential import Scope
from app.models.sender import SenderKind, SenderType
from app.models.template import TemplateKind
from app.models.user import Role

Count = Annotated[int, Field(ge=1, le=MOST_COUNTED)] | None


class SupportUserSpec(Spec):
    """A person of Dispatch Support, who sees every client."""

    email: Email
    password: Password | None = None

    @field_validator("password")
    @classmethod
    def _not_the_address(cls, password: str | None, info: ValidationInfo) -> str | None:
        email = info.data.get("email", "")
        if password is not None and (reason := passwords.refusal(password, email)):
            raise ValueError(reason)
        return password


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

    segments_per_month: Count = None
    call_minutes_per_month: Count = None
    halt: bool = False
    """Whether nothing more goes out at 100 %, until support lets it."""


class LimitsSpec(Spec):
    """The most that a client may send; none where it is null."""

    segments_per_hour: Count = DEFAULT_LIMITS["limit_segments_hour"]
    segments_per_day: Count = DEFAULT_LIMITS["limit_segments_day"]
    call_minutes_per_hour: Count = DEFAULT_LIMITS["limit_minutes_hour"]
    call_minutes_per_day: Count = DEFAULT_LIMITS["limit_minutes_day"]
    messages_per_phone_per_hour: Count = DEFAULT_LIMITS["limit_phone_hour"]


def _opt_word(text: str) -> str:
    word = keywords.fold(text)
    if not word or len(word.split("_")) > keywords.MAX_WORDS:
        raise ValueError(f"“{text.strip()}” must be one word or two, such as PARAR or NO MAS.")
    return keywords.read(text)


OptWord = Annotated[str, StringConstraints(max_length=40), AfterValidator(_opt_word)]
OptWordList = Annotated[list[OptWord], Field(max_length=50)]
Language = Literal["en", "es", "fr", "zh"]


def _english() -> list[Language]:
    return ["en"]


class OptWords(Spec):
    """Words of the client's own by which people opt out and in and ask for help."""

    stop: OptWordList = Field(default_factory=list)
    start: OptWordList = Field(default_factory=list)
    help: OptWordList = Field(default_factory=list)

    def given(self) -> dict[str, list[str]]:
        """Return the words as a client's row keeps them: what has none is left out."""
        return self.model_dump(exclude_defaults=True)

    @model_validator(mode="after")
    def _one_meaning(self) -> OptWords:
        meant: dict[str, str] = {}
        for what in ("stop", "start", "help"):
            for word in map(keywords.fold, getattr(self, what)):
                twilios = keywords.TWILIO_WORDS.get(word)
                known = twilios.value.lower() if twilios else meant.setdefault(word, what)
                if known != what:
                    raise ValueError(f"“{word}” already means {known}; it cannot mean {what} too.")
        return self


class ClientSpec(Spec):
    """A client's own settings; its lists of things are sections of their own."""

    name: Annotated[Name, WithoutColon]
    owner_email: Email | None = None
    twilio_enabled: bool = False
    international: bool = False
    trial: bool = False
    allow_list: Annotated[list[Phone], Empty] = Field(default_factory=list)
    twiml_hosts: Annotated[list[Host], Field(max_length=100), Empty] = Field(default_factory=list)
    sip_domains: Annotated[list[SipDomain], Field(max_length=100), Empty] = Field(
        default_factory=list
    )
    time_zone: Zone = "America/Chicago"
    quiet_hours: QuietHours | None = None
    languages: Annotated[list[Language], Field(max_length=len(keywords.LANGUAGES))] = Field(
        default_factory=_english
    )
    opt_words: OptWords = Field(default_factory=OptWords)
    retention_days: Annotated[int, Field(ge=1, le=LONGEST_RETENTION_DAYS)] = 45
    usage_alert: UsageAlert | None = None
    limits: LimitsSpec = Field(default_factory=LimitsSpec)
    callbacks: CallbacksSpec | None = None


class ApiKeySpec(Spec):
    """A key of one of the client's systems."""

    label: Name
    key: ApiKeyText
    scope: Scope = Scope.ADMIN
    expires_at: Instant | None = None


class CredentialSpec(Spec):
    """A Twilio account and the API key by which the client uses it."""

    name: Name
    account_sid: AccountSid
    auth_token: Secret
    next_auth_token: Secret | None = None
    webhook_key: Secret | None = None
    next_webhook_key: Secret | None = None
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
    username: Annotated[str, StringConstraints(min_length=1, max_length=200), WithoutColon]
    password: Secret
    origins: Annotated[list[WebOrigin], Field(min_length=1, max_length=50)] | None = None
    """Where it may be sent; left out, wherever an owner uses it."""


class SuppressionListSpec(Spec):
    """Phones that must not be texted."""

    name: Name
    entries: Annotated[list[Phone], Empty] = Field(default_factory=list)


class PopulationSpec(Spec):
    """People, each with whatever attributes the client knows."""

    name: Name
    members: Annotated[list[Attributes], Empty] = Field(default_factory=list)


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
    url: OurAddress
    secret: SigningSecret | None = None


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
