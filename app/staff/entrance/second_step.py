"""The second step of signing in with a password: a code of the person's app, or one on paper.

Between the steps the browser keeps, in its signed cookie, whose password it knew and when; nobody
is signed in by that.
"""

from __future__ import annotations

import time

from flask import redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from app.domain.second_factor import codes, state
from app.extensions import db, unit_of_work
from app.models.user import User
from app.staff.access import blueprint, own_path, say
from app.staff.entrance import attempts
from app.staff.entrance.opened import begin_session
from app.staff.forms import PageForm

HALF = "half"
"""Where the cookie keeps whose password was right."""
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
    form = CodeForm()
    if not form.validate_on_submit():
        return _page(form)
    attempt = attempts.begin(f"second factor of {user.id}", user)
    with unit_of_work() as writing:
        fits = codes.use(writing, user, form.code.data)
        left = codes.left(writing, user)
    if not fits:
        attempts.note_failure(user)
        form.code.errors = ["This code is not right, or it was used before. Wait for the next one."]
        return _page(form)
    attempts.forgive(attempt)
    begin_session(user, action)
    if "-" in form.code.data:
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


def _page(form: CodeForm) -> tuple[str, int]:
    return render_template("staff/second_step.html", form=form), 422 if form.errors else 200
