"""What Twilio is told when something of ours fails: TwiML, and never a traceback or plain text.

Twilio would text a plain answer to the person, and read one out to a caller.
"""

from __future__ import annotations

import structlog
from flask import Blueprint, Response
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from app import problems
from app.twiml import messaging, voice

log = structlog.get_logger(__name__)


def twiml(document: str, status: int = 200) -> Response:
    """Make an answer of type ``text/xml``."""
    return Response(document, status, content_type="text/xml; charset=utf-8")


def for_texts(blueprint: Blueprint) -> None:
    """Answer failures with an error status: Twilio's retries and fallback URL then come back."""
    blueprint.register_error_handler(HTTPException, problems.http_error)
    blueprint.register_error_handler(SQLAlchemyError, _text_without_database)
    blueprint.register_error_handler(Exception, _text_failed)


def for_calls(blueprint: Blueprint) -> None:
    """Answer failures with an apology and status 200: a caller is on the line and hears it."""
    blueprint.register_error_handler(HTTPException, problems.http_error)
    blueprint.register_error_handler(Exception, _call_failed)


def for_our_calls(blueprint: Blueprint) -> None:
    """Answer failures with a sentence and status 200: a person whom we called is on the line."""
    blueprint.register_error_handler(HTTPException, problems.http_error)
    blueprint.register_error_handler(Exception, _our_call_failed)


def _text_without_database(error: Exception) -> Response:
    log.error("the database failed while a text came in", error=str(error))
    return twiml(messaging.empty(), 503)


def _text_failed(error: Exception) -> Response:
    log.error("an incoming text could not be answered", exc_info=error)
    return twiml(messaging.empty(), 500)


def _call_failed(error: Exception) -> Response:
    _log_call(error)
    return twiml(voice.apology())


def _our_call_failed(error: Exception) -> Response:
    _log_call(error)
    return twiml(voice.sorry())


def _log_call(error: Exception) -> None:
    if isinstance(error, SQLAlchemyError):
        log.error("the database failed during a call", error=str(error))
    else:
        log.error("a call could not be answered", exc_info=error)
