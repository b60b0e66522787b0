"""Who may see what: every page needs a signed-in person, and every client's page a member."""

from __future__ import annotations

from collections.abc import Callable
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
    url_for,
)
from flask_login import LoginManager, current_user
from flask_wtf.csrf import CSRFProtect, generate_csrf
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as BaseResponse

from app.domain.conversations import finding
from app.domain.restoring import hold
from app.extensions import current_settings, db
from app.models.client import Client
from app.models.user import Membership, Role, User
from app.staff import errors, listing, words
from app.staff.entrance import opened
from app.staff.entrance.sessions import StaffSessions
from app.staff.sections import sections
from app.version import VERSION

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
    "staff.to_provider",
    "staff.from_provider",
    "staff.provider_logout",
    "staff.second_step",
}
"""Pages that need no sign-in."""
OPEN_TO_HALF = {
    "staff.second_factor",
    "staff.second_factor_codes",
    "staff.passkey_add",
    "staff.confirm",
    "staff.logout",
}
"""Pages that who must set up a second factor sees before that."""
NO_FORMS = {"staff.provider_logout"}
"""What other servers call: it carries a signature, and no cookie of ours counts there."""


def init_app(app: Flask) -> None:
    """Prepare ``app`` for signed-in people: cookies, CSRF, and the two blueprints."""
    secure = app.extensions["settings"].public_base_url.startswith("https://")
    app.config.update(
        SESSION_COOKIE_NAME=f"{'__Host-' if secure else ''}dispatch_session",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=opened.SESSION_HOURS * 3600,
        WTF_CSRF_CHECK_DEFAULT=False,  # Twilio and the API have no forms; staff pages check below
        WTF_CSRF_TIME_LIMIT=None,  # a token lasts as long as its session
        WTF_CSRF_SSL_STRICT=False,  # behind a proxy the scheme is the proxy's
    )
    app.session_interface = StaffSessions()
    for extension in (csrf, login):
        _for_pages_alone(app, extension.init_app)
    login.user_loader(opened.load_person)
    words.init_app(app)
    errors.init_app(app, secured)
    app.register_blueprint(blueprint)
    app.register_blueprint(client_blueprint)


def _for_pages_alone(app: Flask, init: Callable[[Flask], None]) -> None:
    """Let a library prepare ``app``; what it does around each request, it does for pages only."""
    around: list[Any] = [app.before_request_funcs, app.after_request_funcs]
    before = [list(hooks.get(None, ())) for hooks in around]
    init(app)
    for hooks, own in zip(around, before, strict=True):
        for page in (blueprint, client_blueprint):
            hooks.setdefault(page.name, []).extend(hooks.get(None, ())[len(own) :])
        hooks[None] = own


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


def require_passwords() -> None:
    """Stop with 403 where people have no passwords of Dispatch's own (``LOCAL_PASSWORDS``)."""
    if not current_settings().local_passwords:
        abort(403, "Nobody has a password here. Sign in by your institution's own service.")


@blueprint.before_request
@client_blueprint.before_request
def _sign_in_first() -> BaseResponse | None:
    if request.endpoint in NO_FORMS:
        return None
    csrf.protect()
    if current_user.is_authenticated:
        opened.note_use(current_user)
        if current_user.must_set_up and request.endpoint not in OPEN_TO_HALF | OPEN_TO_ALL:
            return _lead_to("staff.second_factor")
        return None
    if request.endpoint in OPEN_TO_ALL:
        return None
    if request.headers.get("HX-Request"):
        return _lead_to("staff.sign_in")
    if (kept := errors.hand_back()) is not None:
        return kept
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("staff.sign_in", next=wanted))


def _lead_to(endpoint: str) -> BaseResponse:
    """Lead elsewhere; a part of a page (htmx) leads the whole of it there."""
    if request.headers.get("HX-Request"):
        return Response("", 401, {"HX-Redirect": url_for(endpoint)})
    return redirect(url_for(endpoint))


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
    waiting = finding.how_many_wait(Client.id)
    found = db.session.execute(select(Client, waiting).where(Client.name == g.client_name)).first()
    role = role_in(current_user.user, found[0]) if found else None
    if found is None or role is None:
        abort(404, "There is no such page, or it is not yours to see.")
    g.client, g.waiting = found
    g.role = role


@client_blueprint.url_defaults
def _keep_client(_endpoint: str, values: dict[str, Any]) -> None:
    if "client" not in values and "client" in g:
        values["client"] = g.client.name


@blueprint.after_request
@client_blueprint.after_request
def secured(response: Response) -> Response:
    """Tell browsers what staff pages may do."""
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
        "sending_held": _sending_held, "version": VERSION,
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
