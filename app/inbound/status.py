"""Twilio tells what became of a text of ours: ``/inbound/sms/status/<message id>``.

Each text brings two to four such requests, so they cost as little as can be: one statement tells
whose message it is, the signature is checked, the report goes into a journal. Requests that come at
the same moment share a commit. What follows from it is done by
:mod:`app.outbound.afterwards.reports`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import structlog
from flask import Blueprint, Response
from sqlalchemy import Connection, bindparam, select
from werkzeug.exceptions import BadRequest, Forbidden

from app.domain import metrics, wake
from app.domain.phone_spellings import texted
from app.domain.sending.reports import Report
from app.extensions import reading
from app.inbound import errors, shared_commits
from app.inbound.parsing import phone_of
from app.inbound.webhook import Webhook, is_id, received
from app.models.base import ERASED, table, utcnow
from app.models.credential import SIGNING, Credential, signing_keys
from app.models.message import Message
from app.models.route import Destination
from app.models.sender import Sender, SenderKind
from app.twilio import errors as codes

log = structlog.get_logger(__name__)
blueprint = Blueprint("sms_status", __name__)
errors.for_texts(blueprint)

_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_KEPT = ("RawDlrDoneDate", "MessagingServiceSid", "From", "ChannelStatusMessage")
_message, _sender, _credential = table(Message), table(Sender), table(Credential)
_TEXT = (
    select(
        _message.c.to,
        _message.c.sid,
        _sender.c.kind,
        _sender.c.address,
        _credential.c.account_sid,
        *(_credential.c[name] for name in SIGNING),
    )
    .select_from(
        _message.join(_sender, _sender.c.id == _message.c.sender_id).join(
            _credential, _credential.c.id == _message.c.credential_id
        )
    )
    .where(_message.c.id == bindparam("id"), _message.c.destination == Destination.SMS)
)


@dataclass(frozen=True, slots=True)
class Text:
    """What a report about one of our texts has to match."""

    to: str
    sid: str | None
    number: str | None
    """What it was sent from; None where a messaging service chose one of its numbers."""
    account_sid: str
    tokens: tuple[str, ...]


@blueprint.post("/inbound/sms/status/<message_id>")
def sms_status(message_id: str) -> Response:
    """Take one report. Its order, repeats and unknown words are harmless."""
    text = None
    if is_id(message_id):
        with reading() as connection:
            text = _find(connection, message_id)
    if text is None:
        metrics.unknown_ids.labels("sms_status").inc()
        log.warning("status of a message that is not ours", message=message_id)
        return Response(status=204)
    webhook = received()
    _verify(webhook, text)
    report = _parse(webhook)
    shared_commits.append((message_id, report, utcnow()))
    wake.wake("reports", 0.0 if _is_urgent(text, report) else wake.SOON)
    return Response(status=204)


def _find(connection: Connection, message_id: str) -> Text | None:
    row = connection.execute(_TEXT, {"id": message_id}).first()
    if row is None:
        return None
    return Text(
        row.to,
        row.sid,
        None if row.kind is SenderKind.MESSAGING_SERVICE else row.address,
        row.account_sid,
        signing_keys(row),
    )


def _verify(webhook: Webhook, text: Text) -> None:
    """Refuse what is not signed by the message's own account, or speaks of another message."""
    webhook.require_signature(text.tokens)
    webhook.require(AccountSid=text.account_sid)
    to = phone_of(webhook.get("To"))
    if text.to not in (ERASED, to, texted(to)):
        raise Forbidden("To is not the one that this belongs to.")
    # By another channel Twilio writes the name of an agent, or a phone behind the channel's.
    if text.number is not None and ":" not in webhook.get("From") and "From" in webhook.fields:
        webhook.require(From=text.number)
    if text.sid is not None and webhook.get("MessageSid") != text.sid:
        raise Forbidden("MessageSid is not the one that this belongs to.")


def _is_urgent(text: Text, report: Report) -> bool:
    """Tell whether others wait for the report: it proves a SID, or that a person opted out."""
    return text.sid is None or (
        report.error_code is not None and codes.rule(report.error_code).opted_out
    )


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
