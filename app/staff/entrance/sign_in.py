"""Signing in and out, and the person's own account."""

from __future__ import annotations

from flask import abort, redirect, render_template, request, url_for
from flask_login import current_user, logout_user
from sqlalchemy import delete, select, update
from werkzeug.wrappers import Response
from wtforms import EmailField, PasswordField
from wtforms.validators import EqualTo, InputRequired, Length

from app.domain import aside, audit, passwords
from app.domain.clients import people
from app.extensions import current_settings, db, unit_of_work
from app.models.number import TwilioRequest
from app.models.user import StaffSession, User
from app.staff.access import (
    blueprint,
    client_blueprint,
    clients_of,
    own_path,
    require_passwords,
    say,
)
from app.staff.entrance import attempts
from app.staff.entrance.opened import begin_session, is_open
from app.staff.entrance.second_step import go_on
from app.staff.forms import PageForm

STILL_SIGNED_IN = (
    "You are signed out of Dispatch, but not of the service by which you signed in. On a computer"
    " that others use, sign out there as well."
)


class SignInForm(PageForm):
    """E-mail address and password."""

    email = EmailField("E-mail address", [InputRequired("Enter your e-mail address.")])
    password = PasswordField("Password", [InputRequired("Enter your password.")])


class PasswordForm(PageForm):
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
    if request.method == "POST":
        require_passwords()
    form = SignInForm()
    if not form.validate_on_submit():
        return sign_in_page(form)
    email = form.email.data.strip().lower()
    user = db.session.scalar(select(User).where(User.email == email))
    attempt = attempts.begin(email, user)
    if not passwords.verify(user.password_hash if user else None, form.password.data):
        attempts.note_failure(user)
        form.password.errors = ["This e-mail address and password do not fit together."]
        return sign_in_page(form)
    assert user is not None  # noqa: S101 - a password only fits a person
    if user.disabled_at is not None:
        attempts.note_failure(user)
        form.email.errors = ["This account is closed. Dispatch support can open it again."]
        return sign_in_page(form)
    attempts.forgive(attempt)
    return go_on(user, "sign in", own_path(request.args.get("next")))


def sign_in_page(form: SignInForm, problem: str = "", status: int = 200) -> tuple[str, int]:
    """Return the page on which people sign in, with what came of the last try.

    :param problem: why a provider did not sign the person in.
    """
    page = render_template(
        "staff/sign_in.html",
        form=form,
        problem=problem,
        providers=[one.name for one in current_settings().oidc_providers],
        has_passwords=current_settings().local_passwords,
        wanted=own_path(request.args.get("next")),
    )
    return page, 422 if form.errors else status


@blueprint.post("/logout")
def logout() -> Response:
    """End this session, at the server: its cookie is worth nothing from now on."""
    by_provider = current_user.by_provider
    end_session(current_user.id)
    if by_provider:
        say(STILL_SIGNED_IN, "warn")
    return redirect(url_for("staff.sign_in"))


def end_session(session_id: str) -> None:
    """End one of the person's own sessions."""
    user: User = current_user.user
    with unit_of_work() as session:
        ended = session.execute(
            delete(StaffSession)
            .where(StaffSession.id == session_id, StaffSession.user_id == user.id)
            .returning(StaffSession.id)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        if ended is None:
            abort(404, "This session has ended already.")
        audit.record(session, current_user.email, "sign out", "a session", None)
    if session_id == current_user.id:
        logout_user()


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
    """Show the person's sessions; change the password, which ends the others."""
    form = PasswordForm()
    user: User = current_user.user
    if request.method == "POST":
        require_passwords()
    if form.validate_on_submit():
        attempt = attempts.begin(user.email, user)
        if not passwords.verify(user.password_hash, form.current.data):
            attempts.note_failure(user)
            form.current.errors = ["This is not your current password."]
        elif reason := passwords.refusal(form.new.data, user.email):
            attempts.forgive(attempt)
            form.new.errors = [reason]
        else:
            attempts.forgive(attempt)
            _set_password(user, form.new.data)
            say("Your password is changed, and you are signed out everywhere else.")
            return redirect(url_for("staff.account"))
    sessions = db.session.scalars(
        select(StaffSession)
        .join(User, User.id == StaffSession.user_id)
        .where(User.id == user.id, *is_open())
        .order_by(StaffSession.seen_at.desc())
    ).all()
    has_password = current_settings().local_passwords and user.password_hash is not None
    page = render_template(
        "staff/account.html", form=form, sessions=sessions, has_password=has_password
    )
    return page, 422 if form.errors else 200


@blueprint.post("/account/sessions")
def end_sessions() -> Response:
    """Sign the person out everywhere else."""
    user: User = current_user.user
    with unit_of_work() as session:
        session.execute(
            delete(StaffSession).where(
                StaffSession.user_id == user.id, StaffSession.id != current_user.id
            )
        )
        audit.record(session, current_user.email, "sign out", "all other sessions", None)
    say("You are signed out everywhere else.")
    return redirect(url_for("staff.account"))


@blueprint.post("/account/sessions/<session_id>/end")
def end_one_session(session_id: str) -> Response:
    """End one session: this one, or one in another browser."""
    own = session_id == current_user.id
    end_session(session_id)
    if own:
        return redirect(url_for("staff.sign_in"))
    say("That session has ended.")
    return redirect(url_for("staff.account"))


def _set_password(user: User, password: str) -> None:
    """Change the password, which ends every session and link, and begin a new session."""
    password_hash = passwords.hash_password(password)
    with unit_of_work() as session:
        session.execute(update(User).where(User.id == user.id).values(password_hash=password_hash))
        people.sign_out(session, user.id)
    fresh = db.session.get(User, user.id, populate_existing=True)
    if fresh is None:
        abort(404)
    begin_session(fresh, "change password", current_user.identity_id, current_user.provider_session)


@blueprint.context_processor
@client_blueprint.context_processor
def _choice() -> dict[str, object]:
    signed_in = current_user.is_authenticated
    several = signed_in and (current_user.is_support or len(clients_of(current_user.user)) > 1)
    return {"several_clients": several}
