"""Incoming texts: Twilio's webhook of every number and messaging service."""

from __future__ import annotations

import structlog
from flask import Blueprint, Response

from app.domain import keywords
from app.extensions import reading
from app.inbound import errors, lookup, parsing, texts, webhook
from app.inbound.number import Number
from app.inbound.webhook import twiml
from app.twiml import messaging

log = structlog.get_logger(__name__)

blueprint = Blueprint("sms", __name__, url_prefix="/inbound")
errors.for_texts(blueprint)


@blueprint.post("/sms")
def receive() -> Response:
    """Answer a text: find the number, verify, parse, choose and store, answer."""
    request = webhook.received()
    number = _number_of(request)
    request.require_signature(number.tokens if number else _tokens_of_account(request))
    text = parsing.text(request)
    if number is None:
        return _accept_for_nobody(text)
    request.require(AccountSid=number.account_sid)
    return twiml(texts.take_in(text, number))


def _number_of(request: webhook.Webhook) -> Number | None:
    with reading() as connection:
        return lookup.for_text(
            connection,
            to=parsing.phone_of(request.get("To")),
            from_=parsing.phone_of(request.get("From")),
            service_sid=parsing.service_sid(request),
            word=keywords.read(request.get("Body")),
        )


def _tokens_of_account(request: webhook.Webhook) -> tuple[str, ...]:
    """Return what may sign a text to a number that we do not have.

    :raises BadRequest: when the request names neither number nor account.
    """
    account_sid = request.get("AccountSid")
    if not account_sid and not request.get("To"):
        parsing.text(request)
    with reading() as connection:
        return lookup.tokens_of_account(connection, account_sid)


def _accept_for_nobody(text: parsing.Arrival) -> Response:
    """Accept what is well signed by an account of ours: a number just bought, or given up.

    Nothing is stored, since it belongs to nobody here; the log says so.
    """
    log.warning("text to a number that is not ours", to=text.to, account=text.account_sid)
    return twiml(messaging.empty())
