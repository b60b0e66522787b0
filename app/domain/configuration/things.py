"""What a client keeps: credentials, lists, people, recordings, templates, endpoints."""

from __future__ import annotations

import base64
import secrets
from collections import defaultdict
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from app.domain import named, phones
from app.domain.configuration.work import ACTOR, Scope, Work, given
from app.domain.content import catalog, recordings
from app.domain.editing.specs import (
    CredentialSpec,
    EndpointSpec,
    PopulationSpec,
    RecordingSpec,
    SavedCredentialSpec,
    SuppressionListSpec,
    TemplateSpec,
)
from app.domain.mistakes import Refused
from app.domain.sending.twiml_rules import TwimlRules
from app.models.audience import Member, Population
from app.models.base import utcnow
from app.models.credential import Credential, SavedCredential
from app.models.endpoint import Endpoint, EndpointKind, EndpointSecret
from app.models.media import Recording
from app.models.suppression import (
    SCOPE_ALL,
    SuppressionEntry,
    SuppressionList,
    SuppressionSource,
)
from app.models.template import Template, TemplateKind

SECRET_OVERLAP = timedelta(hours=24)
"""How long events are signed with the old secret too, after the file gave a new one."""


def credentials(work: Work, scope: Scope) -> None:
    """Keep the client's Twilio accounts."""
    for path, spec in work.items(scope, "credentials", CredentialSpec):
        with work.at(scope, path):
            work.save(
                scope, f"credential {spec.name}", Credential,
                {"client_id": scope.client_id, "name": spec.name},
                spec.model_dump(exclude={"name"}), given(spec),
            )  # fmt: skip


def saved_credentials(work: Work, scope: Scope) -> None:
    """Keep log-ins for callbacks to plain URLs."""
    for path, spec in work.items(scope, "saved_credentials", SavedCredentialSpec):
        with work.at(scope, path):
            values, names = spec.model_dump(exclude={"name", "origins"}), given(spec)
            if "origins" in names:
                values |= {"origins_chosen": spec.origins is not None}
                values |= {"origins": spec.origins} if spec.origins is not None else {}
                names = (names - {"origins"}) | (values.keys() & {"origins", "origins_chosen"})
            work.save(
                scope, f"saved credential {spec.name}", SavedCredential,
                {"client_id": scope.client_id, "name": spec.name}, values, names,
            )  # fmt: skip


def suppression_lists(work: Work, scope: Scope) -> None:
    """Keep suppression lists, and put the entries of the file on them."""
    for path, spec in work.items(scope, "suppression_lists", SuppressionListSpec):
        with work.at(scope, path):
            target = f"suppression list {spec.name}"
            key = {"client_id": scope.client_id, "name": spec.name}
            kept = work.save(scope, target, SuppressionList, key, {})
            _suppress(work, scope, target, kept, spec.entries)


def _suppress(
    work: Work, scope: Scope, target: str, kept: SuppressionList, wanted: list[str]
) -> None:
    query = select(SuppressionEntry).filter_by(
        list_id=kept.id, scope=SCOPE_ALL, source=SuppressionSource.MANUAL
    )
    known = {entry.phone: entry for entry in work.session.scalars(query)} if wanted else {}
    added = 0
    for phone in dict.fromkeys(wanted):
        entry = known.get(phone)
        if entry is not None and entry.lifted_at is None:
            continue
        if entry is None:
            work.session.add(
                SuppressionEntry(
                    list_id=kept.id, phone=phone, scope=SCOPE_ALL,
                    source=SuppressionSource.MANUAL, since=utcnow(),
                )
            )  # fmt: skip
        elif work.force:
            entry.since, entry.lifted_at = utcnow(), None
        else:
            work.note(scope, f"{phone} was taken off {target} and stays off; --force puts it back.")
            continue
        added += 1
    if added:
        work.session.flush()
        work.changed(scope, "update", target, [f"{_count(added, 'phone')} added"])


def populations(work: Work, scope: Scope) -> None:
    """Keep populations; members are added or changed, never removed."""
    for path, spec in work.items(scope, "populations", PopulationSpec):
        with work.at(scope, path):
            target = f"population {spec.name}"
            key = {"client_id": scope.client_id, "name": spec.name}
            population = work.save(scope, target, Population, key, {})
            added, updated = _members(work, population, spec.members)
            details = [f"{_count(added, 'member')} added"] if added else []
            details += [f"{_count(updated, 'member')} changed"] if updated else []
            if details:
                work.session.flush()
                work.changed(scope, "update", target, details)


def _members(work: Work, population: Population, wanted: list[dict[str, str]]) -> tuple[int, int]:
    """Bring the members up to date; return how many were added and how many changed.

    A member is known by its phone, or else its e-mail address. Several may share one (two
    students, one parent): those whose attributes agree are matched first.
    """
    if not wanted:
        return 0, 0
    rest: dict[str, list[Member]] = defaultdict(list)
    query = select(Member).filter_by(population_id=population.id).order_by(Member.id)
    for member in work.session.scalars(query):
        rest[_who(member.attributes)].append(member)
    unmatched = []
    for attributes in wanted:
        same = rest[_who(attributes)]
        exact = next((member for member in same if member.attributes == attributes), None)
        if exact is not None:
            same.remove(exact)
        else:
            unmatched.append(attributes)
    updated = 0
    for attributes in unmatched:
        if same := rest[_who(attributes)]:
            same.pop(0).attributes = attributes
            updated += 1
        else:
            work.session.add(Member(population_id=population.id, attributes=attributes))
    return len(unmatched) - updated, updated


def _who(attributes: dict[str, Any]) -> str:
    phone, address = attributes.get("toPhone"), attributes.get("toAddress")
    if phone:
        try:
            return phones.normalize(str(phone))
        except phones.InvalidPhone:
            return str(phone)
    return str(address).strip().lower() if address else repr(sorted(attributes.items()))


def add_recordings(work: Work, scope: Scope) -> None:
    """Read the audio files beside the configuration file."""
    for path, spec in work.items(scope, "recordings", RecordingSpec):
        with work.at(scope, path):
            content = _content(work, spec.file)
            target = f"recording {spec.name}"
            before = named.find(work.session, Recording, scope.client_id, spec.name)
            digest = before.sha256 if before else None
            after = recordings.add_recording(
                work.session, scope.known_client, spec.name, spec.file, content
            )
            if before is None:
                work.changed(scope, "create", target, [f"{len(content):,} bytes"])
            elif after.sha256 != digest:
                work.changed(scope, "update", target, [f"{len(content):,} bytes"])


def _content(work: Work, name: str) -> bytes:
    folder = work.folder.resolve()
    file = (folder / name).resolve()
    if not file.is_relative_to(folder):
        raise Refused.because(f"“{name}” is outside the configuration file's folder.", "file")
    try:
        with file.open("rb") as opened:
            return opened.read(recordings.MAX_BYTES + 1)
    except OSError as error:
        raise Refused.because(
            f"“{name}” cannot be read: {(error.strerror or 'it failed').lower()}.", "file"
        ) from None


def templates(work: Work, scope: Scope) -> None:
    """Give templates a new version where they differ, unless a person wrote the current one."""
    for path, spec in work.items(scope, "templates", TemplateSpec):
        with work.at(scope, path):
            target = f"template {spec.name}"
            before = named.find(work.session, Template, scope.client_id, spec.name)
            if before is not None and before.kind is spec.kind and not work.force:
                current = catalog.current_version(work.session, before)
                differs = (current.body, list(current.media)) != (spec.body, spec.media)
                if differs and current.created_by != ACTOR:
                    wrong = catalog.template_mistakes(spec.name, spec.kind, spec.body, spec.media)
                    if found := list(wrong):
                        raise Refused(found)
                    work.left_alone(scope, target, current.created_by)
                    continue
            template, changed = catalog.save_template(
                work.session, scope.known_client, spec.name, spec.kind, spec.body, spec.media, ACTOR
            )
            if before is None:
                work.changed(scope, "create", target, [])
            elif changed:
                work.changed(scope, "update", target, [f"version {template.current_version}"])


def twiml_rules(work: Work, scope: Scope) -> None:
    """Make sure that calls go on to nothing but the client's own: its numbers and endpoints, which
    may come further down in the file, are known by now.
    """
    rules = TwimlRules(work.session, scope.known_client).problems
    for path, spec in work.items(scope, "templates", TemplateSpec):
        if spec.kind is TemplateKind.VOICE:
            with work.at(scope, path):
                found = [*catalog.template_mistakes(spec.name, spec.kind, spec.body, [], rules)]
                if found:
                    raise Refused(found)


def endpoints(work: Work, scope: Scope) -> None:
    """Keep the client's webhooks; one without a secret gets one, which is shown this once."""
    for path, spec in work.items(scope, "endpoints", EndpointSpec):
        with work.at(scope, path):
            target = f"endpoint {spec.name}"
            known = named.find_endpoint(work.session, scope.client_id, spec.name)
            endpoint = work.save(
                scope, target, Endpoint,
                {"client_id": scope.client_id, "kind": EndpointKind.WEBHOOK, "name": spec.name},
                {"url": spec.url},
            )  # fmt: skip
            if known is None and spec.secret is None:
                secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
                work.session.add(EndpointSecret(endpoint_id=endpoint.id, secret=secret))
                work.secrets.append((scope.known_client.name, spec.name, secret))
            elif spec.secret is not None:
                _set_secret(work, scope, target, endpoint, spec.secret, is_new=known is None)


def _set_secret(
    work: Work, scope: Scope, target: str, endpoint: Endpoint, secret: str, *, is_new: bool
) -> None:
    query = select(EndpointSecret).filter_by(endpoint_id=endpoint.id, expires_at=None)
    current = list(work.session.scalars(query))
    if any(one.secret == secret for one in current):
        return
    for one in current:
        one.expires_at = utcnow() + SECRET_OVERLAP
    work.session.add(EndpointSecret(endpoint_id=endpoint.id, secret=secret))
    if not is_new:
        details = ["secret changed; the old one signs too for 24 hours"]
        work.changed(scope, "update", target, details)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"
