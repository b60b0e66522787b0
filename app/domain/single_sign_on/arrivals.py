"""Who came back from a provider becomes somebody who may do something here."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.domain import audit, mistakes
from app.domain.clients import people
from app.domain.clients.people import SupportUserSpec
from app.domain.mistakes import Refused
from app.domain.single_sign_on import roles
from app.domain.single_sign_on.failures import NotForThem
from app.domain.single_sign_on.told import Arrival, Logout
from app.models.sign_in import Identity
from app.models.user import Membership, StaffSession, User
from config import OidcProvider


@dataclass(frozen=True)
class Welcomed:
    """Who signs in, and as whom the provider knows them."""

    user: User
    identity: Identity


def welcome(session: Session, arrival: Arrival) -> Welcomed | NotForThem:
    """Find or make the person's account, and give the roles of their groups, and no others.

    Within the caller's transaction, which is committed either way: a role that is lost is lost,
    though its person is then turned away.

    :returns: the person, or why they may not use Dispatch.
    """
    found = _known(session, arrival) or _by_address(session, arrival)
    if isinstance(found, NotForThem):
        return found
    user = found.user
    roles.settle(session, user, arrival.provider, arrival.groups)
    if user.disabled_at is not None:
        return NotForThem(
            "This account is closed. Dispatch support can open it again.",
            f"the account {user.email} is closed",
        )
    if not user.is_support and not _works_somewhere(session, user):
        return _nowhere(arrival)
    return found


def end(session: Session, provider: OidcProvider, logout: Logout) -> int:
    """End what a provider says has ended, within the caller's transaction; return how many did."""
    theirs = select(Identity.id).where(Identity.issuer == provider.issuer)
    if logout.subject is not None:
        theirs = theirs.where(Identity.subject == logout.subject)
    query = delete(StaffSession).where(StaffSession.identity_id.in_(theirs))
    if logout.session is not None:
        query = query.where(StaffSession.provider_session == logout.session)
    ended = session.execute(
        query.returning(StaffSession.user_id).execution_options(synchronize_session=False)
    ).all()
    for user_id in sorted({one.user_id for one in ended}):
        email = session.get_one(User, user_id).email
        audit.record(session, email, "sign out", f"by {provider.name}", None)
    return len(ended)


def _known(session: Session, arrival: Arrival) -> Welcomed | None:
    identity = session.scalar(
        select(Identity).filter_by(issuer=arrival.provider.issuer, subject=arrival.subject)
    )
    if identity is None:
        return None
    return Welcomed(_locked(session, identity.user_id), identity)


def _by_address(session: Session, arrival: Arrival) -> Welcomed | NotForThem:
    """Take somebody in who is here for the first time: by an address the provider vouches for."""
    name = arrival.provider.name
    email = _address(arrival)
    if email is None:
        return NotForThem(
            f"{name} does not vouch for an e-mail address of yours, so you cannot be told apart"
            " from others. Tell Dispatch support.",
            f"no verified address of {arrival.subject!r}: {arrival.email!r}",
        )
    user = people.find(session, email)
    if user is None and not roles.wanted(session, arrival.provider, arrival.groups):
        return _nowhere(arrival)
    if user is None:
        user = people.account(session, email, None).row
        audit.record(session, f"sign-in by {name}", "create", f"person {email}", None)
    user = _locked(session, user.id)
    other = session.scalar(
        select(Identity).filter_by(user_id=user.id, issuer=arrival.provider.issuer)
    )
    if other is not None and other.subject == arrival.subject:  # who arrives twice at once
        return Welcomed(user, other)
    if other is not None:
        return NotForThem(
            f"{email} belongs to somebody else here, whom {name} knows as another person. Tell"
            " Dispatch support.",
            f"{email} is {other.subject!r} there, and now {arrival.subject!r} has it",
        )
    identity = Identity(user_id=user.id, issuer=arrival.provider.issuer, subject=arrival.subject)
    session.add(identity)
    session.flush()
    audit.record(session, f"sign-in by {name}", "connect", f"person {email}", None)
    return Welcomed(user, identity)


def _address(arrival: Arrival) -> str | None:
    """Return the address that the provider vouches for, as accounts are called by."""
    if arrival.email is None or not arrival.email_verified:
        return None
    try:
        return mistakes.parse(SupportUserSpec, {"email": arrival.email}).email
    except Refused:
        return None


def _locked(session: Session, user_id: str) -> User:
    """Return a person as they are now; two sign-ins of theirs settle their roles in turn."""
    return session.scalars(
        select(User)
        .where(User.id == user_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def _works_somewhere(session: Session, user: User) -> bool:
    query = select(Membership.client_id).filter_by(user_id=user.id).limit(1)
    return session.scalar(query) is not None


def _nowhere(arrival: Arrival) -> NotForThem:
    return NotForThem(
        f"{arrival.provider.name} knows you, but nothing in Dispatch is open to you. Ask an owner"
        " of your department's number to invite you.",
        f"{arrival.subject!r} is in no group that has a role, and works for no client",
    )
