"""Twilio tells what became of a text of ours: ``/inbound/sms/status/<message id>``."""

from __future__ import annotations

import re

import structlog
from flask import Blueprint, Response
from werkzeug.exceptions import BadRequest, Forbidden

from app.domain import metrics
from app.domain.sending import statuses
from app.domain.sending.reports import Report
from app.extensions import db, unit_of_work
from app.inbound import errors
from app.inbound.webhook import Webhook, is_id, received
from app.models.credential import Credential
from app.models.message import Message
from app.models.route import Channel
from app.models.sender import Sender

log = structlog.get_logger(__name__)
blueprint = Blueprint("sms_status", __name__)
errors.for_texts(blueprint)

_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_KEPT = ("RawDlrDoneDate", "MessagingServiceSid", "From", "ChannelStatusMessage")


@blueprint.post("/inbound/sms/status/<message_id>")
def sms_status(message_id: str) -> Response:
    """Take one report. Its order, repeats and unknown words are harmless."""
    message = db.session.get(Message, message_id) if is_id(message_id) else None
    if message is None or message.destination is not Channel.SMS:
        metrics.unknown_ids.labels("sms_status").inc()
        log.warning("status of a message that is not ours", message=message_id)
        return Response(status=204)
    webhook = received()
    _verify(webhook, message)
    report = _parse(webhook)
    with unit_of_work() as session:
        statuses.record_report(session, message_id, report)
    return Response(status=204)


def _verify(webhook: Webhook, message: Message) -> None:
    """Refuse what is not signed by the message's own account, or speaks of another message."""
    credential = db.session.get_one(Credential, message.credential_id)
    webhook.require_signature(credential.tokens)
    webhook.require(AccountSid=credential.account_sid, To=message.to)
    sender = db.session.get_one(Sender, message.sender_id)
    if sender.is_number and "From" in webhook.fields:
        webhook.require(From=sender.address)
    if message.sid is not None and webhook.get("MessageSid") != message.sid:
        raise Forbidden("MessageSid is not the one that this belongs to.")


def _parse(webhook: Webhook) -> Report:
    sid, status = webhook.get("MessageSid"), webhook.get("MessageStatus")
    if not _SID.fullmatch(sid) or not status:
        raise BadRequest("MessageSid and MessageStatus are needed.")
    code, sender = webhook.get("ErrorCode"), webhook.get("From")
    return Report(
        status=status[:32],
        source="callback",
        sid=sid,
        error_code=int(code) if re.fullmatch(r"[0-9]{1,6}", code) else None,
        error_message=webhook.get("ErrorMessage") or None,
        sender=sender if re.fullmatch(r"\+?[0-9]{5,15}", sender) else None,
        details={name: webhook.get(name)[:200] for name in _KEPT if name in webhook.fields},
    )
