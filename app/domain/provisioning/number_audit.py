"""Are numbers and messaging services set at Twilio as their routes need? If not, repaired."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy import Select, select

from app.domain import aside, audit
from app.domain.provisioning import caller_ids
from app.domain.provisioning.differences import (
    CALLER_ID,
    MISSING,
    POOL,
    REFUSED,
    UNCHECKED,
    Difference,
)
from app.domain.provisioning.wanted import Wanted, WantedAccount, wanted_accounts, what_is_asked
from app.domain.relaying import notices
from app.extensions import current_settings, db, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.credential import Credential
from app.models.sender import Sender, SenderKind
from app.twilio.client import TwilioClient
from app.twilio.failures import TwilioFailure
from app.twilio.results import Number, Service

log = structlog.get_logger(__name__)

SET_ASIDE = "Dispatch stumbled over its account and has set it aside (flask doctor says why)"


def run(
    client_name: str | None = None, sender_id: str | None = None, *, keep: bool = True
) -> list[Difference]:
    """Compare everything (or one client's, or one number or service) with what Twilio has.

    What cannot be asked about is a difference too: nobody should take silence for agreement.

    :param keep: stop caller IDs that Twilio has no more, and let those go on that it has again.
    """
    return _each(client_name, sender_id, lambda one: _look_over(one, keep))


def _look_over(account: WantedAccount, keep: bool) -> list[Difference]:
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


def _repair_account(account: WantedAccount, by: str) -> list[Difference]:
    changes: dict[str, list[tuple[Difference, Wanted]]] = {}
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
    client_name: str | None, sender_id: str | None, do: Callable[[WantedAccount], list[Difference]]
) -> list[Difference]:
    """Do something about each account; of one that is set aside, say that nobody has looked."""
    asked = what_is_asked(client_name, sender_id)
    found = dict(
        aside.one_by_one(
            "audit", wanted_accounts(asked), lambda one: one.id, lambda one: (one.id, do(one))
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


def _compare(account: WantedAccount) -> Iterator[tuple[Difference, Wanted]]:
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


def _compare_number(found: _Found, wanted: Wanted) -> Iterator[tuple[Difference, Wanted]]:
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


def _compare_service(found: _Found, wanted: Wanted) -> Iterator[tuple[Difference, Wanted]]:
    service = found.services.get(wanted.address)
    if service is None:
        yield _difference(wanted, MISSING), wanted
        return
    yield from _compare_settings(service, wanted)


def _compare_settings(found: object, wanted: Wanted) -> Iterator[tuple[Difference, Wanted]]:
    for name, value in wanted.settings.items():
        now = getattr(found, name)
        if now != value:
            yield _difference(wanted, name, _shown(now), _shown(value)), wanted


def _repair_one(
    twilio: TwilioClient, changes: list[tuple[Difference, Wanted]], by: str
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


def _note_repair(wanted: Wanted, settings: list[str], by: str) -> None:
    with unit_of_work() as session:
        sender = session.scalars(select(Sender).filter_by(address=wanted.address)).one()
        sender.twilio_sid = wanted.sid or sender.twilio_sid
        audit.record(
            session, by, "repair", wanted.address, wanted.client_id, {"settings": settings}
        )


def _difference(wanted: Wanted, setting: str, found: str = "", value: str = "") -> Difference:
    return Difference(wanted.client, wanted.address, setting, found, value)


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
