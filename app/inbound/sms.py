"""Incoming texts: Twilio's webhook of every number and messaging service."""

from __future__ import annotations

import structlog
from flask import Blueprint, Response

from app.extensions import reading
from app.inbound import errors, lookup, parsing, texts, webhook
from app.inbound.webhook import twiml
from app.twiml import messaging

log = structlog.get_logger(__name__)

blueprint = Blueprint("sms", __name__, url_prefix="/inbound")
errors.for_texts(blueprint)


@blueprint.post("/sms")
def receive() -> Response:
    """Answer a text: read it, find the number, verify, choose and store, answer."""
    request = webhook.received()
    text = parsing.text(request)
    with reading() as connection:
        number = lookup.for_text(connection, text.to, text.caller, text.service_sid, text.word)
    request.require_signature(number.tokens if number else _tokens_of_account(text))
    text.require_whole()
    if number is None:
        return _accept_for_nobody(text)
    request.require(AccountSid=number.account_sid)
    return twiml(texts.take_in(text, number))


def _tokens_of_account(text: parsing.Arrival) -> tuple[str, ...]:
    """Return what may sign a text to a number that we do not have.

    :raises BadRequest: when the request names neither number nor account.
    """
    if not text.account_sid and not text.to:
        text.require_whole()
    with reading() as connection:
        return lookup.tokens_of_account(connection, text.account_sid)


def _accept_for_nobody(text: parsing.Arrival) -> Response:
    """Accept what is well signed by an account of ours: a number just bought, or given up.

    Nothing is stored, since it belongs to nobody here; the log says so.
    """
    log.warning("text to a number that is not ours", to=text.to, account=text.account_sid)
    return twiml(messaging.empty())
