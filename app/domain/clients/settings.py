"""A client's own settings, as owners and support change them: checked, and each change noted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import audit, changes, keywords
from app.domain.changes import Change, Told
from app.domain.clients import enabling
from app.domain.relaying.callbacks import ClientCallbacksSpec
from app.domain.specs import (
    Email,
    Empty,
    Host,
    Name,
    Network,
    Phone,
    SipDomain,
    Spec,
    TimeOfDay,
    WithoutColon,
    Zone,
)
from app.models.base import MOST_COUNTED, utcnow
from app.models.client import DEFAULT_LIMITS, DEFAULT_RETENTION_DAYS, LONGEST_RETENTION_DAYS, Client

MOST_MINUTES = 7 * 24 * 60
Count = Annotated[int, Field(ge=1, le=MOST_COUNTED)] | None


class QuietHours(Spec):
    """When batches wait, in the client's time zone; may go past midnight."""

    begin: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")

    @model_validator(mode="after")
    def _not_empty(self) -> QuietHours:
        if self.begin == self.end:
            raise ValueError("“from” and “to” are the same; leave quiet_hours out for none.")
        return self


class RecipientHours(Spec):
    """When batches may reach people, in the zones where they are; may go past midnight."""

    begin: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")

    @model_validator(mode="after")
    def _not_empty(self) -> RecipientHours:
        if self.begin == self.end:
            raise ValueError("“from” and “to” are the same; leave recipient_hours out for always.")
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
    denied_networks: Annotated[list[Network], Field(max_length=100), Empty] = Field(
        default_factory=list
    )
    time_zone: Zone = "America/Chicago"
    quiet_hours: QuietHours | None = None
    recipient_hours: RecipientHours | None = None
    languages: Annotated[list[Language], Field(max_length=len(keywords.LANGUAGES))] = Field(
        default_factory=_english
    )
    opt_words: OptWords = Field(default_factory=OptWords)
    line_type_lookup: bool = False
    """Whether Twilio Lookup tells landlines apart before texts of batches go out."""
    approval_above: Annotated[int, Field(ge=0, le=MOST_COUNTED)] | None = None
    """Batches of more members than this need somebody else's approval."""
    retention_days: Annotated[int, Field(ge=1, le=LONGEST_RETENTION_DAYS)] = DEFAULT_RETENTION_DAYS
    remind_after: Annotated[int, Field(ge=5, le=MOST_MINUTES)] | None = None
    """Minutes after which somebody is told of a text that nobody has answered."""
    usage_alert: UsageAlert | None = None
    limits: LimitsSpec = Field(default_factory=LimitsSpec)
    callbacks: ClientCallbacksSpec | None = None


_OF_ALERT = {
    "segments_per_month": "alert_segments",
    "call_minutes_per_month": "alert_call_minutes",
    "halt": "alert_halts",
}
_OF_LIMITS = {
    "segments_per_hour": "limit_segments_hour",
    "segments_per_day": "limit_segments_day",
    "call_minutes_per_hour": "limit_minutes_hour",
    "call_minutes_per_day": "limit_minutes_day",
    "messages_per_phone_per_hour": "limit_phone_hour",
}
_NESTED = {"quiet_hours", "recipient_hours", "opt_words", "usage_alert", "limits", "callbacks"}


def find(session: Session, name: str) -> Client | None:
    """Return the client of that name, or None."""
    return session.scalar(select(Client).filter_by(name=name))


def save(session: Session, spec: ClientSpec, known: Client | None, by: str) -> Change[Client]:
    """Make a client, or change what ``spec`` gives of a known one.

    Its callbacks are saved by themselves, once the endpoints are known.
    """
    values, details = _columns(spec), dict[str, Told]()
    if known is not None and "twilio_enabled" in values:
        switch = enabling.enable if values.pop("twilio_enabled") else enabling.disable
        if switch(session, known, by):
            details["twilio_enabled"] = f"twilio {switch.__name__}d"
    row = known or Client(name=spec.name)
    details |= changes.write(session, row, values)
    if known is not None:
        _let_batches_go_on(known, details)
    return changes.note(session, Change(row, f"client {spec.name}", details, known is None), by)


def _columns(spec: ClientSpec) -> dict[str, Any]:
    """Return the columns of what ``spec`` gives; what is left out of a part stays as it is."""
    given = spec.model_fields_set
    values = {name: getattr(spec, name) for name in given - _NESTED - {"name"}}
    if "quiet_hours" in given:
        quiet = spec.quiet_hours
        values["quiet_from"] = quiet.begin if quiet else None
        values["quiet_to"] = quiet.end if quiet else None
    if "recipient_hours" in given:
        hours = spec.recipient_hours
        values["recipient_from"] = hours.begin if hours else None
        values["recipient_to"] = hours.end if hours else None
    if "opt_words" in given:
        values["opt_words"] = spec.opt_words.given()
    if "usage_alert" in given:
        values |= _part(spec.usage_alert or UsageAlert.model_validate(_NO_ALERT), _OF_ALERT)
    if "limits" in given:
        values |= _part(spec.limits, _OF_LIMITS)
    return values


_NO_ALERT = {"segments_per_month": None, "call_minutes_per_month": None, "halt": False}


def _part(part: Spec, names: Mapping[str, str]) -> dict[str, Any]:
    return {names[name]: getattr(part, name) for name in part.model_fields_set}


def _let_batches_go_on(client: Client, changed: Collection[str]) -> None:
    """Let batches look again whether there is room, where a limit is among what has changed."""
    if DEFAULT_LIMITS.keys() & set(changed):
        client.texts_held_until = client.calls_held_until = None


def limits(client: Client) -> dict[str, int | None]:
    """Return the limits of ``client`` in the shape of the configuration file."""
    return {name: getattr(client, column) for name, column in _OF_LIMITS.items()}


def halt(session: Session, client: Client, actor: str) -> bool:
    """Stop all sending of a client at once; return whether it was not stopped."""
    if client.halted_at is not None:
        return False
    client.halted_at = utcnow()
    audit.record(session, actor, "halt", f"sending of {client.name}", client.id)
    return True


def resume(session: Session, client: Client, actor: str) -> bool:
    """Let a client send again; return whether it was stopped."""
    if client.halted_at is None:
        return False
    client.halted_at = None
    audit.record(session, actor, "resume", f"sending of {client.name}", client.id)
    return True
