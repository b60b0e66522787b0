"""Numbers come and go: searched, bought, taken over, released.

Twilio is asked outside of transactions. What was bought and could not be written down is found
again by :func:`import_numbers`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import audit, phone_kinds, phones
from app.domain.clients.accounts import client_of
from app.domain.mistakes import Refused
from app.domain.provisioning import number_settings
from app.domain.routing import routes
from app.extensions import current_settings, db, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.communication import Communication
from app.models.credential import Credential
from app.models.message import Message, MessageState
from app.models.route import Destination
from app.models.sender import DEFAULT_RATES, Sender, SenderKind, SenderType
from app.twilio import failures, results
from app.twilio.client import TwilioClient
from app.twilio.failures import Uncertain
from app.twilio.numbers import Capability, NumberType

log = structlog.get_logger(__name__)

NOT_ENABLED = "Twilio is not enabled for {name}; grant it first with: flask client enable {name}"

SOMEBODY_ELSES = (
    "{phone} is in the log of another client, whose number it is or was; choose another."
)


@dataclass(frozen=True)
class Account:
    """A client's credential, and how Twilio is asked with it. Plain values and no session."""

    client_id: str
    client_name: str
    credential_id: str
    credential_name: str
    twilio: TwilioClient


def account(client_name: str, credential_name: str | None = None) -> Account:
    """Return the account by which a client uses Twilio.

    :param credential_name: may be left out where the client has one credential.
    :raises Refused: when there is no such client or credential, or it is not clear which.
    """
    client = db.session.scalar(select(Client).filter_by(name=client_name))
    if client is None:
        raise Refused.because(f"There is no client “{client_name}”.")
    found = db.session.scalars(select(Credential).filter_by(client_id=client.id)).all()
    if credential_name is not None:
        found = [one for one in found if one.name == credential_name]
    if len(found) != 1:
        known = ", ".join(one.name for one in found) or "none"
        raise Refused.because(
            f"Name one credential of {client_name} (there is {known})."
            if credential_name is None
            else f"{client_name} has no credential “{credential_name}”."
        )
    made = Account(client.id, client.name, found[0].id, found[0].name, client_of(found[0]))
    db.session.rollback()  # nothing is read while Twilio is asked
    return made


def search(
    where: Account,
    area_code: str | None,
    locality: str | None,
    toll_free: bool,
    limit: int,
    capabilities: Sequence[Capability] = ("sms", "voice"),
) -> list[results.AvailableNumber]:
    """Return numbers for sale that have all of ``capabilities``.

    Those in ``locality`` come first, as the institution's registered area; then others of the area
    code.
    """
    kind: NumberType = "toll_free" if toll_free else "local"

    def ask(place: str | None) -> list[results.AvailableNumber]:
        return where.twilio.search_numbers(
            area_code=area_code, locality=place, kind=kind, limit=limit, capabilities=capabilities
        )

    near = ask(locality) if locality else []
    if len(near) < limit:
        known = {one.phone_number for one in near}
        more = ask(None)
        near += [one for one in more if one.phone_number not in known]
    near.sort(key=lambda one: one.locality != locality)
    return near[:limit]


def buy(where: Account, phone: str, by: str) -> Sender:
    """Buy ``phone`` and set it up in the same request, so that it is never without webhooks.

    :raises Refused: when Twilio is not enabled for the client, or another client has the number.
    :raises TwilioFailure: when Twilio refuses, or cannot be asked. After
        :class:`~app.twilio.failures.Uncertain` the number is looked up before this gives up.
    """
    phone = phones.normalize(phone)
    require_enabled(where)
    _require_nobody_elses(where, phone)
    settings = number_settings.for_number(current_settings().public_base_url, None, None)
    wanted = {name: value for name, value in settings.items() if value}
    try:
        bought = where.twilio.buy_number(
            phone, friendly_name=_friendly(where.client_name), **wanted
        )
    except Uncertain:
        mine = [one for one in where.twilio.list_numbers(phone) if one.phone_number == phone]
        if not mine:
            raise
        bought = mine[0]
    taken = _take_in(where, [bought], by, "buy")
    if not taken:
        raise Refused.because(SOMEBODY_ELSES.format(phone=phone))
    return taken[0]


def import_numbers(where: Account, chosen: Iterable[str], by: str) -> list[Sender]:
    """Take over numbers that the account has already; all of them when none is named.

    Their webhooks stay as they are until they are repaired.

    :raises Refused: when the account lacks one of ``chosen``.
    """
    wanted = {phones.normalize(one, short_codes=True) for one in chosen}
    require_enabled(where)
    found = where.twilio.list_numbers()
    missing = wanted - {one.phone_number for one in found}
    if missing:
        raise Refused.because(f"The account has no number {', '.join(sorted(missing))}.")
    return _take_in(
        where, [one for one in found if not wanted or one.phone_number in wanted], by, "import"
    )


def recognize(phone: str) -> SenderType:
    """Return the kind of sender that a number is, from its digits."""
    kind = phone_kinds.classify(phone)
    if kind is phone_kinds.Kind.SHORT_CODE:
        return SenderType.SHORT_CODE
    return SenderType.TOLL_FREE if kind is phone_kinds.Kind.TOLL_FREE else SenderType.LONG_CODE


def why_not_release(session: Session, sender: Sender) -> list[str]:
    """Return what still uses a number, in sentences; it may be released when there is nothing."""
    reasons = [
        f"The communication “{name}” sends from it."
        for name in session.scalars(
            select(Communication.name).where(Communication.sender_id == sender.id)
        )
    ]
    waiting = session.scalar(
        select(Message.id)
        .where(
            Message.sender_id == sender.id,
            Message.state.in_((MessageState.WAITING, MessageState.CLAIMED, MessageState.UNKNOWN)),
        )
        .limit(1)
    )
    if waiting is not None:
        reasons.append("Messages are waiting to go out from it.")
    return reasons


def release(where: Account, sender_id: str, by: str) -> None:
    """Give a number back to Twilio, for good. Its log stays; it can no longer send.

    It stops sending first. When Twilio surely keeps it, it goes on as before; when nobody knows,
    it stays stopped, and releasing it again settles that.

    :raises Refused: while something uses it.
    :raises TwilioFailure: when Twilio refuses, or cannot be asked.
    """
    sid, before = _stop_for_release(sender_id)
    try:
        where.twilio.release_number(sid)
    except failures.RefusedByTwilio as refused:
        if refused.status != 404:  # it is gone already
            _set_stopped(sender_id, *before)
            raise
    except failures.NotSent:
        _set_stopped(sender_id, *before)
        raise
    with unit_of_work() as session:
        sender = session.get_one(Sender, sender_id)
        sender.stopped_reason = "it has been given back to Twilio"
        sender.twilio_sid = sender.service_id = None
        for destination in Destination:
            routes.clear_route(session, sender, destination)
        audit.record(session, by, "release", sender.address, where.client_id)


def _stop_for_release(sender_id: str) -> tuple[str, tuple[datetime | None, str | None]]:
    """Stop a number; return Twilio's id of it, and whether it was stopped before and why."""
    with unit_of_work() as session:
        sender = session.get_one(Sender, sender_id)
        sid, address = sender.twilio_sid, sender.address
        if reasons := why_not_release(session, sender):
            raise Refused.because(f"{address} is in use. {' '.join(reasons)}")
        if sid is None:
            raise Refused.because(f"Dispatch does not know Twilio's id of {address}; import it.")
        before = sender.stopped_at, sender.stopped_reason
        sender.stopped_at, sender.stopped_reason = utcnow(), "it is being given back to Twilio"
    return sid, before


def _set_stopped(sender_id: str, at: datetime | None, reason: str | None) -> None:
    with unit_of_work() as session:
        sender = session.get_one(Sender, sender_id)
        sender.stopped_at, sender.stopped_reason = at, reason


def _take_in(where: Account, found: list[results.Number], by: str, action: str) -> list[Sender]:
    """Write down numbers of the account; one that was given back before comes to life again."""
    with unit_of_work() as session:
        taken = []
        for number in found:
            sender = session.scalar(select(Sender).filter_by(address=number.phone_number))
            if sender is not None and sender.client_id != where.client_id:
                log.warning("another client's number was skipped", number=sender.address)
                continue
            if sender is None:
                kind = recognize(number.phone_number)
                sender = Sender(
                    client_id=where.client_id, credential_id=where.credential_id,
                    kind=SenderKind.TWILIO, address=number.phone_number, type=kind,
                    rate=DEFAULT_RATES[kind],
                )  # fmt: skip
                session.add(sender)
                audit.record(session, by, action, number.phone_number, where.client_id)
            elif sender.twilio_sid is None or sender.kind is SenderKind.VERIFIED:
                sender.kind, sender.credential_id = SenderKind.TWILIO, where.credential_id
                sender.stopped_at = sender.stopped_reason = None
                audit.record(session, by, action, number.phone_number, where.client_id)
            sender.twilio_sid = number.sid
            taken.append(sender)
    return taken


def require_enabled(where: Account) -> None:
    """Go on only if the client may use Twilio.

    :raises Refused: otherwise, with what support does to enable it.
    """
    client = db.session.get_one(Client, where.client_id)
    enabled = client.twilio_enabled
    db.session.rollback()
    if not enabled:
        raise Refused.because(NOT_ENABLED.format(name=where.client_name))


def _require_nobody_elses(where: Account, phone: str) -> None:
    sender = db.session.scalar(select(Sender).filter_by(address=phone))
    taken = sender is not None and sender.client_id != where.client_id
    db.session.rollback()
    if taken:
        raise Refused.because(SOMEBODY_ELSES.format(phone=phone))


def _friendly(name: str) -> str:
    return f"Dispatch: {name}"[: number_settings.MAX_NAME]
