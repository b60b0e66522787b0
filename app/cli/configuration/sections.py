"""What a client has, section by section: each item is saved by the module of its thing.

What is only the command's is here: whom it leaves alone, and what it says of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import StringConstraints
from sqlalchemy import select

from app.cli.configuration.work import ACTOR, Scope, Work
from app.domain import changes, mistakes, named, passwords
from app.domain.audience import populations, suppression_lists
from app.domain.audience.populations import PopulationSpec
from app.domain.audience.suppression_lists import SuppressionListSpec
from app.domain.changes import Change
from app.domain.clients import api_keys, people
from app.domain.clients.api_keys import ApiKeySpec
from app.domain.clients.people import SupportUserSpec, UserSpec
from app.domain.content import catalog, recordings
from app.domain.content.catalog import TemplateSpec
from app.domain.hours import hours
from app.domain.hours.hours import HoursSpec
from app.domain.mistakes import Refused
from app.domain.provisioning import credentials, senders
from app.domain.provisioning.credentials import CredentialSpec
from app.domain.provisioning.senders import MessagingServiceSpec, NumberSpec
from app.domain.relaying import callbacks, saved_credentials, webhooks
from app.domain.relaying.callbacks import ClientCallbacksSpec
from app.domain.relaying.saved_credentials import SavedCredentialSpec
from app.domain.relaying.webhooks import EndpointSpec
from app.domain.rotas import rotas
from app.domain.rotas.rotas import RotaSpec
from app.domain.sending import authoring, confirmation
from app.domain.sending.authoring import CommunicationSpec
from app.domain.sending.twiml_rules import TwimlRules
from app.domain.specs import Name, Spec
from app.extensions import db
from app.models.audience import Population
from app.models.client import Client
from app.models.credential import Credential, SavedCredential
from app.models.hours import Hours
from app.models.rota import Rota
from app.models.suppression import SuppressionList
from app.models.template import Template, TemplateKind
from app.models.user import Role, User

Saver = Callable[[Work, Scope, Any], Change[Any] | None]


@dataclass(frozen=True)
class Section:
    """A list of the file: what may be written in it, and how an item is saved."""

    spec: type[Spec]
    save: Saver


def apply(work: Work, scope: Scope, name: str) -> None:
    """Save the items of one section."""
    section = SECTIONS[name]
    items = work.items(scope, name, section.spec)
    # Owners come first, so that one may hand over to another.
    for path, spec in sorted(items, key=lambda one: getattr(one[1], "role", None) is Role.STAFF):
        with work.at(scope, path):
            work.took(scope, section.save(work, scope, spec))


def support_users(work: Work, house: Scope) -> None:
    """Make accounts for the people of Dispatch Support."""
    for path, spec in work.items(house, "support_users", SupportUserSpec):
        with work.at(house, path):
            work.took(house, changes.note(work.session, _account(work, spec, True), ACTOR))


def _account(work: Work, spec: SupportUserSpec, is_support: bool = False) -> Change[User]:
    """Make the person's account if need be. A password is set at creation only."""
    is_new = people.find(work.session, spec.email) is None
    hashed = passwords.hash_password(spec.password) if is_new and spec.password else None
    if is_new and hashed is None:
        work.notes.append(
            f"! {spec.email} has no password yet: `flask user add {spec.email}` sets one."
        )
    return people.account(work.session, spec.email, hashed, is_support=is_support)


def _user(work: Work, scope: Scope, spec: UserSpec) -> Change[Any]:
    role = spec.role if "role" in spec.model_fields_set else None
    user = _account(work, spec).row
    return people.join(work.session, scope.known_client, user, role, ACTOR)


def _api_key(work: Work, scope: Scope, spec: ApiKeySpec) -> Change[Any] | None:
    known = api_keys.find(work.session, scope.client_id, spec.label)
    if api_keys.is_revoked(known, spec):
        work.note(scope, f"API key {spec.label} was revoked and stays so; give it another key.")
        return None
    return api_keys.save(work.session, scope.client_id, spec, known, ACTOR)


def _saved_credential(work: Work, scope: Scope, spec: SavedCredentialSpec) -> Change[Any]:
    known = named.find(work.session, SavedCredential, scope.client_id, spec.name)
    return saved_credentials.save(work.session, scope.client_id, spec, known, ACTOR)


def _suppression_list(work: Work, scope: Scope, spec: SuppressionListSpec) -> Change[Any]:
    known = named.find(work.session, SuppressionList, scope.client_id, spec.name)
    if known is not None and not work.force:
        off = suppression_lists.taken_off(work.session, known, spec.entries)
        for phone in off:
            said = f"was taken off suppression list {spec.name} and stays off"
            work.note(scope, f"{phone} {said}; --force puts it back.")
        spec.entries = [phone for phone in spec.entries if phone not in off]
    return suppression_lists.save(work.session, scope.client_id, spec, known, ACTOR)


def _population(work: Work, scope: Scope, spec: PopulationSpec) -> Change[Any]:
    known = named.find(work.session, Population, scope.client_id, spec.name)
    return populations.save(work.session, scope.client_id, spec, known, ACTOR)


def _endpoint(work: Work, scope: Scope, spec: EndpointSpec) -> Change[Any]:
    known = named.find_endpoint(work.session, scope.client_id, spec.name)
    change, secret = webhooks.save(work.session, scope.client_id, spec, known, ACTOR)
    if secret is not None:
        work.secrets.append((scope.known_client.name, spec.name, secret))
    return change


class RecordingSpec(Spec):
    """An audio file beside the configuration file."""

    name: Name
    file: Annotated[str, StringConstraints(min_length=1, max_length=500)]


def _recording(work: Work, scope: Scope, spec: RecordingSpec) -> Change[Any]:
    content = _content(work, spec.file)
    client = scope.known_client
    return recordings.save(work.session, client, spec.name, spec.file, content, ACTOR)


def _hours(work: Work, scope: Scope, spec: HoursSpec) -> Change[Any]:
    """Keep office hours; their calendar is a file beside the configuration file."""
    if spec.calendar is not None:
        content = _content(work, spec.calendar, "calendar")
        spec.calendar = content.decode("utf-8-sig", errors="replace")
    known = named.find(work.session, Hours, scope.client_id, spec.name)
    return hours.save(work.session, scope.client_id, spec, known, ACTOR)


def _rota(work: Work, scope: Scope, spec: RotaSpec) -> Change[Any]:
    known = named.find(work.session, Rota, scope.client_id, spec.name)
    return rotas.save(work.session, scope.client_id, spec, known, ACTOR)


def _content(work: Work, name: str, field: str = "file") -> bytes:
    folder = work.folder.resolve()
    file = (folder / name).resolve()
    if not file.is_relative_to(folder):
        raise Refused.because(f"“{name}” is outside the configuration file's folder.", field)
    try:
        with file.open("rb") as opened:
            return opened.read(recordings.MAX_BYTES + 1)
    except OSError as error:
        raise Refused.because(
            f"“{name}” cannot be read: {(error.strerror or 'it failed').lower()}.", field
        ) from None


def _template(work: Work, scope: Scope, spec: TemplateSpec) -> Change[Any] | None:
    """Give a template a new version where it differs, unless a person wrote the current one."""
    known = named.find(work.session, Template, scope.client_id, spec.name)
    if known is not None and known.kind is spec.kind and not work.force:
        current = catalog.current_version(work.session, known)
        differs = (current.body, list(current.media)) != (spec.body, spec.media)
        if differs and current.created_by != ACTOR:
            wrong = catalog.template_mistakes(spec.name, spec.kind, spec.body, spec.media)
            if found := list(wrong):
                raise Refused(found)
            work.left_alone(scope, f"template {spec.name}", current.created_by)
            return None
    saved = catalog.save(work.session, scope.known_client, spec, known, ACTOR)
    caution = catalog.unanswered(spec.kind, spec.body) if saved else None
    if caution is None:
        return saved
    return replace(saved, details={**saved.details, "unanswered": caution.rstrip(".")})


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


def ask_about_credentials(data: Any) -> confirmation.Words:
    """Ask Twilio about the accounts of a file that are new or changed, before its transaction.

    What cannot be read is left out here; it is told as a mistake later.
    """
    logins: list[confirmation.Login] = []
    for client in _mappings(data, "clients"):
        for item in _mappings(client, "credentials"):
            with suppress(Refused):
                spec = mistakes.parse(CredentialSpec, item)
                query = select(Credential).join(Client, Client.id == Credential.client_id)
                known = db.session.scalar(
                    query.where(
                        Client.name == str(client.get("name")), Credential.name == spec.name
                    )
                )
                logins += credentials.logins_to_ask(spec, known)
    db.session.rollback()
    return confirmation.ask(logins)


def _mappings(data: Any, name: str) -> list[Mapping[str, Any]]:
    """Return the items of a section that have a shape at all."""
    items = data.get(name) if isinstance(data, Mapping) else None
    return [one for one in items if isinstance(one, Mapping)] if isinstance(items, list) else []


def _credential(work: Work, scope: Scope, spec: CredentialSpec) -> Change[Any]:
    known = named.find(work.session, Credential, scope.client_id, spec.name)
    saved = credentials.save(work.session, scope.client_id, spec, known, ACTOR, work.words)
    if saved.row.unconfirmed_since is not None:
        work.note(scope, f"credential {spec.name} {confirmation.UNCONFIRMED}")
    return saved


def _number(work: Work, scope: Scope, spec: NumberSpec) -> Change[Any]:
    return senders.save_number(work.session, scope.client_id, spec, ACTOR)


def _service(work: Work, scope: Scope, spec: MessagingServiceSpec) -> Change[Any]:
    return senders.save_service(work.session, scope.client_id, spec, ACTOR)


def service_numbers(work: Work, scope: Scope) -> None:
    """Put the numbers named in the file into the messaging services."""
    members: dict[str, str] = {}
    for path, spec in work.items(scope, "messaging_services", MessagingServiceSpec):
        service = named.find_service(work.session, scope.client_id, spec.sid)
        if service is None:
            continue  # what is wrong with it has been told
        for index, address in enumerate(spec.numbers):
            with work.at(scope, (*path, "numbers", index)):
                if members.setdefault(address, spec.name) != spec.name:
                    raise Refused.because(
                        f"{address} is in the messaging service “{members[address]}” already;"
                        " a number is in one only."
                    )
                work.took(scope, senders.join(work.session, service, address, ACTOR))


def default_callbacks(work: Work, scope: Scope) -> None:
    """Set whom the client wants told where a communication or message does not say."""
    data = scope.data.get("callbacks")
    try:
        spec = mistakes.parse(ClientCallbacksSpec, {} if data is None else data)
    except Refused:
        return  # noted already, with the client's other settings
    with work.at(scope, (*scope.path, "callbacks")):
        client = scope.known_client
        work.took(scope, callbacks.save_defaults(work.session, client, spec, ACTOR))


def _communication(work: Work, scope: Scope, spec: CommunicationSpec) -> Change[Any]:
    known = authoring.find(work.session, scope.client_id, spec.campaign, spec.name)
    return authoring.save(work.session, scope.client_id, spec, known, ACTOR, granting=True)


SECTIONS: dict[str, Section] = {
    "api_keys": Section(ApiKeySpec, _api_key),
    "users": Section(UserSpec, _user),
    "credentials": Section(CredentialSpec, _credential),
    "saved_credentials": Section(SavedCredentialSpec, _saved_credential),
    "suppression_lists": Section(SuppressionListSpec, _suppression_list),
    "populations": Section(PopulationSpec, _population),
    "recordings": Section(RecordingSpec, _recording),
    "templates": Section(TemplateSpec, _template),
    "endpoints": Section(EndpointSpec, _endpoint),
    "hours": Section(HoursSpec, _hours),
    "rotas": Section(RotaSpec, _rota),
    "numbers": Section(NumberSpec, _number),
    "messaging_services": Section(MessagingServiceSpec, _service),
    "communications": Section(CommunicationSpec, _communication),
}
"""The lists of a client, in the order in which they are saved."""
