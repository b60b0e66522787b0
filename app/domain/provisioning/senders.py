"""Numbers and messaging services as people write them down, and who may send again.

What each does with texts and calls is in :mod:`app.domain.routing`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import audit, changes, named
from app.domain.changes import Change
from app.domain.mistakes import Reasons, Refused
from app.domain.provisioning.numbers import recognize
from app.domain.routing import routes
from app.domain.sending import breaker
from app.domain.specs import Address, Empty, Name, PerSecond, ServiceSid, Spec
from app.models.base import utcnow
from app.models.credential import Credential
from app.models.route import Destination
from app.models.sender import DEFAULT_RATES, Sender, SenderKind, SenderType
from app.models.suppression import SuppressionList

GIVEN_BACK = "given back to Twilio"
"""In the reason of a number that was released: such a one never sends again."""
MAX_NAME = 100
Columns = dict[str, Any]


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


def save_number(session: Session, client_id: str, spec: NumberSpec, by: str) -> Change[Sender]:
    """Write a number down, or change what is given of one that is there.

    :raises Refused: when it is another client's, names what is not there, or cannot become that.
    """
    known = _own(session, client_id, spec.number, "number")
    kind = spec.sender_type or recognize(spec.number)
    if known is not None and "kind" in spec.model_fields_set and known.kind is not spec.kind:
        _refuse_other_kind(session, known)
    values = _columns(session, client_id, spec, kind, known)
    if known is None or "kind" in spec.model_fields_set:
        values["kind"] = spec.kind
    if spec.kind is SenderKind.VERIFIED and (known is None or known.verified_at is None):
        values["verified_at"] = utcnow()
    row = known or Sender(client_id=client_id, address=spec.number)
    details = changes.write(session, row, values)
    change = Change(row, f"number {spec.number}", details, is_new=known is None)
    return changes.note(session, change, by)


def save_service(
    session: Session, client_id: str, spec: MessagingServiceSpec, by: str
) -> Change[Sender]:
    """Write a messaging service down, or change what is given of one; its numbers join it later.

    :raises Refused: when it is another client's, or names what is not there.
    """
    known = _own(session, client_id, spec.sid, "sid")
    known = known or named.find_service(session, client_id, spec.name)
    values = _columns(session, client_id, spec, spec.sender_type, known)
    values |= {"name": spec.name, "address": spec.sid}
    row = known or Sender(client_id=client_id, kind=SenderKind.MESSAGING_SERVICE)
    details = changes.write(session, row, values)
    change = Change(row, f"messaging service {spec.name}", details, is_new=known is None)
    return changes.note(session, change, by)


def join(session: Session, service: Sender, address: str, by: str) -> Change[Sender]:
    """Put a number into a messaging service, as it is at Twilio.

    :raises Refused: when the client has no such number, or it cannot be in this service.
    """
    number = named.find_number(session, service.client_id, address)
    if number is None:
        raise named.unknown("number", address)
    if number.kind is not SenderKind.TWILIO:
        raise Refused.because(
            f"{address} is verified only; a messaging service holds numbers at Twilio."
        )
    accounts = {
        session.get_one(Credential, one.credential_id).account_sid for one in (service, number)
    }
    if len(accounts) > 1:
        raise Refused.because(f"{address} and its messaging service are in different accounts.")
    details = changes.write(session, number, {"service_id": service.id})
    return changes.note(session, Change(number, f"number {address}", details), by)


def call(session: Session, sender: Sender, name: str, list_name: str, by: str) -> Change[Sender]:
    """Call a number ``name`` and have it keep to a suppression list; empty for none.

    A messaging service keeps its name, by which other things know it.

    :raises Refused: with every reason; nothing is changed then.
    """
    reasons, values = Reasons(), Columns()
    if sender.is_number:
        if len(name) > MAX_NAME:
            reasons.add(f"The name is longer than {MAX_NAME} characters.", "name")
        values["name"] = name[:MAX_NAME] or None
    if sender.kind is not SenderKind.VERIFIED:
        wanted = reasons.get(
            named.require, session, SuppressionList, sender.client_id, list_name, "suppression_list"
        ) if list_name else None  # fmt: skip
        values["suppression_list_id"] = wanted.id if wanted else None
    details = changes.write(session, sender, values)
    if reason := routes.conflict(session, sender):
        reasons.add(reason, "suppression_list")
    reasons.refuse_if_any()
    return changes.note(session, Change(sender, f"number {sender.address}", details), by)


def resume(session: Session, sender: Sender, by: str) -> bool:
    """Let a stopped or held number or service send again; return whether it was either.

    :raises Refused: when it was given back to Twilio.
    """
    held = breaker.release(session, breaker.keys_of(sender), sender.client_id, by)
    if sender.stopped_at is None:
        return held
    if GIVEN_BACK in (sender.stopped_reason or ""):
        raise Refused.because(
            f"{sender.address} has been given back to Twilio; it cannot send any more."
        )
    sender.stopped_at = sender.stopped_reason = None
    audit.record(session, by, "resume", f"number {sender.address}", sender.client_id)
    return True


def _own(session: Session, client_id: str, address: str, field: str) -> Sender | None:
    found = session.scalar(select(Sender).filter_by(address=address))
    if found is not None and found.client_id != client_id:
        raise Refused.because(f"{address} belongs to another client.", field)
    return found


def _columns(
    session: Session,
    client_id: str,
    spec: NumberSpec | MessagingServiceSpec,
    kind: SenderType,
    known: Sender | None,
) -> Columns:
    """Return what numbers and services share: all of a new one, what is given of a known one.

    A new type brings its rate.
    """
    given, values = spec.model_fields_set, Columns()
    if known is None or "sender_type" in given:
        values["type"] = kind
    if spec.rate is not None:
        values["rate"] = spec.rate
    elif known is None or ("sender_type" in given and known.type is not kind):
        values["rate"] = DEFAULT_RATES[kind]
    if spec.credential is not None:
        field = "credential"
        found = named.require(session, Credential, client_id, spec.credential, field)
        values["credential_id"] = found.id
    elif known is None:
        values["credential_id"] = _only_credential(session, client_id)
    if spec.suppression_list is not None:
        field = "suppression_list"
        chosen = named.require(session, SuppressionList, client_id, spec.suppression_list, field)
        values["suppression_list_id"] = chosen.id
    elif "suppression_list" in given:
        values["suppression_list_id"] = None
    return values


def _only_credential(session: Session, client_id: str) -> str:
    """Return the client's credential where there is no choice."""
    found = session.scalars(select(Credential.id).filter_by(client_id=client_id)).all()
    if len(found) != 1:
        raise Refused.because(
            f"“credential” is required: the client has {len(found) or 'no'} credentials.",
            "credential",
        )
    return found[0]


def _refuse_other_kind(session: Session, known: Sender) -> None:
    """Refuse to make a number with routes one that cannot have any."""
    for destination in Destination:
        if known.kind is SenderKind.TWILIO and routes.find_route(session, known, destination):
            raise Refused.because(
                f"{known.address} has a route for incoming {destination}, which only a number at"
                " Twilio can have; take the route away first.",
                "kind",
            )
