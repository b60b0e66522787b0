"""Who has a second factor, who must, and how one is taken away."""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, exists, or_, select
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.relaying import notices
from app.extensions import current_settings
from app.models.base import utcnow
from app.models.second_factor import CodeApp, Passkey, RecoveryCode
from app.models.user import User

CHANGED = """{what}

If that was you, you need not do anything. If not, somebody else may be in your account: choose a
new password at once, and tell Dispatch support.
"""


def is_there() -> ColumnElement[bool]:
    """Return what is true of a ``User`` who has a second factor."""
    return or_(
        *(
            exists(select(model.user_id).where(model.user_id == User.id).correlate(User))
            for model in (CodeApp, Passkey)
        )
    )


def has(session: Session, user_id: str) -> bool:
    """Tell whether a person has one."""
    return bool(session.scalar(select(is_there()).select_from(User).where(User.id == user_id)))


def must(user: User) -> bool:
    """Tell whether ``SECOND_FACTOR`` wants one of a person who signs in with a password."""
    wanted = current_settings().second_factor
    return wanted == "all" or (wanted == "support" and user.is_support)


def forget(session: Session, user: User, by: str, *, told: bool = True) -> None:
    """Take everything away that a person has beside their password, who then may set it up anew.

    :param told: whether they are told by mail; the address may be somebody else's by now.
    """
    for model in (CodeApp, Passkey, RecoveryCode):
        session.execute(delete(model).where(model.user_id == user.id))
    if told:
        tell(session, user, by, "take away", "Your second factor of Dispatch was taken away.")


def tell(session: Session, user: User, by: str, action: str, what: str) -> None:
    """Note a change, and mail the person: whoever has their password cannot do it unseen."""
    audit.record(session, by, action, f"second factor of {user.email}", None)
    notices.notify(
        session, user.email, "Dispatch: your second factor", CHANGED.format(what=what),
        dedupe_key=f"factor:{user.id}:{action}:{utcnow():%Y-%m-%dT%H:%M:%S}",
    )  # fmt: skip
