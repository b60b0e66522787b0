"""What numbers and messaging services do with texts and calls, once all numbers are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from app.cli.configuration.work import ACTOR, Scope, Work
from app.domain import changes, phones
from app.domain.changes import Change
from app.domain.mistakes import Path, Refused
from app.domain.routing import routes
from app.models.route import Destination
from app.models.sender import Sender


def apply_routes(work: Work, scope: Scope) -> None:
    """Set the routes, once all numbers of all clients are known."""
    for path, sender, data in _written(work, scope):
        for destination in Destination:
            if destination in data:
                with work.at(scope, (*path, destination.value)):
                    _apply_route(work, scope, sender, destination, data[destination])
    for path, sender, _data in _written(work, scope):
        with work.at(scope, path):
            reason = routes.conflict(work.session, sender)
            if reason and not _has_mistake(work, path):
                field = () if sender.suppression_list_id is None else ("suppression_list",)
                raise Refused.because(reason, *field)


def _apply_route(
    work: Work, scope: Scope, sender: Sender, destination: Destination, data: object
) -> None:
    spec = routes.parse(destination, data)
    target = f"route {sender.name or sender.address} {destination}"
    before = routes.find_route(work.session, sender, destination)
    if before is not None:
        differs = routes.describe(before) != routes.shape(spec)
        if differs and before.updated_by != ACTOR and not work.force:
            routes.check(work.session, sender, destination, spec)
            work.left_alone(scope, target, before.updated_by)
            return
        if not differs:
            return
    route = routes.save_route(work.session, sender, destination, spec, ACTOR)
    details = {"route": routes.sentence(route)}
    change = Change(route, target, details, is_new=before is None)
    work.took(scope, changes.note(work.session, change, ACTOR))


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
