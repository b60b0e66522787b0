"""What Twilio is told when something of ours fails: TwiML, and never a traceback or plain text.

Twilio would text a plain answer to the person, and read one out to a caller.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

import structlog
from flask import Blueprint, Response, current_app, g
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from werkzeug.exceptions import HTTPException

from app import problems
from app.domain import aside
from app.extensions import db
from app.inbound.webhook import twiml
from app.twiml import messaging, voice

log = structlog.get_logger(__name__)

CALLER_WAITS = 1.0
"""Seconds after its beginning in which a request about a call is tried again while PostgreSQL is
away: after a crash it is mostly back by then. A text is given back to Twilio, which comes again."""
PAUSE = 0.1
Answering = Callable[[Exception], Response]


def for_texts(blueprint: Blueprint) -> None:
    """Answer failures with an error status: Twilio's retries and fallback URL then come back."""
    blueprint.register_error_handler(HTTPException, problems.http_error)
    blueprint.register_error_handler(DBAPIError, _tried_again(_text_failed, 0.0))
    blueprint.register_error_handler(Exception, _text_failed)


def for_calls(blueprint: Blueprint) -> None:
    """Answer failures with an apology and status 200: a caller is on the line and hears it."""
    _note_beginning(blueprint)
    blueprint.register_error_handler(HTTPException, problems.http_error)
    blueprint.register_error_handler(DBAPIError, _tried_again(_call_failed, CALLER_WAITS))
    blueprint.register_error_handler(Exception, _call_failed)


def for_our_calls(blueprint: Blueprint) -> None:
    """Answer failures with a sentence and status 200: a person whom we called is on the line."""
    _note_beginning(blueprint)
    blueprint.register_error_handler(HTTPException, problems.http_error)
    blueprint.register_error_handler(DBAPIError, _tried_again(_our_call_failed, CALLER_WAITS))
    blueprint.register_error_handler(Exception, _our_call_failed)


def _note_beginning(blueprint: Blueprint) -> None:
    @blueprint.before_request
    def begin() -> None:
        g.began = time.monotonic()


def _tried_again(answer: Answering, seconds: float) -> Answering:
    """Begin a request anew whose connection broke, on another one; ``answer`` what fails still.

    Whether the broken one had committed or not: as when Twilio repeats a request, what is stored
    already is found and answered in the same way.

    :param seconds: for how long it is begun anew also where there is no connection to be had.
    """

    def handle(error: Exception) -> Response:
        until = g.get("began", 0.0) + seconds
        again = isinstance(error, DBAPIError) and error.connection_invalidated
        while again or (_is_away(error) and time.monotonic() < until):
            db.session.rollback()
            time.sleep(0.0 if again else PAUSE)
            again = False
            try:
                return current_app.make_response(current_app.dispatch_request())
            except HTTPException as refused:
                return problems.http_error(refused)
            except Exception as failed:  # noqa: BLE001 - looked at here, and answered below
                error = failed
        return answer(error)

    return handle


def _is_away(error: Exception) -> bool:
    """Tell whether PostgreSQL is away; of SQLite's lock a request has waited long enough."""
    orig = getattr(error, "orig", None)
    return aside.is_away(error) and not isinstance(orig, sqlite3.Error)


def _text_failed(error: Exception) -> Response:
    if isinstance(error, SQLAlchemyError):
        log.error("the database failed while a text came in", error=str(error))
        return twiml(messaging.empty(), 503)
    log.error("an incoming text could not be answered", exc_info=error)
    return twiml(messaging.empty(), 500)


def _call_failed(error: Exception) -> Response:
    _log_call(error)
    return twiml(voice.apology())


def _our_call_failed(error: Exception) -> Response:
    _log_call(error)
    return twiml(voice.sorry())


def _log_call(error: Exception) -> None:
    g.failed = True  # the status does not say so: a caller hears an apology
    if isinstance(error, SQLAlchemyError):
        log.error("the database failed during a call", error=str(error))
    else:
        log.error("a call could not be answered", exc_info=error)
