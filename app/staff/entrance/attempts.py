"""How often somebody may try a password: ten failures in a quarter of an hour.

They are counted by account and by address, so that neither one account nor many can be guessed at.
A browser that has signed in to the account before has ten of its own, whoever else has used up
theirs: nobody is locked out by the tries of others.
"""

from __future__ import annotations

from datetime import timedelta

from flask import abort, request
from sqlalchemy import delete, func, or_, select

from app.domain import audit
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.user import LoginFailure, User
from app.staff.entrance import browsers

ALLOWED = 10
WINDOW = timedelta(minutes=15)
TOO_MANY = "Too many failed tries. Wait a quarter of an hour, then try again."


def begin(email: str, user: User | None) -> LoginFailure:
    """Count this try as failed before it is judged, so that many at once do not slip by.

    One that is refused is not counted itself: the wait does not grow by further tries.

    :raises TooManyRequests: when there were too many failures already.
    """
    since = utcnow() - WINDOW
    browser = browsers.known_for(user.id) if user else None
    attempt = LoginFailure(account=email[:254], address=_address(), browser=browser)
    with unit_of_work() as session:
        session.execute(delete(LoginFailure).where(LoginFailure.at < since))
        session.add(attempt)
    if browser is None:
        same = [LoginFailure.account == attempt.account, LoginFailure.address == attempt.address]
    else:
        same = [LoginFailure.account == attempt.account]
    for one in same:
        count = db.session.scalar(
            select(func.count()).where(
                one, LoginFailure.browser.is_not_distinct_from(browser), LoginFailure.at >= since
            )
        )
        if (count or 0) > ALLOWED:
            with unit_of_work() as session:
                session.execute(delete(LoginFailure).where(LoginFailure.id == attempt.id))
            abort(429, TOO_MANY)
    return attempt


def forgive(attempt: LoginFailure) -> None:
    """Forgive the account its failures, and the address this try, once the password fitted.

    Those of strangers stay counted where a known browser signs in, and the other way round.
    """
    with unit_of_work() as session:
        session.execute(
            delete(LoginFailure).where(
                or_(
                    (LoginFailure.account == attempt.account)
                    & LoginFailure.browser.is_not_distinct_from(attempt.browser),
                    LoginFailure.id == attempt.id,
                )
            )
        )


def note_failure(user: User | None) -> None:
    """Put a failure into the audit trail; what was typed for an address might be a password."""
    with unit_of_work() as session:
        who = user.email if user else "an unknown person"
        audit.record(session, who, "fail to sign in", f"from {_address()}", None)


def _address() -> str:
    return (request.remote_addr or "")[:64]
