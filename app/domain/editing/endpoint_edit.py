"""Endpoints as people set them up: a name and a web address, with a secret shown once."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.domain import audit, deletion, mistakes, named
from app.domain.editing.specs import EndpointSpec
from app.domain.mistakes import Refused
from app.domain.relaying import signing
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


def move(session: Session, endpoint: Endpoint, url: str, actor: str) -> bool:
    """Let a webhook be told at another URL; return whether that is new.

    :raises Refused: when the URL may not be used.
    """
    spec = mistakes.parse(EndpointSpec, {"name": endpoint.name, "url": url})
    if spec.url == endpoint.url:
        return False
    endpoint.url = spec.url
    target = f"endpoint {endpoint.name}"
    audit.record(session, actor, "change", target, endpoint.client_id, {"url": spec.url})
    return True


def remove(session: Session, endpoint: Endpoint, actor: str) -> None:
    """Delete an endpoint that nothing uses and the log does not know.

    :raises Refused: when something uses it; the sentence says what.
    """
    if not deletion.in_use(session, endpoint):
        session.execute(delete(EndpointSecret).filter_by(endpoint_id=endpoint.id))
    deletion.delete_thing(session, endpoint)
    audit.record(session, actor, "delete", f"endpoint {endpoint.name}", endpoint.client_id)
