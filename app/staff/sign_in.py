"""Signing in and out, and the person's own account."""

from __future__ import annotations

from datetime import timedelta

from flask import abort, redirect, render_template, request, url_for
from flask_login import current_user, logout_user
from flask_wtf import FlaskForm
from sqlalchemy import delete, func, or_, select, update
from werkzeug.wrappers import Response
from wtforms import EmailField, PasswordField
from wtforms.validators import EqualTo, InputRequired, Length

from app.domain import aside, passwords
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.number import TwilioRequest
from app.models.user import LoginFailure, User
from app.staff.access import (
    begin_session,
    blueprint,
    client_blueprint,
    clients_of,
    own_path,
    say,
)

FAILURES_ALLOWED = 10
FAILURE_WINDOW = timedelta(minutes=15)
TOO_MANY = "Too many failed tries. Wait a quarter of an hour, then try again."


class SignInForm(FlaskForm):  # type: ignore[misc]
    """E-mail address and password."""

    email = EmailField("E-mail address", [InputRequired("Enter your e-mail address.")])
    password = PasswordField("Password", [InputRequired("Enter your password.")])


class PasswordForm(FlaskForm):  # type: ignore[misc]
    """The old password and, twice, the new one."""

    current = PasswordField("Current password", [InputRequired("Enter your current password.")])
    new = PasswordField(
        "New password",
        [Length(passwords.SHORTEST, 200, f"Use at least {passwords.SHORTEST} characters.")],
        description=f"At least {passwords.SHORTEST} characters. A few unrelated words are good.",
    )
    again = PasswordField("New password again", [EqualTo("new", "The two are not the same.")])


@blueprint.route("/login", methods=["GET", "POST"])
def sign_in() -> str | Response | tuple[str, int]:
    """Ask for e-mail address and password; ten failures in 15 minutes are the limit."""
    form = SignInForm()
    if not form.validate_on_submit():
        return render_template("staff/sign_in.html", form=form), 200 if not form.errors else 422
    email = form.email.data.strip().lower()
    attempt = _note_attempt(email, request.remote_addr or "")
    if attempt is None:
        abort(429, TOO_MANY)
    user = db.session.scalar(select(User).where(User.email == email))
    if not passwords.verify(user.password_hash if user else None, form.password.data):
        form.password.errors = ["This e-mail address and password do not fit together."]
        return render_template("staff/sign_in.html", form=form), 422
    assert user is not None  # noqa: S101 - a password only fits a person
    _forget_attempts(email, attempt)
    begin_session(user)
    return redirect(own_path(request.args.get("next")) or url_for("staff.start"))


def _note_attempt(email: str, address: str) -> int | None:
    """Count this attempt as failed before it is judged, so that many at once do not slip by.

    :return: its id, or None when the account or the address had too many failures already.
    """
    since = utcnow() - FAILURE_WINDOW
    with unit_of_work() as session:
        session.execute(delete(LoginFailure).where(LoginFailure.at < since))
        attempt = LoginFailure(account=email[:254], address=address)
        session.add(attempt)
        session.flush()
        attempt_id = attempt.id
    for column, value in ((LoginFailure.account, email[:254]), (LoginFailure.address, address)):
        count = db.session.scalar(
            select(func.count()).where(column == value, LoginFailure.at >= since)
        )
        if (count or 0) > FAILURES_ALLOWED:
            return None
    return attempt_id


def _forget_attempts(email: str, attempt: int) -> None:
    """Forgive the account its failures, and the address this attempt, once the password fitted."""
    with unit_of_work() as session:
        session.execute(
            delete(LoginFailure).where(
                or_(LoginFailure.account == email[:254], LoginFailure.id == attempt)
            )
        )


@blueprint.post("/logout")
def logout() -> Response:
    """End this session."""
    logout_user()
    return redirect(url_for("staff.sign_in"))


@blueprint.get("/")
def start() -> Response:
    """Lead to the person's client, or to the choice between several."""
    clients = clients_of(current_user.user)
    if len(clients) == 1:
        return redirect(url_for("client.home", client=clients[0].name))
    return redirect(url_for("staff.clients"))


@blueprint.get("/clients")
def clients() -> str:
    """List the clients that the person may see."""
    asked: dict[str, TwilioRequest] = {}
    if current_user.is_support:
        waiting = select(TwilioRequest).where(TwilioRequest.granted_at.is_(None))
        asked = {one.client_id: one for one in db.session.scalars(waiting)}
    found = sorted(clients_of(current_user.user), key=lambda one: one.id not in asked)
    stumbled = len(aside.current(db.session())) if current_user.is_support else 0
    return render_template("staff/clients.html", clients=found, asked=asked, aside=stumbled)


@blueprint.route("/account", methods=["GET", "POST"])
def account() -> str | Response | tuple[str, int]:
    """Change the password, which ends the person's other sessions."""
    form = PasswordForm()
    user: User = current_user.user
    if form.validate_on_submit():
        attempt = _note_attempt(user.email, request.remote_addr or "")
        if attempt is None:
            abort(429, TOO_MANY)
        if passwords.verify(user.password_hash, form.current.data):
            _forget_attempts(user.email, attempt)
            _set_password(user, form.new.data)
            say("Your password is changed, and you are signed out everywhere else.")
            return redirect(url_for("staff.account"))
        form.current.errors = ["This is not your current password."]
    return render_template("staff/account.html", form=form), 422 if form.errors else 200


@blueprint.post("/account/sessions")
def end_sessions() -> Response:
    """Sign the person out everywhere else."""
    _new_session_version(current_user.user, None)
    say("You are signed out everywhere else.")
    return redirect(url_for("staff.account"))


def _set_password(user: User, password: str) -> None:
    _new_session_version(user, passwords.hash_password(password))


def _new_session_version(user: User, password_hash: str | None) -> None:
    values: dict[str, object] = {"session_version": User.session_version + 1}
    if password_hash is not None:
        values["password_hash"] = password_hash
    with unit_of_work() as session:
        session.execute(update(User).where(User.id == user.id).values(values))
    fresh = db.session.get(User, user.id, populate_existing=True)
    if fresh is None:
        abort(404)
    begin_session(fresh)


@blueprint.context_processor
@client_blueprint.context_processor
def _choice() -> dict[str, object]:
    signed_in = current_user.is_authenticated
    several = signed_in and (current_user.is_support or len(clients_of(current_user.user)) > 1)
    return {"several_clients": several}
