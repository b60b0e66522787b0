"""Numbers, messaging services, and what each does with incoming texts and calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from app.domain import named, phones
from app.domain.configuration.work import ACTOR, Scope, Work, given
from app.domain.editing.specs import MessagingServiceSpec, NumberSpec
from app.domain.mistakes import Path, Refused
from app.domain.provisioning import senders as known_senders
from app.domain.routing import routes
from app.models.base import utcnow
from app.models.credential import Credential
from app.models.route import Channel
from app.models.sender import DEFAULT_RATES, Sender, SenderKind, SenderType
from app.models.suppression import SuppressionList

Columns = dict[str, Any]


def numbers(work: Work, scope: Scope) -> None:
    """Keep the client's numbers; their routes come when everybody's numbers are known."""
    for path, spec in work.items(scope, "numbers", NumberSpec):
        with work.at(scope, path):
            known = _own(work, scope, spec.number, "number")
            kind = spec.sender_type or _type_of(spec.number)
            columns: Columns = {"kind": spec.kind, "type": kind}
            names = given(spec, sender_type="type", suppression_list="suppression_list_id")
            _add_rate(columns, names, known, spec.rate, kind)
            _add_references(work, scope, columns, names, known, spec)
            if spec.kind is SenderKind.VERIFIED and (known is None or known.verified_at is None):
                columns["verified_at"] = utcnow()
                names.add("verified_at")
            if known is not None and known.kind is not spec.kind and "kind" in names:
                _refuse_other_kind(work, known)
            _save(work, scope, f"number {spec.number}", spec.number, known, columns, names)


def messaging_services(work: Work, scope: Scope) -> None:
    """Keep messaging services, and put the numbers named in the file into them."""
    members: dict[str, str] = {}
    for path, spec in work.items(scope, "messaging_services", MessagingServiceSpec):
        with work.at(scope, path):
            target = f"messaging service {spec.name}"
            known = _own(work, scope, spec.sid, "sid") or known_senders.find_service(
                work.session, scope.client_id, spec.name
            )
            columns: Columns = {
                "kind": SenderKind.MESSAGING_SERVICE,
                "type": spec.sender_type,
                "name": spec.name,
                "address": spec.sid,
            }
            names = given(spec, sender_type="type", suppression_list="suppression_list_id")
            _add_rate(columns, names, known, spec.rate, spec.sender_type)
            _add_references(work, scope, columns, names, known, spec)
            names.add("address")
            service = _save(work, scope, target, spec.sid, known, columns, names)
            for index, address in enumerate(spec.numbers):
                with work.at(scope, (*path, "numbers", index)):
                    if members.setdefault(address, spec.name) != spec.name:
                        raise Refused.because(
                            f"{address} is in the messaging service “{members[address]}” already;"
                            " a number is in one only."
                        )
                    _join(work, scope, service, address)


def apply_routes(work: Work, scope: Scope) -> None:
    """Set the routes, once all numbers of all clients are known."""
    for path, sender, data in _written(work, scope):
        for channel in Channel:
            if channel in data:
                with work.at(scope, (*path, channel.value)):
                    _apply_route(work, scope, sender, channel, data[channel])
    for path, sender, _data in _written(work, scope):
        with work.at(scope, path):
            reason = routes.conflict(work.session, sender)
            if reason and not _has_mistake(work, path):
                field = () if sender.suppression_list_id is None else ("suppression_list",)
                raise Refused.because(reason, *field)


def _apply_route(work: Work, scope: Scope, sender: Sender, channel: Channel, data: object) -> None:
    spec = routes.parse(channel, data)
    target = f"route {sender.name or sender.address} {channel}"
    before = routes.find_route(work.session, sender, channel)
    if before is not None:
        differs = routes.describe(before) != routes.shape(spec)
        if differs and before.updated_by != ACTOR and not work.force:
            routes.check(work.session, sender, channel, spec)
            work.left_alone(scope, target, before.updated_by)
            return
        if not differs:
            return
    route = routes.save_route(work.session, sender, channel, spec, ACTOR)
    work.changed(scope, "create" if before is None else "update", target, [routes.sentence(route)])


def _written(work: Work, scope: Scope) -> Iterator[tuple[Path, Sender, dict[str, Any]]]:
    """Yield the senders that the file describes and that could be applied, with their routes."""
    for section, key in (("numbers", "number"), ("messaging_services", "sid")):
        items = scope.data.get(section)
        for index, data in enumerate(items if isinstance(items, list) else []):
            if not isinstance(data, dict):
                continue
            address = str(data.get(key))
            if key == "number":
                try:
                    address = phones.normalize(address, short_codes=True)
                except phones.InvalidPhone:
                    continue
            sender = work.session.scalar(
                select(Sender).filter_by(client_id=scope.client_id, address=address)
            )
            if sender is not None:
                yield (*scope.path, section, index), sender, data


def _has_mistake(work: Work, path: Path) -> bool:
    return any(mistake.path[: len(path)] == path for mistake in work.mistakes)


def _own(work: Work, scope: Scope, address: str, field: str) -> Sender | None:
    found = work.session.scalar(select(Sender).filter_by(address=address))
    if found is not None and found.client_id != scope.client_id:
        raise Refused.because(f"{address} belongs to another client.", field)
    return found


def _type_of(number: str) -> SenderType:
    kind = phones.classify(number)
    if kind is phones.Kind.SHORT_CODE:
        return SenderType.SHORT_CODE
    return SenderType.TOLL_FREE if kind is phones.Kind.TOLL_FREE else SenderType.LONG_CODE


def _add_rate(
    columns: Columns, names: set[str], known: Sender | None, rate: float | None, kind: SenderType
) -> None:
    """Set the rate: the given one, or the default of the type when that is new."""
    columns["rate"] = rate if rate is not None else DEFAULT_RATES[kind]
    names.discard("rate")
    if rate is not None or (known is not None and "type" in names and known.type is not kind):
        names.add("rate")


def _add_references(
    work: Work,
    scope: Scope,
    columns: Columns,
    names: set[str],
    known: Sender | None,
    spec: NumberSpec | MessagingServiceSpec,
) -> None:
    if spec.credential is not None:
        found = named.require(
            work.session, Credential, scope.client_id, spec.credential, "credential"
        )
        columns["credential_id"] = found.id
        names.add("credential_id")
    elif known is None:
        columns["credential_id"] = _only_credential(work, scope)
    if spec.suppression_list is not None:
        chosen = named.require(
            work.session, SuppressionList, scope.client_id, spec.suppression_list,
            "suppression_list",
        )  # fmt: skip
        columns["suppression_list_id"] = chosen.id
    else:
        columns["suppression_list_id"] = None


def _only_credential(work: Work, scope: Scope) -> str:
    """Return the client's credential where there is no choice."""
    query = select(Credential.id).filter_by(client_id=scope.client_id)
    found = work.session.scalars(query).all()
    if len(found) != 1:
        raise Refused.because(
            f"“credential” is required: the client has {len(found) or 'no'} credentials.",
            "credential",
        )
    return found[0]


def _refuse_other_kind(work: Work, known: Sender) -> None:
    """Refuse to make a number with routes one that cannot have any."""
    for channel in Channel:
        if known.kind is SenderKind.TWILIO and routes.find_route(work.session, known, channel):
            raise Refused.because(
                f"{known.address} has a route for incoming {channel}, which only a number at"
                " Twilio can have; take the route away first.",
                "kind",
            )


def _save(
    work: Work,
    scope: Scope,
    target: str,
    address: str,
    known: Sender | None,
    columns: Columns,
    names: set[str],
) -> Sender:
    if known is None:
        sender = Sender(client_id=scope.client_id, **({"address": address} | columns))
        work.create(sender)
        work.changed(scope, "create", target, [])
        return sender
    work.update(scope, target, known, {k: v for k, v in columns.items() if k in names})
    return known


def _join(work: Work, scope: Scope, service: Sender, address: str) -> None:
    number = known_senders.find_number(work.session, scope.client_id, address)
    if number is None:
        raise named.unknown("number", address)
    if number.kind is not SenderKind.TWILIO:
        raise Refused.because(
            f"{address} is verified only; a messaging service holds numbers at Twilio."
        )
    accounts = {
        work.session.get_one(Credential, one.credential_id).account_sid for one in (service, number)
    }
    if len(accounts) > 1:
        raise Refused.because(f"{address} and its messaging service are in different accounts.")
    if number.service_id != service.id:
        work.update(scope, f"number {address}", number, {"service_id": service.id})
