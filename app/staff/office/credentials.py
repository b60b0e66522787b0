"""Credentials: Twilio accounts and saved log-ins. Owners write them; nobody reads them."""

from __future__ import annotations

from typing import Any

from flask import abort, g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain import deletion, mistakes
from app.domain.mistakes import Refused
from app.domain.provisioning import credentials
from app.domain.provisioning.credentials import CredentialSpec
from app.domain.relaying import saved_credentials
from app.domain.relaying.saved_credentials import SavedCredentialSpec
from app.domain.sending import confirmation
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.credential import Credential, SavedCredential
from app.staff import own
from app.staff.access import client_blueprint, require_owner, say

FIELDS = ("name", "account_sid", "auth_token", "next_auth_token", "webhook_key", "next_webhook_key",
          "api_key_sid", "api_key_secret", "calls_per_second")  # fmt: skip
KEPT = FIELDS[1:-1]
"""What stays of a known account where nothing is typed."""


@client_blueprint.get("/credentials", endpoint="credentials")
def list_of_credentials() -> str:
    """List the accounts and log-ins, without their secrets."""
    require_owner()
    session = db.session()

    def named(model: Any) -> Any:
        return session.scalars(
            select(model).where(model.client_id == g.client.id).order_by(model.name)
        ).all()

    return render_template(
        "staff/credentials.html", accounts=named(Credential), logins=named(SavedCredential)
    )


@client_blueprint.route("/credentials/new", methods=["GET", "POST"])
def credential_new() -> str | Response | tuple[str, int]:
    """Write a Twilio account down."""
    require_owner()
    return _edit(None)


@client_blueprint.route("/credentials/<credential_id>", methods=["GET", "POST"])
def credential(credential_id: str) -> str | Response | tuple[str, int]:
    """Change a Twilio account; what is left empty stays."""
    require_owner()
    return _edit(own.find(Credential, credential_id, "credential"))


def _edit(found: Credential | None) -> str | Response | tuple[str, int]:
    if request.method == "GET":
        return _form(found, [])
    try:
        spec = _typed(found)
        logins = credentials.logins_to_ask(spec, found)
        db.session.rollback()  # Twilio may take its time
        words = confirmation.ask(logins)
        with unit_of_work() as session:
            known = session.get_one(Credential, found.id) if found else None
            by = current_user.email
            saved = credentials.save(session, g.client.id, spec, known, by, words).row
    except Refused as refused:
        return _form(found, own.sentences(refused)), 422
    wake("send")
    if saved.unconfirmed_since is None:
        say(f"“{saved.name}” is saved.")
    else:
        say(f"“{saved.name}” is saved, but it {confirmation.UNCONFIRMED}", "warn")
    return redirect(url_for("client.credential", credential_id=saved.id))


def _typed(known: Credential | None) -> CredentialSpec:
    """Return the account as it is to be; what is left empty of a known one stays.

    :raises Refused: with everything that is wrong.
    """
    typed = {name: request.form.get(name, "").strip() for name in FIELDS}
    kept = {name: getattr(known, name) for name in KEPT} if known else {}
    given = {name: value or kept.get(name) for name, value in typed.items()}
    given = {name: value for name, value in given.items() if value is not None and value != ""}
    return mistakes.parse(CredentialSpec, {**given, "trial": "trial" in request.form})


def _form(found: Credential | None, wrong: list[str]) -> str:
    return render_template(
        "staff/credential.html",
        found=found,
        wrong=wrong,
        typed=request.form,
        uses=deletion.in_use(db.session(), found) if found else [],
    )


@client_blueprint.post("/credentials/<credential_id>/<action>")
def credential_act(credential_id: str, action: str) -> Response:
    """Finish a rotation, let a stopped account send again, or delete an account."""
    require_owner()
    found = own.find(Credential, credential_id, "credential")
    back = redirect(url_for("client.credential", credential_id=found.id))
    try:
        with unit_of_work() as session:
            fresh = session.get_one(Credential, found.id)
            if action == "finish":
                credentials.finish_rotation(session, fresh, current_user.email)
                said = "What was the next one is the current one now; the old one is forgotten."
            elif action == "mended":
                credentials.mended(session, fresh, current_user.email)
                said = "It may send again; what waited goes out."
            elif action == "delete":
                deletion.remove(session, fresh, current_user.email)
                said = f"“{found.name}” is deleted."
                back = redirect(url_for("client.credentials"))
            else:
                abort(404)
    except Refused as refused:
        say(str(refused), "bad")
        return redirect(url_for("client.credential", credential_id=found.id))
    wake("send")
    say(said)
    return back


@client_blueprint.route("/saved-credentials/new", methods=["GET", "POST"])
def credential_login_new() -> str | Response | tuple[str, int]:
    """Write down a log-in for callbacks."""
    require_owner()
    return _edit_login(None)


@client_blueprint.route("/saved-credentials/<login_id>", methods=["GET", "POST"])
def credential_login(login_id: str) -> str | Response | tuple[str, int]:
    """Change a log-in; an empty password stays as it is."""
    require_owner()
    return _edit_login(own.find(SavedCredential, login_id, "saved credential"))


def _edit_login(found: SavedCredential | None) -> str | Response | tuple[str, int]:
    wrong: list[str] = []
    if request.method == "POST":
        data: dict[str, Any] = {
            name: request.form.get(name, "") for name in ("name", "username", "password")
        }
        lines = request.form.get("origins", "").splitlines()
        data["origins"] = [line.strip() for line in lines if line.strip()] or None
        try:
            with unit_of_work() as session:
                _save_login(session, found, data)
        except Refused as refused:
            wrong = own.sentences(refused)
        else:
            say("Saved.")
            return redirect(url_for("client.credentials"))
    page = render_template(
        "staff/credential_login.html", found=found, wrong=wrong, typed=request.form,
        uses=deletion.in_use(db.session(), found) if found else [],
    )  # fmt: skip
    return (page, 422) if wrong else page


def _save_login(session: Session, found: SavedCredential | None, data: dict[str, Any]) -> None:
    known = session.get_one(SavedCredential, found.id) if found else None
    if known is not None and not data["password"]:
        data["password"] = known.password
    spec = mistakes.parse(SavedCredentialSpec, data)
    saved_credentials.save(session, g.client.id, spec, known, current_user.email)


@client_blueprint.post("/saved-credentials/<login_id>/delete")
def credential_login_delete(login_id: str) -> Response:
    """Delete a log-in that no callback uses."""
    require_owner()
    found = own.find(SavedCredential, login_id, "saved credential")
    return own.delete(
        found, url_for("client.credential_login", login_id=found.id), url_for("client.credentials")
    )
