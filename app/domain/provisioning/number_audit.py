"""Are numbers and messaging services set at Twilio as their routes need? If not, repaired."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from sqlalchemy import Select, or_, select

from app.domain import aside, audit, mistakes, reach
from app.domain.clients.accounts import client_of
from app.domain.provisioning import caller_ids, number_settings
from app.domain.provisioning.differences import (
    CALLER_ID,
    MISSING,
    POOL,
    REFUSED,
    UNCHECKED,
    Difference,
)
from app.domain.relaying import notices
from app.extensions import current_settings, db, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.credential import Credential
from app.models.route import Destination, Route
from app.models.sender import Sender, SenderKind
from app.twilio.client import TwilioClient
from app.twilio.failures import TwilioFailure
from app.twilio.results import Number, Service

log = structlog.get_logger(__name__)

SET_ASIDE = "Dispatch stumbled over its account and has set it aside (flask doctor says why)"


@dataclass(frozen=True)
class _Wanted:
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
class _Account:
    id: str
    """Of the credential."""
    twilio: TwilioClient
    wanted: list[_Wanted] = field(default_factory=list)


def run(
    client_name: str | None = None, sender_id: str | None = None, *, keep: bool = True
) -> list[Difference]:
    """Compare everything (or one client's, or one number or service) with what Twilio has.

    What cannot be asked about is a difference too: nobody should take silence for agreement.

    :param keep: stop caller IDs that Twilio has no more, and let those go on that it has again.
    """
    return _each(client_name, sender_id, lambda one: _look_over(one, keep))


def _look_over(account: _Account, keep: bool) -> list[Difference]:
    found = list(_compare(account))
    if keep:
        wrong = {wanted.address: difference.setting for difference, wanted in found}
        asked = (
            one.address
            for one in account.wanted
            if one.kind is SenderKind.VERIFIED and wrong.get(one.address) != UNCHECKED
        )
        caller_ids.keep({one: wrong.get(one) == CALLER_ID for one in asked})
    return [difference for difference, _ in found]


def repair(
    by: str, client_name: str | None = None, sender_id: str | None = None
) -> list[Difference]:
    """Put right what can be put right; return what could not.

    A number that left the account cannot be brought back from here.
    """
    return _each(client_name, sender_id, lambda one: _repair_account(one, by))


def _repair_account(account: _Account, by: str) -> list[Difference]:
    changes: dict[str, list[tuple[Difference, _Wanted]]] = {}
    for difference, wanted in _compare(account):
        changes.setdefault(wanted.address, []).append((difference, wanted))
    return [left for of_one in changes.values() for left in _repair_one(account.twilio, of_one, by)]


def tell_support(found: list[Difference]) -> None:
    """Mail support about differences: once a day for the same ones."""
    if not found:
        return
    lines = "\n".join(f"- {one.sentence}" for one in found)
    with unit_of_work() as session:
        notices.notify(
            session,
            current_settings().support_email,
            f"Dispatch: {len(found)} settings at Twilio are not as they should be",
            f"{lines}\n\nPut them right with: flask numbers repair\n",
            dedupe_key=f"audit:{utcnow():%Y-%m-%d}:{lines}",
        )


def _each(
    client_name: str | None, sender_id: str | None, do: Callable[[_Account], list[Difference]]
) -> list[Difference]:
    """Do something about each account; of one that is set aside, say that nobody has looked."""
    asked = _asked(client_name, sender_id)
    found = dict(
        aside.one_by_one(
            "audit", _accounts(asked), lambda one: one.id, lambda one: (one.id, do(one))
        )
    )
    return [one for differences in found.values() for one in differences] + _unseen(asked, found)


def _unseen(asked: Select[Sender, Client, Credential], seen: Collection[str]) -> list[Difference]:
    """Return what belongs to the other accounts: nobody has compared it."""
    rows = db.session.execute(
        asked.where(Credential.id.not_in(seen)).with_only_columns(Client.name, Sender.address)
    ).all()
    db.session.rollback()
    return [Difference(client, address, UNCHECKED, SET_ASIDE, "") for client, address in rows]


def _asked(client_name: str | None, sender_id: str | None) -> Select[Sender, Client, Credential]:
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


def _accounts(asked: Select[Sender, Client, Credential]) -> list[_Account]:
    """Read everything that is needed, so that no transaction is open while Twilio is asked."""
    credentials = asked.with_only_columns(Credential.id).order_by(None).distinct()
    accounts = aside.one_by_one(
        "audit", sorted(db.session.scalars(credentials)), str,
        lambda one: _account(asked.where(Credential.id == one)),
    )  # fmt: skip
    db.session.rollback()
    return accounts


def _account(query: Select[Sender, Client, Credential]) -> _Account:
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
    account = _Account(rows[0][2].id, client_of(rows[0][2]))
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
            _Wanted(
                client.name, client.id, sender.address, sender.twilio_sid,
                services.get(sender.service_id or ""), sender.kind, settings,
            )
        )  # fmt: skip
    return account


@dataclass(frozen=True)
class _Found:
    """What the account has."""

    numbers: dict[str, Number]
    """By phone number."""
    services: dict[str, Service]
    """By SID."""
    pools: dict[str, str]
    """The SID of the service that a number is in, by the number's SID."""
    caller_ids: frozenset[str]
    """The numbers of others that are verified."""


def _compare(account: _Account) -> Iterator[tuple[Difference, _Wanted]]:
    try:
        verified = any(wanted.kind is SenderKind.VERIFIED for wanted in account.wanted)
        found = _look(account.twilio, verified)
    except TwilioFailure as error:
        for wanted in account.wanted:
            yield _difference(wanted, UNCHECKED, str(error)), wanted
        return
    for wanted in account.wanted:
        if wanted.kind is SenderKind.VERIFIED:
            if wanted.address not in found.caller_ids and wanted.address not in found.numbers:
                yield _difference(wanted, CALLER_ID), wanted
        elif not wanted.is_number:
            yield from _compare_service(found, wanted)
        elif wanted.address.startswith("+"):
            # Short codes are leased and set up in Twilio's console, not by this API.
            yield from _compare_number(found, wanted)


def _look(twilio: TwilioClient, verified: bool) -> _Found:
    services = {one.sid: one for one in twilio.list_services()}
    return _Found(
        {one.phone_number: one for one in twilio.list_numbers()},
        services,
        {one.sid: sid for sid in services for one in twilio.list_service_numbers(sid)},
        frozenset(twilio.list_caller_ids() if verified else ()),
    )


def _compare_number(found: _Found, wanted: _Wanted) -> Iterator[tuple[Difference, _Wanted]]:
    number = found.numbers.get(wanted.address)
    if number is None:
        yield _difference(wanted, MISSING), wanted
        return
    wanted = replace(wanted, sid=number.sid)
    yield from _compare_settings(number, wanted)
    service_sid = found.pools.get(number.sid)
    if wanted.service_sid is not None and service_sid != wanted.service_sid:
        yield _difference(wanted, POOL, value=wanted.service_sid), wanted
    elif (
        service_sid is not None
        and wanted.service_sid is None
        and not found.services[service_sid].use_inbound_webhook_on_number
    ):
        yield _difference(wanted, POOL, service_sid), wanted


def _compare_service(found: _Found, wanted: _Wanted) -> Iterator[tuple[Difference, _Wanted]]:
    service = found.services.get(wanted.address)
    if service is None:
        yield _difference(wanted, MISSING), wanted
        return
    yield from _compare_settings(service, wanted)


def _compare_settings(found: object, wanted: _Wanted) -> Iterator[tuple[Difference, _Wanted]]:
    for name, value in wanted.settings.items():
        now = getattr(found, name)
        if now != value:
            yield _difference(wanted, name, _shown(now), _shown(value)), wanted


def _repair_one(
    twilio: TwilioClient, changes: list[tuple[Difference, _Wanted]], by: str
) -> list[Difference]:
    wanted = changes[0][1]
    names = {difference.setting for difference, _ in changes}
    settings: dict[str, Any] = {
        name: value for name, value in wanted.settings.items() if name in names
    }
    beyond_us = [
        difference
        for difference, _ in changes
        if difference.setting in (MISSING, CALLER_ID, UNCHECKED)
        or (difference.setting == POOL and not difference.wanted)
    ]
    try:
        if settings and wanted.is_number:
            twilio.update_number(wanted.sid or "", **settings)
        elif settings:
            twilio.update_service(wanted.address, **settings)
        if POOL in names and wanted.service_sid:
            twilio.add_number_to_service(wanted.service_sid, wanted.sid or "")
    except TwilioFailure as error:
        log.warning("a number could not be repaired", number=wanted.address, error=str(error))
        return [_difference(wanted, REFUSED, str(error))]
    repaired = sorted(names - {one.setting for one in beyond_us})
    if repaired:
        _note_repair(wanted, repaired, by)
    return beyond_us


def _note_repair(wanted: _Wanted, settings: list[str], by: str) -> None:
    with unit_of_work() as session:
        sender = session.scalars(select(Sender).filter_by(address=wanted.address)).one()
        sender.twilio_sid = wanted.sid or sender.twilio_sid
        audit.record(
            session, by, "repair", wanted.address, wanted.client_id, {"settings": settings}
        )


def _difference(wanted: _Wanted, setting: str, found: str = "", value: str = "") -> Difference:
    return Difference(wanted.client, wanted.address, setting, found, value)


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
