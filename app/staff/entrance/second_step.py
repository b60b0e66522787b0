"""The second step of signing in with a password: a passkey, a code of an app, or one on paper.

Between the steps the browser keeps, in its signed cookie, whose password it knew and when; nobody
is signed in by that.
"""

from __future__ import annotations

import time

from flask import redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from app.domain.second_factor import codes, passkeys, state
from app.extensions import db, unit_of_work
from app.models.user import User
from app.staff.access import blueprint, own_path, say
from app.staff.entrance import attempts
from app.staff.entrance.opened import begin_session
from app.staff.forms import PageForm

HALF = "half"
"""Where the cookie keeps whose password was right."""
ASKED = "asked"
"""Where it keeps what the device was last asked to sign."""
WRONG_PASSKEY = "This passkey is not one of yours, or it was asked too long ago. Try again."
LASTS = 600
"""Seconds between the two steps."""


class CodeForm(PageForm):
    """A code."""

    code = StringField(
        "Code",
        [InputRequired("Enter the code."), Length(max=100)],
        description="The six digits that your app shows, or one of the codes that you wrote down.",
    )


def go_on(user: User, action: str, wanted: str | None) -> Response:
    """Sign in whose password was right, or ask for the second factor of who has one.

    :param action: what the person did, for the audit trail.
    """
    if not state.has(db.session(), user.id):
        begin_session(user, action)
        return redirect(wanted or url_for("staff.start"))
    session[HALF] = [user.id, user.session_version, action, int(time.time())]
    return redirect(url_for("staff.second_step", next=wanted))


@blueprint.route("/login/second", methods=["GET", "POST"])
def second_step() -> Response | tuple[str, int]:
    """Ask for the second factor; ten failures in 15 minutes are the limit, by account."""
    half = _half()
    if half is None:
        say("That took too long. Sign in again.", "warn")
        return redirect(url_for("staff.sign_in", next=own_path(request.args.get("next"))))
    user, action = half
    form, answer = CodeForm(), request.form.get("credential")
    if not answer and not form.validate_on_submit():
        return _page(user, form)
    attempt = attempts.begin(f"second factor of {user.id}", user)
    asked = session.pop(ASKED, "")
    with unit_of_work() as writing:
        if answer:
            fits = passkeys.use(writing, user, answer, asked)
        else:
            fits = codes.use(writing, user, form.code.data)
        left = codes.left(writing, user)
    if not fits:
        attempts.note_failure(user)
        if answer:
            return _page(user, CodeForm(formdata=None), WRONG_PASSKEY)
        form.code.errors = ["This code is not right, or it was used before. Wait for the next one."]
        return _page(user, form)
    attempts.forgive(attempt)
    begin_session(user, action)
    if not answer and "-" in form.code.data:
        say(f"You have {left} written codes left. Make new ones at Your account.", "warn")
    return redirect(own_path(request.args.get("next")) or url_for("staff.start"))


def _half() -> tuple[User, str] | None:
    """Return whose password this browser knew a moment ago, and what they did."""
    user_id, version, action, at = session.get(HALF) or ("", 0, "", 0)
    if at < time.time() - LASTS:
        return None
    user = db.session.get(User, user_id)
    if user is None or user.session_version != version or user.disabled_at is not None:
        return None
    return user, action


def _page(user: User, form: CodeForm, problem: str = "") -> tuple[str, int]:
    asked = passkeys.to_use(db.session(), user)
    if asked:
        session[ASKED] = asked.challenge
    page = render_template("staff/second_step.html", form=form, asked=asked, problem=problem)
    return page, 422 if form.errors or problem else 200
