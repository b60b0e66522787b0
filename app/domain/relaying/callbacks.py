"""Callbacks: which address is told of which event, for a client, a communication or a message."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain import changes, named, urls
from app.domain.changes import Change
from app.domain.mistakes import Mistake, Refused
from app.domain.plain_urls import PLACEHOLDER, STRUCTURED, structured
from app.domain.specs import Name, Spec, Trimmed
from app.models.audience import Member, people_of
from app.models.client import Client
from app.models.communication import Callback, CallbackEvent, Communication
from app.models.credential import SavedCredential
from app.models.endpoint import Endpoint, EndpointKind
from app.models.message import Message


def _plain_url(url: str) -> str:
    sample = PLACEHOLDER.sub("x", url)
    if wrong := STRUCTURED.intersection(PLACEHOLDER.findall(url)):
        raise ValueError(_no_room(sorted(wrong)[0]))
    if "{{" in sample or "}}" in sample:
        raise ValueError(f"“{url}” has a placeholder that is not written like {{{{ batchId }}}}.")
    if reason := urls.refusal(sample, called_by_us=True):
        raise ValueError(reason)
    if PLACEHOLDER.search(url.split("://", 1)[-1].partition("/")[0].partition("?")[0]):
        raise ValueError(
            f"“{url}” has a placeholder in its host; only path and query may have one."
        )
    if len(url) > urls.MAX_URL:
        raise ValueError(f"The web address is too long; at most {urls.MAX_URL} are allowed.")
    return url


def _no_room(name: str) -> str:
    return (
        f"“{name}” is a list or an object, for which a web address has no room. Use an endpoint,"
        " or POST, whose body has it."
    )


class CallbackSpec(Spec):
    """One of the client's endpoints, or a plain URL with placeholders."""

    endpoint: Name | None = None
    url: Annotated[str, Trimmed, AfterValidator(_plain_url)] | None = None
    method: Literal["GET", "POST"] = "POST"
    credential: Name | None = None
    """The saved credential with which a plain URL is called."""

    @model_validator(mode="after")
    def _one_receiver(self) -> CallbackSpec:
        if (self.endpoint is None) == (self.url is None):
            raise ValueError("Give either “endpoint” or “url”, not both and not neither.")
        if self.endpoint and (self.model_fields_set & {"method", "credential"}):
            raise ValueError("“method” and “credential” belong to a plain “url”.")
        return self


class CallbacksSpec(Spec):
    """Which receiver is told of what; what is not named is told to the client's default."""

    message_status: CallbackSpec | None = None
    message_sent: CallbackSpec | None = None
    message_problem: CallbackSpec | None = None
    complete: CallbackSpec | None = None


class ClientCallbacksSpec(CallbacksSpec):
    """A client's defaults, and who is told of what belongs to no message."""

    mail_bounced: CallbackSpec | None = None
    conversation_assigned: CallbackSpec | None = None


def save_callbacks(
    session: Session,
    client_id: str,
    spec: CallbacksSpec,
    *,
    communication: Communication | None = None,
    message: Message | None = None,
) -> list[CallbackEvent]:
    """Let each event that ``spec`` mentions go to its receiver; null takes a callback away.

    What ``spec`` does not mention stays as it is. Without a communication or a message these are
    the client's defaults.

    :returns: the events whose receiver changed.
    :raises Refused: with every reason at once; nothing is changed then.
    """
    receivers, mistakes = _receivers(session, client_id, _wanted(spec))
    if communication is not None and communication.population_id is not None:
        mistakes += _without_room(session, communication.population_id, spec)
    if message is not None:
        mistakes += structured_in(spec, message.member or {})
    if mistakes:
        raise Refused(mistakes)
    owner = {
        "communication_id": communication.id if communication else None,
        "message_id": message.id if message else None,
    }
    changed = []
    for event, receiver in receivers.items():
        found = session.scalar(
            select(Callback).filter_by(client_id=client_id, event=event, **owner)
        )
        if receiver is None and found is not None:
            session.delete(found)
        elif receiver is not None and found is None:
            session.add(
                Callback(client_id=client_id, event=event, endpoint_id=receiver.id, **owner)
            )
        elif receiver is not None and found is not None and found.endpoint_id != receiver.id:
            found.endpoint_id = receiver.id
        else:
            continue
        changed.append(event)
    session.flush()
    return changed


def save_defaults(
    session: Session, client: Client, spec: ClientCallbacksSpec, by: str
) -> Change[Client]:
    """Let these be told where a communication or a message names nobody, for an owner.

    :raises Refused: with every reason at once.
    """
    grant(session, client.id, spec)
    changed = save_callbacks(session, client.id, spec)
    target = ", ".join(f"callback {event}" for event in changed)
    return changes.note(session, Change(client, target, dict.fromkeys(changed, "")), by)


def grant(session: Session, client_id: str, spec: CallbacksSpec) -> None:
    """Let saved credentials go to the origins for which an owner names them in ``spec``.

    To be called before :func:`save_callbacks`, for an owner, an admin key or the configuration file
    only. A credential whose origins were written down goes nowhere else.
    """
    for callback in _wanted(spec).values():
        if callback is None or callback.credential is None or callback.url is None:
            continue
        saved = named.find(session, SavedCredential, client_id, callback.credential)
        place = urls.origin(callback.url)
        if saved is not None and not saved.origins_chosen and place not in saved.origins:
            saved.origins = [*saved.origins, place]
    session.flush()


def mistakes_in(
    session: Session, client_id: str, spec: CallbacksSpec, member: Mapping[str, Any]
) -> list[Mistake]:
    """Return every reason for which :func:`save_callbacks` would refuse ``spec``.

    :param member: the attributes of the message's person.
    """
    return [*_receivers(session, client_id, _wanted(spec))[1], *structured_in(spec, member)]


def structured_in(spec: CallbacksSpec, member: Mapping[str, Any]) -> list[Mistake]:
    """Return the placeholders of plain URLs for which a person has a list or an object."""
    return [
        Mistake((event.value, "url"), _no_room(name), "structured")
        for event, one in _wanted(spec).items()
        if one is not None and one.url is not None
        for name in structured(one.url, member)
    ]


def structured_for(
    session: Session, communication: Communication, members: Sequence[Mapping[str, Any]]
) -> list[Mistake]:
    """Return the attributes of members for which a communication's plain URLs have no room."""
    urls_of_it = session.scalars(
        select(Endpoint.url)
        .join(Callback, Callback.endpoint_id == Endpoint.id)
        .where(Callback.communication_id == communication.id, Endpoint.kind == EndpointKind.PLAIN)
    ).all()
    return [
        Mistake(("members", place, name), _no_room(name), "structured")
        for place, member in enumerate(members)
        for name in dict.fromkeys(name for url in urls_of_it for name in structured(url, member))
    ]


def _without_room(session: Session, population_id: str, spec: CallbacksSpec) -> list[Mistake]:
    """Return the placeholders for which somebody of a population has a list or an object."""
    return [
        Mistake((event.value, "url"), _no_room(name), "structured")
        for event, one in _wanted(spec).items()
        if one is not None and one.url is not None
        for name in dict.fromkeys(PLACEHOLDER.findall(one.url))
        if _somebody_has_structure(session, population_id, name)
    ]


def _somebody_has_structure(session: Session, population_id: str, name: str) -> bool:
    value = Member.attributes[name]
    if session.get_bind().dialect.name == "postgresql":
        kind = func.json_typeof(value)
    else:
        kind = func.json_type(Member.attributes, f'$."{name}"')
    found = select(Member.id).where(people_of(population_id), kind.in_(("array", "object")))
    return session.scalar(found.limit(1)) is not None


def describe(session: Session, callback: Callback) -> dict[str, Any]:
    """Return the callback as people write it."""
    endpoint = session.get_one(Endpoint, callback.endpoint_id)
    if endpoint.kind is not EndpointKind.PLAIN:
        return {"endpoint": endpoint.name}
    data: dict[str, Any] = {"url": endpoint.url, "method": endpoint.method}
    if endpoint.saved_credential_id:
        data["credential"] = session.get_one(SavedCredential, endpoint.saved_credential_id).name
    return data


def _wanted(spec: CallbacksSpec) -> dict[CallbackEvent, CallbackSpec | None]:
    return {CallbackEvent(name): getattr(spec, name) for name in spec.model_fields_set}


def _receivers(
    session: Session, client_id: str, wanted: dict[CallbackEvent, CallbackSpec | None]
) -> tuple[dict[CallbackEvent, Endpoint | None], list[Mistake]]:
    """Return the endpoint of each event; new plain ones are made only when all is well."""
    mistakes: list[Mistake] = []
    known: dict[CallbackEvent, Endpoint | None] = {}
    plain: dict[CallbackEvent, tuple[CallbackSpec, str | None]] = {}
    for event, spec in wanted.items():
        try:
            if spec is None:
                known[event] = None
            elif spec.endpoint is not None:
                known[event] = named.endpoint(
                    session, client_id, spec.endpoint, event.value, "endpoint"
                )
            else:
                plain[event] = spec, _saved_credential(session, client_id, spec, event)
        except Refused as refused:
            mistakes.extend(refused.mistakes)
    if not mistakes:
        for event, (spec, credential_id) in plain.items():
            known[event] = _plain_endpoint(session, client_id, spec, credential_id)
    return known, mistakes


def _saved_credential(
    session: Session, client_id: str, spec: CallbackSpec, event: CallbackEvent
) -> str | None:
    if spec.credential is None:
        return None
    path = (event.value, "credential")
    saved = named.require(session, SavedCredential, client_id, spec.credential, *path)
    place = urls.origin(spec.url or "")
    if place not in saved.origins:
        raise Refused.because(
            f"The saved credential “{saved.name}” may not be sent to {place}: an owner has to add"
            " that address to it first.",
            *path,
        )
    return saved.id


def _plain_endpoint(
    session: Session, client_id: str, spec: CallbackSpec, credential_id: str | None
) -> Endpoint:
    """Return the endpoint of a plain URL; the same URL, method and log-in share one."""
    url = spec.url or ""
    identity = "\n".join((spec.method, url, credential_id or ""))
    host = urlsplit(url).hostname or ""
    name = f"{host[:200]} {hashlib.sha256(identity.encode()).hexdigest()[:32]}"
    found = session.scalar(
        select(Endpoint).filter_by(client_id=client_id, kind=EndpointKind.PLAIN, name=name)
    )
    if found is None:
        found = Endpoint(
            client_id=client_id,
            kind=EndpointKind.PLAIN,
            name=name,
            url=url,
            method=spec.method,
            saved_credential_id=credential_id,
        )
        session.add(found)
        session.flush()
    return found
