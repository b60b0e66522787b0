"""The client to which the key belongs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from sqlalchemy import select

from app.api.auth import Caller
from app.api.operation import operation
from app.api.problem import not_found
from app.api.reading import Shape
from app.domain.clients import settings as client_settings
from app.extensions import db
from app.models.client import Client
from app.models.credential import Credential, Scope, confirmation_of


class CredentialObject(Shape):
    """A Twilio account of the client's; what it is opened with is never shown."""

    name: str
    account_sid: str
    state: Literal["confirmed", "unconfirmed", "refused"] = Field(
        description="Whether Twilio has taken the account's SID and token: `unconfirmed` until it"
        " could be asked. Sends wait unless it is `confirmed`."
    )


class LimitsObject(Shape):
    """The most that may go out, as support has set it; null is none."""

    segments_per_hour: int | None
    segments_per_day: int | None
    call_minutes_per_hour: int | None
    call_minutes_per_day: int | None
    messages_per_phone_per_hour: int | None = Field(description="Texts and calls to one phone.")


class HoursObject(Shape):
    """A span of the day, past midnight where it ends before it begins."""

    from_: str = Field(alias="from", description="`09:00`.")
    to: str


class ClientObject(Shape):
    """A department that uses Dispatch."""

    id: str
    name: str
    twilio_enabled: bool = Field(description="Until support has enabled it, every send is refused.")
    international: bool = Field(
        description="Whether phones outside the US and Canada may be sent to."
    )
    trial: bool = Field(description="Sends reach the phones of `allowList` only.")
    allow_list: list[str]
    twiml_hosts: list[str] = Field(
        description="Hosts that the TwiML of calls may ask or report to, beside those of the"
        " endpoints and of `handle_yourself`."
    )
    sip_domains: list[str] = Field(description="Domains whose SIP addresses TwiML may call.")
    halted: bool = Field(description="Whether support has stopped all sending.")
    limits: LimitsObject = Field(
        description="Over them a message is 429 with `Retry-After`; batches wait."
    )
    denied_networks: list[str] = Field(
        description="Networks to which the client's endpoints and callbacks may not lead, as"
        " support decided."
    )
    time_zone: str
    retention_days: int = Field(description="How long the log keeps messages.")
    remind_after: int | None = Field(
        description="Minutes after which somebody is told of a text that nobody has answered."
    )
    recipient_hours: HoursObject | None = Field(
        description="When batches reach people, in the zone of each one's area code; whoever is"
        " outside waits."
    )
    line_type_lookup: bool = Field(
        description="Whether Twilio Lookup tells landlines apart before texts of batches go out;"
        " they are `refused` then."
    )
    approval_above: int | None = Field(
        description="Batches of more members than this are `awaiting_approval` until somebody else"
        " approves them."
    )
    credentials: list[CredentialObject] = Field(description="The client's Twilio accounts.")


@operation("GET", "/client", Scope.READ, {200: ClientObject})
def show(caller: Caller) -> ClientObject:
    """Show the client to which the key belongs.

    The first call to make: it proves that the key works.
    """
    client = db.session.get(Client, caller.client_id)
    if client is None:
        raise not_found("client")
    return ClientObject(
        id=client.id,
        name=client.name,
        twilio_enabled=client.twilio_enabled,
        international=client.international,
        trial=client.trial,
        allow_list=client.allow_list,
        twiml_hosts=client.twiml_hosts,
        sip_domains=client.sip_domains,
        halted=client.halted_at is not None,
        limits=LimitsObject.model_validate(client_settings.limits(client)),
        denied_networks=client.denied_networks,
        time_zone=client.time_zone,
        retention_days=client.retention_days,
        remind_after=client.remind_after,
        recipient_hours=_hours(client),
        line_type_lookup=client.line_type_lookup,
        approval_above=client.approval_above,
        credentials=_credentials(client.id),
    )


def _hours(client: Client) -> HoursObject | None:
    if client.recipient_from is None or client.recipient_to is None:
        return None
    return HoursObject.model_validate({"from": client.recipient_from, "to": client.recipient_to})


def _credentials(client_id: str) -> list[CredentialObject]:
    """Return the accounts without reading their secrets."""
    found = db.session.execute(
        select(
            Credential.name,
            Credential.account_sid,
            Credential.unconfirmed_since,
            Credential.stopped_at,
        )
        .where(Credential.client_id == client_id)
        .order_by(Credential.name)
    )
    return [
        CredentialObject(name=name, account_sid=sid, state=confirmation_of(unconfirmed, stopped))
        for name, sid, unconfirmed, stopped in found
    ]
