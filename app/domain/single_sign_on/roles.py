"""What groups give: roles come with them, and go with them at the next sign-in.

A role that a person gave stays, whatever the groups say; a group may give more, as long as it is
there. What one provider gave, no other takes.
"""

from __future__ import annotations

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.clients import people
from app.models.client import Client
from app.models.user import Membership, Role, User
from config import OidcProvider

log = structlog.get_logger(__name__)

SUPPORT = "support"
Wanted = dict[str | None, Role | None]
"""The role by the client's id; the key None where there is support."""


def wanted(session: Session, provider: OidcProvider, groups: frozenset[str]) -> Wanted:
    """Return the roles that these groups give: of several for one client, the one of owners."""
    given = [one for one in provider.groups if one.group in groups]
    names = {one.client for one in given if one.client is not None}
    query = select(Client.name, Client.id).where(Client.name.in_(names))
    ids = {row.name: row.id for row in session.execute(query)}
    found: Wanted = {}
    for one in given:
        if one.role == SUPPORT:
            found[None] = None
        elif one.client in ids:
            role = Role(one.role)
            if found.get(ids[one.client]) is not Role.OWNER:
                found[ids[one.client]] = role
        else:
            log.warning("a group gives a role for a client that is not there", client=one.client)
    return found


def settle(session: Session, user: User, provider: OidcProvider, groups: frozenset[str]) -> None:
    """Give a person what their groups give, and take what they gave before and give no more."""
    now, by = wanted(session, provider, groups), f"sign-in by {provider.name}"
    _support(session, user, provider, None in now, by)
    for client_id, role in now.items():
        if client_id is not None and role is not None:
            _give(session, user, client_id, role, provider.issuer, by)
    lost = session.scalars(
        select(Membership).where(
            Membership.user_id == user.id,
            Membership.given_by == provider.issuer,
            Membership.client_id.not_in([one for one in now if one is not None]),
        )
    ).all()
    for membership in lost:
        _take(session, user, membership, by)
    session.flush()


def _support(session: Session, user: User, provider: OidcProvider, is_given: bool, by: str) -> None:
    if is_given and not user.is_support:
        user.is_support, user.support_given_by = True, provider.issuer
        audit.record(session, by, "change", f"person {user.email}", None, {"support": "given"})
    elif not is_given and user.is_support and user.support_given_by == provider.issuer:
        user.is_support, user.support_given_by = False, None
        audit.record(session, by, "change", f"person {user.email}", None, {"support": "taken"})


def _give(session: Session, user: User, client_id: str, role: Role, issuer: str, by: str) -> None:
    known = session.get(Membership, (user.id, client_id))
    if known is None:
        session.add(Membership(user_id=user.id, client_id=client_id, role=role, given_by=issuer))
        _note(session, user, client_id, "invite", by, f"role {role}")
        return
    is_ours = known.given_by == issuer
    if known.role is role or (known.role is Role.OWNER and not is_ours):
        return
    if known.given_by is None:
        known.role_before = known.role
    if role is known.role_before:  # a person gave as much
        known.given_by = known.role_before = None
    else:
        known.given_by = issuer
    known.role = role
    _note(session, user, client_id, "change", by, f"role {role}")


def _take(session: Session, user: User, membership: Membership, by: str) -> None:
    if membership.role_before is None:
        people.end(session, membership.client_id, user, by)
        return
    membership.role = membership.role_before
    membership.given_by = membership.role_before = None
    _note(session, user, membership.client_id, "change", by, f"role {membership.role}")


def _note(session: Session, user: User, client_id: str, action: str, by: str, details: str) -> None:
    audit.record(session, by, action, f"person {user.email}", client_id, {"role": details})
