"""The people who sign in: their accounts, and what they may do for a client."""

from __future__ import annotations

from pydantic import ValidationInfo, field_validator
from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session

from app.domain import audit, changes, passwords
from app.domain.changes import Change
from app.domain.conversations import care
from app.domain.mistakes import Refused
from app.domain.specs import Email, Password, Spec
from app.models.client import Client
from app.models.sign_in import Identity
from app.models.user import Membership, Role, StaffSession, User


class SupportUserSpec(Spec):
    """A person of Dispatch Support, who sees every client."""

    email: Email
    password: Password | None = None

    @field_validator("email")
    @classmethod
    def _in_small_letters(cls, email: str) -> str:
        return email.lower()

    @field_validator("password")
    @classmethod
    def _not_the_address(cls, password: str | None, info: ValidationInfo) -> str | None:
        email = info.data.get("email", "")
        if password is not None and (reason := passwords.refusal(password, email)):
            raise ValueError(reason)
        return password


class UserSpec(SupportUserSpec):
    """A person who works for the client."""

    role: Role = Role.STAFF


def find(session: Session, email: str) -> User | None:
    """Return the person who signs in with this address, in small letters."""
    return session.scalar(select(User).filter_by(email=email))


def has_been_here() -> ColumnElement[bool]:
    """Return what is true of a ``User`` who has a password or has come by a provider."""
    known = select(Identity.id).where(Identity.user_id == User.id).correlate(User)
    return or_(User.password_hash.is_not(None), known.exists())


def account(
    session: Session, email: str, password_hash: str | None, *, is_support: bool = False
) -> Change[User]:
    """Make an account, or give one its first password or Dispatch's support; neither is taken away.

    The caller notes it, where that is not part of something else.

    :param password_hash: nobody's password is changed by it.
    """
    known = find(session, email)
    row = known or User(email=email, password_hash=password_hash)
    values: dict[str, object] = {}
    if is_support:
        values = {"is_support": True, "support_given_by": None}
    if known is not None and known.password_hash is None and password_hash is not None:
        values["password_hash"] = password_hash
    told = changes.write(session, row, values)
    words = {"password_hash": "first password", "is_support": "support"}
    details = {name: words[name] for name in (values if known is None else told) if name in words}
    return Change(row, f"person {email}", details, is_new=known is None)


def join(
    session: Session, client: Client, user: User, role: Role | None, by: str, action: str = ""
) -> Change[Membership]:
    """Let a person work for a client, in a role; without one, as staff or in what they have.

    :param action: what it is called in the audit trail, if not a change: ``invite``.
    :raises Refused: when the client would be left without an owner.
    """
    known = session.get(Membership, (user.id, client.id))
    if known is not None and known.role is Role.OWNER and role is Role.STAFF:
        _keep_an_owner(session, client, user.id)
    row = known or Membership(user_id=user.id, client_id=client.id)
    chosen = role or row.role or Role.STAFF
    is_new = known is None
    details = {"role": f"role {chosen}"} if is_new or row.role is not chosen else {}
    given = {} if known is not None and role is None else {"given_by": None, "role_before": None}
    changes.write(session, row, {"role": chosen, **given})
    return changes.note(session, Change(row, f"person {user.email}", details, is_new), by, action)


def leave(session: Session, client: Client, user: User, by: str) -> None:
    """Take a person's membership away; their account and their other clients stay.

    :raises Refused: when the client would be left without an owner.
    """
    _keep_an_owner(session, client, user.id)
    end(session, client.id, user, by)


def end(session: Session, client_id: str, user: User, by: str) -> None:
    """Take a person's membership away, though they were the last owner; see :func:`leave`."""
    session.execute(delete(Membership).filter_by(user_id=user.id, client_id=client_id))
    care.leave(session, client_id, user.id, by)
    audit.record(session, by, "remove", f"person {user.email}", client_id)


def _keep_an_owner(session: Session, client: Client, leaving: str) -> None:
    """Refuse to leave a client without an owner; its locked row makes two at once queue."""
    session.execute(select(Client.id).where(Client.id == client.id).with_for_update())
    others = select(func.count()).where(
        Membership.client_id == client.id,
        Membership.role == Role.OWNER,
        Membership.user_id != leaving,
    )
    if not session.scalar(others):
        said = "A client needs an owner. Make somebody else an owner first."
        raise Refused.because(said, "role", code="last_owner")


def sign_out(session: Session, user_id: str) -> None:
    """End all sessions and links of a person, within the caller's transaction."""
    session.execute(
        update(User)
        .where(User.id == user_id)
        .values(session_version=User.session_version + 1)
        .execution_options(synchronize_session=False)
    )
    session.execute(delete(StaffSession).where(StaffSession.user_id == user_id))


def vacate(session: Session, user: User, by: str) -> None:
    """End all that an account could do and is known by: its address goes to another person.

    What its person wrote stays. Clients may be left without an owner.

    :raises Refused: when nobody else of support would be left to sign in.
    """
    if user.is_support:
        others = select(User.id).where(
            User.is_support, User.disabled_at.is_(None), User.id != user.id
        )
        if session.scalars(others.with_for_update()).first() is None:
            raise Refused.because("This is the last open account of Dispatch support.", "email")
    for client_id in session.scalars(select(Membership.client_id).filter_by(user_id=user.id)).all():
        end(session, client_id, user, by)
    user.is_support, user.support_given_by, user.password_hash = False, None, None
    user.disabled_at = None
    session.flush()
    sign_out(session, user.id)
    session.execute(delete(Identity).where(Identity.user_id == user.id))
    audit.record(session, by, "vacate", f"account {user.email}", None)
