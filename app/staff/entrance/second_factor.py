"""Setting up a second factor, and taking it away again: the person's own, and recently proved."""

from __future__ import annotations

from datetime import timedelta

import segno
from flask import abort, redirect, render_template, request, session, url_for
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length

from app.domain import passwords
from app.domain.clients import people
from app.domain.second_factor import codes, state
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.second_factor import CodeApp
from app.models.user import User
from app.staff.access import blueprint, own_path, require_passwords, say
from app.staff.entrance import attempts, opened
from app.staff.forms import PageForm

SECRET = "totp"  # noqa: S105 - where the cookie keeps what the app is being told
PROVED = "proved"
RECENT = timedelta(minutes=15)
"""How long ago somebody must have proved who they are, to change how they do."""


class AppForm(PageForm):
    """The code that a new app shows."""

    code = StringField(
        "Code",
        [InputRequired("Enter the six digits that the app shows."), Length(max=20)],
        description="The six digits that the app shows now.",
    )


class ConfirmForm(PageForm):
    """The password, once more."""

    password = PasswordField("Password", [InputRequired("Enter your password.")])


@blueprint.route("/account/second-factor", methods=["GET", "POST"])
def second_factor() -> str | Response | tuple[str, int]:
    """Show what the person has beside their password; take a new app by its first code."""
    if (elsewhere := _prove_first()) is not None:
        return elsewhere
    user: User = current_user.user
    form = AppForm()
    has_app = db.session.get(CodeApp, user.id) is not None
    if request.method == "POST" and has_app:
        abort(409, "There is an app already. Take it away first, then set up another.")
    secret: str = session.setdefault(SECRET, codes.new_secret())
    if form.validate_on_submit():
        step = codes.step_of(secret, form.code.data)
        if step is not None:
            return _set_up(user, secret, step)
        form.code.errors = ["The app shows another code now. Is the clock of your phone right?"]
    picture = segno.make(codes.address(secret, user)).svg_data_uri(scale=4, light="white")
    page = render_template(
        "staff/second_factor.html", form=form, has_app=has_app, picture=picture, secret=secret,
        left=codes.left(db.session(), user),
    )  # fmt: skip
    return page, 422 if form.errors else 200


@blueprint.post("/account/second-factor/codes")
def second_factor_codes() -> str | Response:
    """Make new codes on paper, shown once."""
    if (elsewhere := _prove_first()) is not None:
        return elsewhere
    user: User = current_user.user
    if not current_user.has_second_factor:
        abort(409, "First set up an app: the codes are for days without it.")
    with unit_of_work() as writing:
        made = codes.on_paper(writing, user)
        state.tell(
            writing, user, user.email, "write down",
            "New codes for signing in to Dispatch were written down.",
        )  # fmt: skip
    wake("relay")
    return render_template("staff/second_factor_codes.html", codes=made)


@blueprint.post("/account/second-factor/remove")
def second_factor_remove() -> Response:
    """Take the app and the codes away, unless the person must have one."""
    if (elsewhere := _prove_first()) is not None:
        return elsewhere
    user: User = current_user.user
    if not current_user.has_second_factor:
        abort(404, "There is nothing of that kind; it may have been taken away already.")
    if state.must(user) and not current_user.by_provider:
        abort(409, "Your account must have a second factor. Dispatch support can take it away.")
    with unit_of_work() as writing:
        state.forget(writing, user, user.email)
        people.sign_out(writing, user.id)
    wake("relay")
    _begin_again(user, "take away the second factor")
    say("From now on your password alone signs you in.", "warn")
    return redirect(url_for("staff.account"))


@blueprint.route("/account/confirm", methods=["GET", "POST"])
def confirm() -> Response | tuple[str, int]:
    """Ask for the password once more, before something is changed by which people sign in."""
    require_passwords()
    form, user = ConfirmForm(), current_user.user
    if form.validate_on_submit():
        attempt = attempts.begin(user.email, user)
        if passwords.verify(user.password_hash, form.password.data):
            attempts.forgive(attempt)
            session[PROVED] = utcnow()
            return redirect(own_path(request.args.get("next")) or url_for("staff.account"))
        attempts.note_failure(user)
        form.password.errors = ["This is not your password."]
    page = render_template("staff/confirm.html", form=form)
    return page, 422 if form.errors else 200


def _set_up(user: User, secret: str, step: int) -> str:
    with unit_of_work() as writing:
        codes.add_app(writing, user, secret, step)
        made = codes.on_paper(writing, user)
        state.tell(
            writing, user, user.email, "set up",
            "A second factor for signing in to Dispatch was set up: an app that shows codes.",
        )  # fmt: skip
        people.sign_out(writing, user.id)
    wake("relay")
    _begin_again(user, "set up a second factor")
    return render_template("staff/second_factor_codes.html", codes=made)


def _begin_again(user: User, action: str) -> None:
    """Go on with a fresh session: all that were open before have ended."""
    fresh = db.session.get_one(User, user.id, populate_existing=True)
    opened.begin_session(fresh, action, current_user.identity_id, current_user.provider_session)


def _prove_first() -> Response | None:
    """Lead who signed in a while ago to prove once more who they are."""
    if current_user.user.password_hash is None:
        abort(409, "You sign in by your institution's own service, and have no password here.")
    require_passwords()
    proved = max(current_user.began_at, session.get(PROVED) or current_user.began_at)
    if proved > utcnow() - RECENT:
        return None
    return redirect(url_for("staff.confirm", next=url_for("staff.second_factor")))
