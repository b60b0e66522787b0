"""Webhooks as people set them up: a name and a web address, with a secret that is shown once."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import audit, changes, mistakes, named, urls
from app.domain.changes import Change
from app.domain.mistakes import Refused
from app.domain.relaying import endpoints, notices, signing
from app.domain.specs import Name, OurAddress, SigningSecret, Spec
from app.models.client import Client
from app.models.endpoint import Endpoint, EndpointKind, EndpointSecret


class EndpointSpec(Spec):
    """The client's own system, told by signed JSON."""

    name: Name
    url: OurAddress
    secret: SigningSecret | None = None


def save(
    session: Session, client_id: str, spec: EndpointSpec, known: Endpoint | None, by: str
) -> tuple[Change[Endpoint], str | None]:
    """Set a webhook up, or give a known one what is written: its URL, and its secret if it has one.

    Another secret than before signs beside the old one for a day.

    :returns: the change, and the secret that was made for a new one, to be shown once.
    :raises Refused: when the name is taken, or the secret is an old one that signs still.
    """
    if named.find_endpoint(session, client_id, spec.name) not in (None, known):
        raise Refused.because(f"There is an endpoint “{spec.name}” already.", "name", code="taken")
    row = known or Endpoint(client_id=client_id, kind=EndpointKind.WEBHOOK)
    details, made = changes.write(session, row, {"name": spec.name, "url": spec.url}), None
    if known is None:
        made = None if spec.secret else signing.new_secret()
        session.add(EndpointSecret(endpoint_id=row.id, secret=spec.secret or made))
    elif spec.secret is not None and spec.secret not in _current(session, known):
        endpoints.rotate_secret(session, known, by, spec.secret)
        details |= {"secret": "secret changed; the old one signs too for 24 hours"}
    change = Change(row, f"endpoint {spec.name}", details, is_new=known is None)
    return changes.note(session, change, by), made


def _current(session: Session, endpoint: Endpoint) -> list[str]:
    kept = select(EndpointSecret).filter_by(endpoint_id=endpoint.id, expires_at=None)
    return [one.secret for one in session.scalars(kept)]


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
