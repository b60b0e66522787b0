"""What a person sees when a page cannot be shown: a sentence and a way on, never JSON.

Whatever lies under ``/staff`` is answered so, addresses that do not exist included; programs,
which ask elsewhere, go on getting problem details.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    g,
    make_response,
    render_template,
    request,
)
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import IntegrityError, OperationalError
from werkzeug.exceptions import (
    Conflict,
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
)

from app import problems
from app.extensions import db
from app.staff import unsent

log = structlog.get_logger(__name__)

WORDS: dict[int, tuple[str, str]] = {
    400: ("That could not be read", "Something in what was sent is not as it should be."),
    403: ("Not for you", "This page is for others. Ask an owner of this client."),
    404: ("Not found", "There is no such page, or it is not yours to see."),
    405: ("Not a page", "This address takes forms only. Begin at the page that shows the form."),
    409: ("Not possible now", "Something else stands in the way."),
    413: (
        "Too large",
        "What was sent is larger than Dispatch takes: files may have 10 MB. Nothing was saved.",
    ),
    429: ("Too many tries", "Wait a while, then try again."),
    500: (
        "Something failed",
        "It is our fault, not yours, and it has been logged. Nothing was half saved: go back and"
        " try again. If it fails again, tell support what you were doing.",
    ),
    503: (
        "Just a moment",
        "Dispatch cannot reach its database just now. Texts and calls are not lost. Try again in"
        " a few seconds.",
    ),
}
"""Title and sentence of each status, where nobody said anything more exact."""
HEARD_OUT = 64 * 1024 * 1024
"""How much of what is too large is read all the same, so that its sender sees the answer."""
STALE_FORM = (
    "This form is out of date",
    "You were signed out, or the page was open for too long. Nothing was saved. Go back, reload"
    " the page, and send the form again.",
)


def init_blueprint(blueprint: Blueprint) -> None:
    """Answer the errors of pages."""
    blueprint.register_error_handler(CSRFError, _stale_form)
    blueprint.register_error_handler(HTTPException, _http_error)
    blueprint.register_error_handler(OperationalError, _database_away)
    blueprint.register_error_handler(IntegrityError, _collision)
    blueprint.register_error_handler(Exception, _failure)


def init_app(app: Flask, secured: Callable[[Response], Response]) -> None:
    """Answer for addresses that lead nowhere: no blueprint knows of those.

    :param secured: what is done with every page, and so with these.
    """

    def lost(error: HTTPException) -> Response:
        if request.path == "/staff" or request.path.startswith("/staff/"):
            return secured(_http_error(error))
        return problems.http_error(error)

    for kind in (NotFound, MethodNotAllowed):
        app.register_error_handler(kind, lost)


def _http_error(error: HTTPException) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        _hear_out()
    status = error.code or 500
    title, text = WORDS.get(status, (error.name, error.description or ""))
    if error.description and error.description != type(error).description:
        text = error.description  # said on purpose, by whoever stopped the request
    return _page(status, title, text, error)


def _hear_out() -> None:
    """Read what a browser is still sending: it looks at no answer before it has sent all."""
    heard, rest = 0, request.environ["wsgi.input"]
    while heard < HEARD_OUT and (part := rest.read(65_536)):
        heard += len(part)


def _stale_form(error: CSRFError) -> Response:
    return hand_back() or _page(400, *STALE_FORM, error)


def hand_back() -> Response | None:
    """Give back what was sent without a session, to be sent again; None where that cannot be."""
    kept = unsent.form()
    if kept is None:
        return None
    return make_response(render_template("staff/unsent.html", unsent=kept), 400)


def _page(status: int, title: str, text: str, error: HTTPException) -> Response:
    try:
        page = render_template("staff/error.html", title=title, text=text)
    except OperationalError as away:
        return _database_away(away)
    answer = make_response(page, status)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            answer.headers[name] = value
    return answer


def _database_away(error: OperationalError) -> Response:
    log.warning("the database is away", error=str(error.orig))
    answer = _bare_page(503)
    answer.headers["Retry-After"] = "5"
    return answer


def _collision(error: IntegrityError) -> Response:
    if not problems.collides(error):
        return _failure(error)
    db.session.rollback()
    return _http_error(Conflict(problems.COLLISION))


def _failure(error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return _bare_page(500)


def _bare_page(status: int) -> Response:
    """Make a page without asking the database who is looking at it: that may be what failed."""
    title, text = WORDS[status]
    template = current_app.jinja_env.get_template("staff/failure.html")
    client = g.client.name if "client" in g else None
    return make_response(template.render(title=title, text=text, client=client), status)
