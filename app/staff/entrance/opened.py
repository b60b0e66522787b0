"""Sessions of people: how one begins, who is signed in by it, and when it is over."""

from __future__ import annotations

from datetime import timedelta

from flask import request, session
from flask_login import UserMixin, current_user, login_user
from sqlalchemy import ColumnElement, delete, or_, select, update

from app.domain import audit
from app.domain.second_factor import state
from app.extensions import current_settings, db, unit_of_work
from app.models.base import utcnow
from app.models.user import StaffSession, User
from app.staff.entrance import browsers

SESSION_HOURS = 12
"""How long a session lasts that is not used."""
LONGEST_SESSION = timedelta(hours=24)
"""How long one lasts at most, so that everybody proves once a day who they are."""
NOTED_EVERY = timedelta(minutes=5)


class Person(UserMixin):  # type: ignore[misc]
    """The signed-in person, and the session by which they are: its row ends it at the server."""

    def __init__(self, user: User, own: StaffSession, has_second_factor: bool) -> None:
        self.user = user
        self.id = own.id
        self.seen_at = own.seen_at
        self.began_at = own.began_at
        self.identity_id = own.identity_id
        self.provider_session = own.provider_session
        self.by_provider = own.identity_id is not None
        self.email = user.email
        self.is_support = user.is_support
        self.has_second_factor = has_second_factor

    @property
    def must_set_up(self) -> bool:
        """Whether they have to set up a second factor before they see anything."""
        return not self.has_second_factor and not self.by_provider and state.must(self.user)


def load_person(session_id: str) -> Person | None:
    """Return who is signed in by a session; None where it has ended."""
    found = db.session.execute(
        select(User, StaffSession, state.is_there())
        .join(StaffSession, StaffSession.user_id == User.id)
        .where(StaffSession.id == session_id, *is_open())
    ).one_or_none()
    return Person(*found) if found else None


def is_open() -> tuple[ColumnElement[bool], ...]:
    """Return what is true of a session of ``User`` that has not ended."""
    now = utcnow()
    by_provider = (
        () if current_settings().local_passwords else (StaffSession.identity_id.is_not(None),)
    )
    return (
        *by_provider,
        StaffSession.version == User.session_version,
        User.disabled_at.is_(None),
        StaffSession.ends_at > now,
        StaffSession.seen_at > now - timedelta(hours=SESSION_HOURS),
    )


def begin_session(
    user: User, action: str, identity_id: str | None = None, provider_session: str | None = None
) -> None:
    """Sign a person in with a fresh session, so that no session id is ever handed on.

    :param action: what the person did for it, for the audit trail: ``sign in``.
    :param identity_id: as whom a provider knows them, where it has signed them in.
    :param provider_session: what the provider calls its own session.
    """
    former = current_user.id if current_user.is_authenticated else None
    now, address = utcnow(), (request.remote_addr or "")[:64]
    own = StaffSession(
        user_id=user.id,
        version=user.session_version,
        began_at=now,
        seen_at=now,
        ends_at=now + LONGEST_SESSION,
        address=address,
        browser=_storable(request.user_agent.string)[:200],
        identity_id=identity_id,
        provider_session=provider_session,
    )
    with unit_of_work() as writing:
        writing.execute(
            delete(StaffSession).where(or_(StaffSession.ends_at < now, StaffSession.id == former))
        )
        writing.add(own)
        audit.record(writing, user.email, action, f"from {address}", None)
    session.clear()
    session.permanent = True
    login_user(Person(user, own, state.has(db.session(), user.id)))
    browsers.remember(user.id)


def note_use(person: Person) -> None:
    """Note that a session is in use, now and then: each page would be a write."""
    now = utcnow()
    if now - person.seen_at < NOTED_EVERY:
        return
    with unit_of_work() as writing:
        writing.execute(
            update(StaffSession).where(StaffSession.id == person.id).values(seen_at=now)
        )


def _storable(text: str) -> str:
    return "".join(one for one in text if one.isprintable())
