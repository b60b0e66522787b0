"""Setting up a second factor, and taking it away again: the person's own, and recently proved."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from flask import abort, redirect, render_template, request, session, url_for
from flask_login import current_user
from sqlalchemy import ColumnElement, delete
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length

from app.domain import passwords
from app.domain.clients import people
from app.domain.mistakes import Refused
from app.domain.one_line import one_line
from app.domain.second_factor import codes, passkeys, state
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.second_factor import CodeApp, Passkey
from app.models.user import User
from app.staff.access import blueprint, own_path, require_passwords, say
from app.staff.entrance import attempts, opened
from app.staff.entrance.second_step import ASKED
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
    if request.method == "POST" and db.session.get(CodeApp, user.id) is not None:
        abort(409, "There is an app already. Take it away first, then set up another.")
    secret = _secret()
    if form.validate_on_submit():
        step = codes.step_of(secret, form.code.data)
        if step is not None:
            add = partial(codes.add_app, user=user, secret=secret, step=step)
            return _set_up(user, "an app", add)
        form.code.errors = ["The app shows another code now. Is the clock of your phone right?"]
    return _page(user, form)


@blueprint.post("/account/second-factor/passkeys")
def passkey_add() -> str | Response | tuple[str, int]:
    """Take a new passkey."""
    if (elsewhere := _prove_first()) is not None:
        return elsewhere
    user: User = current_user.user
    answer, asked = request.form.get("credential", ""), session.pop(ASKED, "")
    name = one_line(request.form.get("name", ""))[:60] or f"Passkey of {utcnow():%Y-%m-%d}"
    add = partial(passkeys.add, user=user, answer=answer, challenge=asked, name=name)
    try:
        return _set_up(user, "a passkey", add)
    except Refused as refused:
        return _page(user, AppForm(formdata=None), str(refused))


@blueprint.post("/account/second-factor/passkeys/<passkey_id>/remove")
def passkey_remove(passkey_id: str) -> Response:
    """Take one passkey away, unless it is all that somebody has who must have one."""
    return _remove("a passkey", Passkey.id == passkey_id)


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
    """Take the app away, or everything, unless the person must have a second factor."""
    if request.form.get("which") == "app":
        return _remove("an app", CodeApp.user_id == current_user.user.id)
    return _remove("the second factor", None)


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


def _set_up(user: User, what: str, add: Callable[[Session], object]) -> str | Response:
    """Keep a further factor; with the first come codes on paper, shown once."""
    with unit_of_work() as writing:
        is_first = not state.has(writing, user.id)
        add(writing)
        made = codes.on_paper(writing, user) if is_first else []
        state.tell(
            writing, user, user.email, "set up",
            f"A second factor for signing in to Dispatch was set up: {what}.",
        )  # fmt: skip
        people.sign_out(writing, user.id)
    wake("relay")
    _begin_again(user, f"set up {what}")
    if made:
        return render_template("staff/second_factor_codes.html", codes=made)
    say("It is set up, and you are signed out everywhere else.")
    return redirect(url_for("staff.second_factor"))


def _remove(what: str, which: ColumnElement[bool] | None) -> Response:
    """Take one thing away, or everything; who must have something keeps the last."""
    if (elsewhere := _prove_first()) is not None:
        return elsewhere
    user: User = current_user.user
    model = Passkey if what == "a passkey" else CodeApp
    with unit_of_work() as writing:
        if not _is_taken(writing, user, model, which):
            abort(404, "There is nothing of that kind; it may have been taken away already.")
        is_left = which is not None and state.has(writing, user.id)
        if not is_left and state.must(user) and not current_user.by_provider:
            abort(409, "Your account must have a second factor. Set up another first.")
        if is_left:
            state.tell(
                writing, user, user.email, "take away",
                f"You can no longer sign in to Dispatch by {what} that you had set up.",
            )  # fmt: skip
        else:
            state.forget(writing, user, user.email)
        people.sign_out(writing, user.id)
    wake("relay")
    _begin_again(user, f"take away {what}")
    if is_left:
        say("It is taken away, and you are signed out everywhere else.")
        return redirect(url_for("staff.second_factor"))
    say("From now on your password alone signs you in.", "warn")
    return redirect(url_for("staff.account"))


def _is_taken(
    writing: Session, user: User, model: type[Passkey | CodeApp], which: ColumnElement[bool] | None
) -> bool:
    """Delete one thing of a person's, or tell whether there is anything at all."""
    if which is None:
        return state.has(writing, user.id)
    gone = writing.execute(
        delete(model)
        .where(model.user_id == user.id, which)
        .returning(model.user_id)
        .execution_options(synchronize_session=False)
    )
    return gone.one_or_none() is not None


def _secret() -> str:
    """Return what a new app is being told, kept in the cookie until it has shown a code."""
    secret: str = session.setdefault(SECRET, codes.new_secret())
    return secret


def _page(user: User, form: AppForm, problem: str = "") -> tuple[str, int]:
    import segno  # slow to import, and seldom needed

    secret, reading = _secret(), db.session()
    asked = passkeys.to_add(reading, user) if passkeys.are_possible() else None
    if asked:
        session[ASKED] = asked.challenge
    page = render_template(
        "staff/second_factor.html",
        form=form,
        has_app=reading.get(CodeApp, user.id) is not None,
        picture=segno.make(codes.address(secret, user)).svg_data_uri(scale=4, light="white"),
        secret=secret,
        left=codes.left(reading, user),
        must=state.must(user),
        asked=asked,
        passkeys=passkeys.of(reading, user),
        passkey_problem=problem,
    )
    return page, 422 if form.errors or problem else 200


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
