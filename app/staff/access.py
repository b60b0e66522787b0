"""Who may see what: every page needs a signed-in person, and every client's page a member."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    flash,
    g,
    redirect,
    request,
    session,
    url_for,
)
from flask_login import LoginManager, UserMixin, current_user, login_user
from flask_wtf.csrf import CSRFProtect, generate_csrf
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as BaseResponse

from app.domain.restoring import hold
from app.extensions import current_settings, db
from app.models.client import Client
from app.models.user import Membership, Role, User
from app.staff import errors, listing, words
from app.staff.sections import sections
from app.staff.sessions import StaffSessions

SESSION_HOURS = 12
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " media-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none';"
    " base-uri 'none'"
)

blueprint = Blueprint(
    "staff", __name__, url_prefix="/staff", template_folder="templates", static_folder="static"
)
client_blueprint = Blueprint("client", __name__, url_prefix="/staff/clients/<client>")
for one in (blueprint, client_blueprint):
    errors.init_blueprint(one)
csrf = CSRFProtect()
login = LoginManager()

OPEN_TO_ALL = {
    "staff.sign_in",
    "staff.static",
    "staff.accept_invitation",
    "staff.forgotten",
}
"""Pages that need no sign-in."""


class Person(UserMixin):  # type: ignore[misc]
    """The signed-in person. The session names a version, so that all sessions can be ended."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.id = f"{user.id}:{user.session_version}"
        self.email = user.email
        self.is_support = user.is_support


def init_app(app: Flask) -> None:
    """Prepare ``app`` for signed-in people: cookies, CSRF, and the two blueprints."""
    secure = app.extensions["settings"].public_base_url.startswith("https://")
    app.config.update(
        SESSION_COOKIE_NAME=f"{'__Host-' if secure else ''}dispatch_session",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=SESSION_HOURS * 3600,
        WTF_CSRF_CHECK_DEFAULT=False,  # Twilio and the API have no forms; staff pages check below
        WTF_CSRF_TIME_LIMIT=None,  # a token lasts as long as its session
        WTF_CSRF_SSL_STRICT=False,  # behind a proxy the scheme is the proxy's
    )
    app.session_interface = StaffSessions()
    csrf.init_app(app)
    login.init_app(app)
    login.user_loader(_load_person)
    words.init_app(app)
    errors.init_app(app)
    app.after_request(_secure)
    app.register_blueprint(blueprint)
    app.register_blueprint(client_blueprint)


def _load_person(cookie_id: str) -> Person | None:
    user_id, _, version = cookie_id.partition(":")
    user = db.session.get(User, user_id)
    return Person(user) if user is not None and str(user.session_version) == version else None


def clients_of(user: User) -> list[Client]:
    """Return the clients that a person may see, by name: all of them for support."""
    query = select(Client).order_by(Client.name)
    if not user.is_support:
        query = query.join(Membership, Membership.client_id == Client.id).where(
            Membership.user_id == user.id
        )
    return list(db.session.scalars(query))


def role_in(user: User, client: Client) -> Role | None:
    """Return what a person may do for a client; support may do what owners may."""
    if user.is_support:
        return Role.OWNER
    membership = db.session.get(Membership, (user.id, client.id))
    return membership.role if membership else None


def require_owner() -> None:
    """Stop with 403 unless the person is an owner of ``g.client``, or support."""
    if g.role is not Role.OWNER:
        abort(403, "Only an owner of this client may do that. Ask one of them.")


def require_support() -> None:
    """Stop with 403 unless the person is support."""
    if not current_user.is_support:
        abort(403, "Only Dispatch support may do that.")


@blueprint.before_request
@client_blueprint.before_request
def _sign_in_first() -> BaseResponse | None:
    csrf.protect()
    if request.endpoint in OPEN_TO_ALL or current_user.is_authenticated:
        return None
    if request.headers.get("HX-Request"):
        return Response("", 401, {"HX-Redirect": url_for("staff.sign_in")})
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("staff.sign_in", next=wanted))


@blueprint.before_request
@client_blueprint.before_request
def _no_zero_bytes() -> None:
    """Refuse what no database can keep; no person types it."""
    typed = [value for _, value in request.values.items(multi=True)]
    named = [g.get("client_name"), *(request.view_args or {}).values()]
    if any("\x00" in str(value) for value in [*typed, *named]):
        abort(400, "What was sent holds a character that cannot be kept.")


@client_blueprint.url_value_preprocessor
def _take_client(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.client_name = (values or {}).pop("client", None)


@client_blueprint.before_request
def _members_only() -> None:
    client = db.session.scalar(select(Client).where(Client.name == g.client_name))
    role = role_in(current_user.user, client) if client else None
    if client is None or role is None:
        abort(404, "There is no such page, or it is not yours to see.")
    g.client, g.role = client, role


@client_blueprint.url_defaults
def _keep_client(_endpoint: str, values: dict[str, Any]) -> None:
    if "client" not in values and "client" in g:
        values["client"] = g.client.name


def _secure(response: Response) -> Response:
    """Tell browsers what staff pages may do, those of errors and unknown addresses included."""
    if not errors.is_staff_page():
        return response
    response.headers.setdefault("Content-Security-Policy", CSP)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if current_settings().public_base_url.startswith("https://"):
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    if request.endpoint != "staff.static":
        response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.app_context_processor
def _helpers() -> dict[str, object]:
    return {
        "csrf_field": csrf_field, "sections": sections, "look": listing.LOOK,
        "sending_held": _sending_held,
    }  # fmt: skip


def _sending_held() -> bool:
    """Tell whether all sending is held; where the database is away, a page says only that."""
    try:
        return hold.state() is not None
    except SQLAlchemyError:
        return False


def csrf_field() -> Markup:
    """Return the hidden field that every form of ours carries."""
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf())


def own_path(url: str | None) -> str | None:
    """Return ``url`` if it leads to a page of ours, so that sign-in redirects nowhere else."""
    if not url or not url.startswith("/staff/") or "\\" in url or not url.isprintable():
        return None
    parts = urlsplit(url)
    return url if not parts.scheme and not parts.netloc else None


def say(text: str, category: str = "good") -> None:
    """Show a sentence on the next page; ``category`` is ``good``, ``warn`` or ``bad``."""
    flash(text, category)


def begin_session(user: User) -> None:
    """Sign a person in with a fresh session, so that no session id is ever handed on."""
    session.clear()
    session.permanent = True
    login_user(Person(user))
