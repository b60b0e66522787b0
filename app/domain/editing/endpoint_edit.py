"""Endpoints as people set them up: a name and a web address, with a secret shown once."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.domain import audit, deletion, mistakes, named, urls
from app.domain.editing.specs import EndpointSpec
from app.domain.mistakes import Refused
from app.domain.relaying import endpoints, notices, signing
from app.models.client import Client
from app.models.endpoint import Endpoint, EndpointKind, EndpointSecret


def create(
    session: Session, client_id: str, name: str, url: str, actor: str
) -> tuple[Endpoint, str]:
    """Set up a webhook; return it with its signing secret, to be shown once.

    :raises Refused: with everything that is wrong with the name or the URL.
    """
    spec = mistakes.parse(EndpointSpec, {"name": name, "url": url})
    if named.find_endpoint(session, client_id, spec.name) is not None:
        raise Refused.because(f"There is an endpoint “{spec.name}” already.", "name")
    endpoint = Endpoint(
        client_id=client_id, kind=EndpointKind.WEBHOOK, name=spec.name, url=spec.url
    )
    session.add(endpoint)
    session.flush()
    secret = signing.new_secret()
    session.add(EndpointSecret(endpoint_id=endpoint.id, secret=secret))
    audit.record(session, actor, "create", f"endpoint {spec.name}", client_id, {"url": spec.url})
    return endpoint, secret


def leaves(endpoint: Endpoint, url: str) -> bool:
    """Tell whether ``url`` is at another origin than the endpoint: that is an owner's to decide."""
    try:
        return urls.origin(url) != urls.origin(endpoint.url)
    except ValueError:
        return False  # no address at all: `move` says so


def move(session: Session, endpoint: Endpoint, url: str, actor: str) -> str | None:
    """Let a webhook be told at another URL.

    At another origin there is somebody else, perhaps: the endpoint gets a new secret at once, waits
    until a test has been taken there, and the client's owner is told.

    :returns: the new secret, to be shown once; None where the origin, and so the secret, stays.
    :raises Refused: when the URL may not be used.
    """
    spec = mistakes.parse(EndpointSpec, {"name": endpoint.name, "url": url})
    if spec.url == endpoint.url:
        return None
    before, leaving = endpoint.url, leaves(endpoint, spec.url)
    endpoint.url = spec.url
    target = f"endpoint {endpoint.name}"
    details = {"url": [before, spec.url]}
    audit.record(session, actor, "change", target, endpoint.client_id, details)
    if not leaving:
        return None
    secret = endpoints.begin_anew(session, endpoint)
    client = session.get_one(Client, endpoint.client_id)
    notices.notify(
        session,
        client.owner_email,
        f"The endpoint {endpoint.name} is at another address now",
        f"{actor} moved the endpoint {endpoint.name} of {client.name}\nfrom {before}\nto"
        f" {spec.url}\n\nIt has a new signing secret and is paused until a test has been taken"
        " there. If that is not what you want, move it back.\n",
    )
    return secret


def remove(session: Session, endpoint: Endpoint, actor: str) -> None:
    """Delete an endpoint that nothing uses and the log does not know.

    :raises Refused: when something uses it; the sentence says what.
    """
    if not deletion.in_use(session, endpoint):
        session.execute(delete(EndpointSecret).filter_by(endpoint_id=endpoint.id))
    deletion.delete_thing(session, endpoint)
    audit.record(session, actor, "delete", f"endpoint {endpoint.name}", endpoint.client_id)
