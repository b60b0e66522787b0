"""What has to be set at Twilio, number by number, as the routes here need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Select, or_, select

from app.domain import aside, mistakes, reach
from app.domain.clients.accounts import client_of
from app.domain.provisioning import number_settings
from app.extensions import current_settings, db
from app.models.client import Client
from app.models.credential import Credential
from app.models.route import Destination, Route
from app.models.sender import Sender, SenderKind
from app.twilio.client import TwilioClient


@dataclass(frozen=True)
class Wanted:
    """One number or service as it has to be; plain values, which need no session."""

    client: str
    client_id: str
    address: str
    sid: str | None
    service_sid: str | None
    kind: SenderKind
    settings: Mapping[str, str | bool]

    @property
    def is_number(self) -> bool:
        """Whether it is a phone number rather than a messaging service."""
        return self.kind is not SenderKind.MESSAGING_SERVICE


@dataclass(frozen=True)
class WantedAccount:
    """One credential, with whatever of its account has to be set."""

    id: str
    """Of the credential."""
    twilio: TwilioClient
    wanted: list[Wanted] = field(default_factory=list)


def what_is_asked(
    client_name: str | None, sender_id: str | None
) -> Select[Sender, Client, Credential]:
    """Return the query of what is to be compared.

    :raises Refused: when there is no such client.
    """
    query = (
        select(Sender, Client, Credential)
        .join(Client, Client.id == Sender.client_id)
        .join(Credential, Credential.id == Sender.credential_id)
        .where(
            or_(Sender.kind != SenderKind.VERIFIED, Sender.verified_at.is_not(None)),
            # What may not send still receives; what was given back has no id of Twilio's.
            or_(
                Sender.stopped_at.is_(None),
                Sender.twilio_sid.is_not(None),
                Sender.kind == SenderKind.VERIFIED,
            ),
        )
        .order_by(Sender.id)
    )
    if client_name is not None:
        if db.session.scalar(select(Client.id).filter_by(name=client_name)) is None:
            raise mistakes.Refused.because(f"There is no client “{client_name}”.")
        query = query.where(Client.name == client_name)
    return query if sender_id is None else query.where(Sender.id == sender_id)


def wanted_accounts(asked: Select[Sender, Client, Credential]) -> list[WantedAccount]:
    """Read everything that is needed, so that no transaction is open while Twilio is asked."""
    credentials = asked.with_only_columns(Credential.id).order_by(None).distinct()
    accounts = aside.one_by_one(
        "audit", sorted(db.session.scalars(credentials)), str,
        lambda one: _wanted_account(asked.where(Credential.id == one)),
    )  # fmt: skip
    db.session.rollback()
    return accounts


def _wanted_account(query: Select[Sender, Client, Credential]) -> WantedAccount:
    """Read what one account's numbers and services have to be."""
    base = current_settings().public_base_url
    rows = db.session.execute(query).all()
    clients = {client.id for _, client, _ in rows}
    ours = select(Route).where(Route.client_id.in_(clients), Route.parent_id.is_(None))
    routes = {(route.sender_id, route.destination): route for route in db.session.scalars(ours)}
    named = {sender.service_id for sender, _, _ in rows if sender.service_id}
    services = dict(
        db.session.execute(select(Sender.id, Sender.address).where(Sender.id.in_(named))).all()
    )
    account = WantedAccount(rows[0][2].id, client_of(rows[0][2]))
    for sender, client, credential in rows:
        sms = routes.get((sender.id, Destination.SMS))
        voice = routes.get((sender.id, Destination.VOICE))
        if reach.handing_over(reach.standing(client, sender, credential)):
            sms = voice = None  # whatever they are: Twilio asks us, who know better
        settings: Mapping[str, str | bool] = {}
        if sender.kind is SenderKind.TWILIO:
            settings = number_settings.for_number(base, sms, voice)
        elif sender.kind is SenderKind.MESSAGING_SERVICE:
            settings = number_settings.for_service(base, sms)
        account.wanted.append(
            Wanted(
                client.name, client.id, sender.address, sender.twilio_sid,
                services.get(sender.service_id or ""), sender.kind, settings,
            )
        )  # fmt: skip
    return account
