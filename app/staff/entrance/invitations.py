"""Links by e-mail with which somebody chooses a password: invited, or having forgotten theirs."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from limits import RateLimitItemPerHour
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response
from wtforms import EmailField, PasswordField
from wtforms.validators import EqualTo, InputRequired, Length

from app.domain import limits, passwords, sign_in_links
from app.domain.relaying import notices
from app.domain.wake import wake
from app.extensions import current_settings, db, unit_of_work
from app.models.base import utcnow
from app.models.user import User
from app.staff.access import blueprint, require_passwords, say
from app.staff.entrance.second_step import go_on
from app.staff.forms import PageForm

GOOD_FOR_DAYS = sign_in_links.INVITATION_LASTS.days
ASKED = RateLimitItemPerHour(20)
"""How many links one address may ask for."""
USED = "This link has been used, or is too old. Ask for a new one on the sign-in page."

INVITATION = """{inviter} invites you to Dispatch, where {client} answers its texts and calls.

Choose your password here, within a week:

{url}

If you did not expect this, you need not do anything.
"""
WELCOME = """{inviter} invites you to Dispatch, where {client} answers its texts and calls.

Sign in with {ways}, where your address has to be this one:

{url}

If you did not expect this, you need not do anything.
"""
RESET = """Somebody, probably you, asked for a new password for Dispatch.

Choose it here, within an hour:

{url}

If it was not you, you need not do anything: your password stays as it is.
"""


class NewPasswordForm(PageForm):
    """A password, chosen for the first time or anew."""

    new = PasswordField(
        "Password",
        [Length(passwords.SHORTEST, 200, f"Use at least {passwords.SHORTEST} characters.")],
        description=f"At least {passwords.SHORTEST} characters. A few unrelated words are good.",
    )
    again = PasswordField("Password again", [EqualTo("new", "The two are not the same.")])


class ForgottenForm(PageForm):
    """The address of somebody who forgot their password."""

    email = EmailField("E-mail address", [InputRequired("Enter your e-mail address.")])


@blueprint.route("/invitation/<token>", methods=["GET", "POST"])
def accept_invitation(token: str) -> str | Response | tuple[str, int]:
    """Let the person of a link choose a password; a link works once."""
    require_passwords()
    user = _person_of(token)
    form = NewPasswordForm()
    if not form.validate_on_submit():
        page = render_template("staff/invitation.html", form=form, email=user.email)
        return page, 422 if form.errors else 200
    if reason := passwords.refusal(form.new.data, user.email):
        form.new.errors = [reason]
        return render_template("staff/invitation.html", form=form, email=user.email), 422
    password_hash = passwords.hash_password(form.new.data)
    with unit_of_work() as session:
        taken = session.execute(
            update(User)
            .where(
                User.id == user.id,
                User.session_version == user.session_version,
                User.disabled_at.is_(None),
            )
            .values(password_hash=password_hash, session_version=User.session_version + 1)
            .returning(User.id)
            .execution_options(synchronize_session=False)
        ).one_or_none()
    if taken is None:
        abort(404, USED)
    fresh = db.session.get_one(User, user.id, populate_existing=True)
    answer = go_on(fresh, "choose password", None)
    say("Welcome. Your password is set.")  # now: a new session knows nothing of the one before
    return answer


@blueprint.route("/forgotten", methods=["GET", "POST"])
def forgotten() -> str | Response:
    """Mail a link to choose a new password; says the same whether there is such an account."""
    require_passwords()
    form = ForgottenForm()
    if not form.validate_on_submit():
        return render_template("staff/forgotten.html", form=form)
    if limits.hit(ASKED, "forgotten", request.remote_addr or "") is not None:
        abort(429, "Too many links were asked for from here. Wait an hour, then try again.")
    email = form.email.data.strip().lower()
    user = db.session.scalar(select(User).where(User.email == email))
    if user is not None and user.disabled_at is None:
        with unit_of_work() as session:
            mail_reset(session, user)
        wake("relay")
    flash("If there is an account with this address, a mail is on its way to it.", "good")
    return redirect(url_for("staff.sign_in"))


def mail_invitation(session: Session, user: User, inviter: str, client: str) -> None:
    """Mail an invitation, within the caller's transaction: one a day from each client."""
    settings = current_settings()
    text = INVITATION.format(url=sign_in_links.PLACE, inviter=inviter, client=client)
    link = sign_in_links.of(user, sign_in_links.INVITATION_LASTS)
    if not settings.local_passwords:
        ways = " or ".join(one.name for one in settings.oidc_providers)
        url = f"{settings.public_base_url}/staff/login"
        text = WELCOME.format(inviter=inviter, client=client, ways=ways, url=url)
    notices.notify(
        session, user.email, f"Dispatch: an invitation to {client}", text,
        dedupe_key=f"invite:{user.id}:{user.session_version}:{client}:{utcnow():%Y-%m-%d}",
        link=link if settings.local_passwords else None,
    )  # fmt: skip


def mail_reset(session: Session, user: User) -> None:
    """Mail a link to choose a new password: one an hour, so that nobody is flooded."""
    hour = f"{utcnow():%Y-%m-%dT%H}"
    notices.notify(
        session, user.email, "Dispatch: a new password",
        RESET.format(url=sign_in_links.PLACE),
        dedupe_key=f"reset:{user.id}:{user.session_version}:{hour}",
        link=sign_in_links.of(user, sign_in_links.RESET_LASTS),
    )  # fmt: skip


def _person_of(token: str) -> User:
    user_id, version = sign_in_links.read(token) or (None, None)
    user = db.session.get(User, user_id) if user_id else None
    if user is None or user.session_version != version or user.disabled_at is not None:
        abort(404, USED)
    return user
