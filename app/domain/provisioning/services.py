"""Messaging services at Twilio: created with their own inbound settings, and numbers put in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from app.domain import audit
from app.domain.mistakes import Refused
from app.domain.provisioning import number_settings
from app.domain.provisioning.numbers import Account, require_enabled
from app.domain.routing import routes
from app.extensions import current_settings, db, unit_of_work
from app.models.sender import DEFAULT_RATES, Sender, SenderKind, SenderType
from app.twilio import failures, results
from app.twilio.failures import Uncertain


def create_service(where: Account, name: str, by: str) -> Sender:
    """Create a messaging service, with its own inbound settings.

    :raises Refused: when Twilio is not enabled for the client.
    :raises TwilioFailure: when Twilio refuses, or cannot be asked. After
        :class:`~app.twilio.failures.Uncertain` the service is looked up before this gives up.
    """
    require_enabled(where)
    settings = number_settings.for_service(current_settings().public_base_url, None)
    friendly = name[: number_settings.MAX_NAME]
    try:
        made = where.twilio.create_service(friendly, **settings)
    except Uncertain:
        made = _made_after_all(where, friendly, settings)
    with unit_of_work() as session:
        kind = SenderType.LONG_CODE
        service = Sender(
            client_id=where.client_id, credential_id=where.credential_id,
            kind=SenderKind.MESSAGING_SERVICE, address=made.sid, twilio_sid=made.sid, name=name,
            type=kind, rate=DEFAULT_RATES[kind],
        )  # fmt: skip
        session.add(service)
        audit.record(session, by, "create", f"messaging service {name}", where.client_id)
    return service


def _made_after_all(where: Account, friendly: str, settings: Mapping[str, Any]) -> results.Service:
    """Find the service that Twilio made although its answer was lost.

    :raises Uncertain: when there is none, or not one only.
    """
    known = set(db.session.scalars(select(Sender.address)))
    db.session.rollback()
    found = [
        one
        for one in where.twilio.list_services()
        if one.friendly_name == friendly
        and one.sid not in known
        and one.inbound_request_url == settings["inbound_request_url"]
    ]
    if len(found) != 1:
        raise Uncertain(
            f"Twilio did not say whether it made the service; its account has {len(found)} of that"
            " name which Dispatch does not know. Look there before trying again."
        )
    return found[0]


def add_to_service(where: Account, service_id: str, number_id: str, by: str) -> None:
    """Put a number into a messaging service, here first, where a conflict can still be refused.

    :raises Refused: when suppression list and routes of the two exclude each other.
    :raises TwilioFailure: when Twilio refuses, or cannot be asked; nothing has changed then, unless
        nobody knows, which the audit shows.
    """
    service, number = db.session.get_one(Sender, service_id), db.session.get_one(Sender, number_id)
    service_sid, number_sid, before = service.address, number.twilio_sid, number.service_id
    if number_sid is None:
        raise Refused.because(f"Dispatch does not know Twilio's id of {number.address}; import it.")
    with unit_of_work() as session:
        number = session.get_one(Sender, number_id)
        number.service_id = service_id
        session.flush()
        if reason := routes.conflict(session, number):
            raise Refused.because(reason)
    try:
        pool = {one.sid for one in where.twilio.list_service_numbers(service_sid)}
        if number_sid not in pool:
            where.twilio.add_number_to_service(service_sid, number_sid)
    except (failures.RefusedByTwilio, failures.NotSent):
        with unit_of_work() as session:
            session.get_one(Sender, number_id).service_id = before
        raise
    with unit_of_work() as session:
        audit.record(
            session, by, "update", f"{number.address} joins {service.name}", where.client_id
        )
