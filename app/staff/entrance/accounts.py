"""Accounts of everybody: support closes and opens them, those of support too."""

from __future__ import annotations

from flask import abort, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain import audit
from app.domain.clients import people
from app.domain.second_factor import state
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.user import User
from app.staff.access import blueprint, require_support, say

PAGE = 100


@blueprint.get("/accounts")
def accounts() -> str:
    """List people by address; those whose address holds what is searched for."""
    require_support()
    words = request.args.get("q", "").strip()[:100]
    after = request.args.get("after", "")[:254]
    query = select(User, people.has_been_here(), state.is_there()).where(User.email > after)
    query = query.order_by(User.email).limit(PAGE + 1)
    if words:
        query = query.where(User.email.icontains(words, autoescape=True))
    found = db.session.execute(query).all()
    following = found[PAGE - 1].User.email if len(found) > PAGE else None
    return render_template("staff/accounts.html", found=found[:PAGE], following=following, q=words)


@blueprint.post("/accounts/<user_id>/disable")
def account_disable(user_id: str) -> Response:
    """Close an account: its sessions and links end at once, and nobody signs in to it."""
    require_support()
    with unit_of_work() as session:
        user = _locked(session, user_id)
        if user.id == current_user.user.id:
            abort(409, "This is your own account. Ask somebody else of Dispatch support.")
        if user.is_support and not _other_support(session, user):
            abort(409, "This is the last open account of Dispatch support; it stays open.")
        if user.disabled_at is None:
            session.execute(update(User).where(User.id == user.id).values(disabled_at=utcnow()))
            people.sign_out(session, user.id)
            audit.record(session, current_user.email, "close", f"account {user.email}", None)
    say(f"{user.email} can no longer sign in.")
    return redirect(url_for("staff.accounts"))


@blueprint.post("/accounts/<user_id>/enable")
def account_enable(user_id: str) -> Response:
    """Open a closed account again, with the password that it had."""
    require_support()
    with unit_of_work() as session:
        user = _locked(session, user_id)
        if user.disabled_at is not None:
            user.disabled_at = None
            audit.record(session, current_user.email, "open", f"account {user.email}", None)
    say(f"{user.email} may sign in again.")
    return redirect(url_for("staff.accounts"))


@blueprint.post("/accounts/<user_id>/second-factor")
def account_second_factor(user_id: str) -> Response:
    """Take away what somebody has beside their password, who has lost it: they set it up anew."""
    require_support()
    with unit_of_work() as session:
        user = _locked(session, user_id)
        if user.id == current_user.user.id:
            abort(409, "This is your own account. Ask somebody else of Dispatch support.")
        state.forget(session, user, current_user.email)
        people.sign_out(session, user.id)
    wake("relay")
    say(f"{user.email} signs in with the password alone now. Be sure that it was they who asked.")
    return redirect(url_for("staff.accounts"))


def _locked(session: Session, user_id: str) -> User:
    """Return a person; the locked rows of support make two queue that close each other's."""
    session.execute(
        select(User.id).where(User.is_support).order_by(User.id).with_for_update()
    ).all()
    user = session.get(User, user_id, populate_existing=True)
    if user is None:
        abort(404, "There is no such account.")
    return user


def _other_support(session: Session, leaving: User) -> bool:
    query = select(User.id).where(
        User.is_support, User.disabled_at.is_(None), User.id != leaving.id
    )
    return session.scalar(query.limit(1)) is not None
