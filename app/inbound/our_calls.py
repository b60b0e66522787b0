"""Calls of ours: Twilio asks what to say, and tells how the call goes.

``/inbound/voice/answer/<message id>``, ``/gathered/…``, ``/recorded/…`` and ``/status/…``. Each is
verified with the credential of that very message.
"""

from __future__ import annotations

import re
from typing import Any

import structlog
from flask import Blueprint, Response
from werkzeug.exceptions import BadRequest, Forbidden

from app.domain import metrics
from app.domain.relaying import announcements
from app.domain.sending import calls, statuses
from app.domain.sending.reports import Report
from app.extensions import current_settings, db, unit_of_work
from app.inbound import errors
from app.inbound.webhook import Webhook, is_id, received, twiml
from app.models.base import ERASED
from app.models.credential import Credential
from app.models.message import Message
from app.models.route import Destination
from app.twilio.statuses import CALL_RANKS, CALL_TERMINAL
from app.twiml import voice

log = structlog.get_logger(__name__)
blueprint = Blueprint("our_calls", __name__, url_prefix="/inbound/voice")
errors.for_our_calls(blueprint)
reports = Blueprint("our_calls_reports", __name__, url_prefix="/inbound/voice")
errors.for_texts(reports)

_SID = re.compile(r"CA[0-9a-fA-F]{32}")
_KEPT = (
    "SequenceNumber", "Timestamp", "SipResponseCode", "AnsweredBy", "MachineDetectionDuration",
    "RecordingSid", "RecordingDuration", "RecordingStatus", "ErrorCode", "ErrorUrl",
)  # fmt: skip
ANSWERED, GATHERED, RECORDED = "answered", "gathered", "recorded"
"""Our words for what no call status says; they are kept and move nothing."""


@blueprint.post("/answer/<message_id>")
def answer(message_id: str) -> Response:
    """Tell Twilio what to say; also its fallback. A repeat gets the same."""
    message = _find(message_id, "answer")
    if message is None:
        return twiml(voice.sorry())
    webhook = received()
    _verify(webhook, message)
    if message.to == ERASED:
        return twiml(voice.sorry())
    if _went_wrong(webhook, message):
        log.error(
            "Twilio could not go on with a call of ours",
            message=message_id, error=webhook.get("ErrorCode"), url=webhook.get("ErrorUrl"),
        )  # fmt: skip
        return twiml(voice.sorry())
    # How the call ends is the status callback's to say, which brings its length as well.
    status = webhook.get("CallStatus")
    word = status if status in CALL_RANKS.keys() - CALL_TERMINAL else ANSWERED
    document = calls.choose(db.session(), message, webhook.get("AnsweredBy"))
    with unit_of_work() as session:
        statuses.record_report(session, message_id, _report(webhook, word))
        document = calls.answer(session, session.get_one(Message, message_id), document)
    return twiml(document)


@blueprint.post("/gathered/<message_id>")
def gathered(message_id: str) -> Response:
    """Keep the keys or words of a ``<Gather>`` that named nobody else, and end politely."""
    message = _find(message_id, "gathered")
    if message is None:
        return twiml(voice.sorry())
    webhook = received()
    _verify(webhook, message)
    found = {
        "digits": webhook.get("Digits")[:200] or None,
        "speech": webhook.get("SpeechResult")[:1000] or None,
    }
    with unit_of_work() as session:
        statuses.record_report(session, message_id, _report(webhook, GATHERED, **found))
        announcements.more_came(session, session.get_one(Message, message_id))
    return twiml(voice.goodbye())


@blueprint.post("/recorded/<message_id>")
def recorded(message_id: str) -> Response:
    """Keep a recording's address, from ``<Record>`` (and end politely) or from Twilio's report."""
    message = _find(message_id, "recorded")
    webhook = received()
    is_report = "RecordingStatus" in webhook.fields
    if message is None:
        return Response(status=204) if is_report else twiml(voice.sorry())
    _verify(webhook, message)
    url = webhook.get("RecordingUrl")
    if webhook.get("RecordingStatus") in ("in-progress", "absent", "failed"):
        url = ""
    found = {"recording_url": url if re.fullmatch(r"https?://\S{1,2000}", url) else None}
    with unit_of_work() as session:
        statuses.record_report(session, message_id, _report(webhook, RECORDED, **found))
        announcements.more_came(session, session.get_one(Message, message_id))
    return Response(status=204) if is_report else twiml(voice.goodbye())


@reports.post("/status/<message_id>")
def status(message_id: str) -> Response:
    """Take one report of how a call goes. Its order, repeats and unknown words are harmless."""
    message = _find(message_id, "call_status")
    if message is None:
        return Response(status=204)
    webhook = received()
    _verify(webhook, message)
    word = webhook.get("CallStatus")
    if not word:
        raise BadRequest("CallStatus is needed.")
    url = webhook.get("RecordingUrl")
    report = _report(
        webhook,
        word[:32],
        sequence=_number(webhook, "SequenceNumber"),
        call_duration=_number(webhook, "CallDuration") if word == "completed" else None,
        error_code=_number(webhook, "ErrorCode"),
        recording_url=url if re.fullmatch(r"https?://\S{1,2000}", url) else None,
    )
    with unit_of_work() as session:
        statuses.record_report(session, message_id, report)
    return Response(status=204)


def _find(message_id: str, route: str) -> Message | None:
    message = db.session.get(Message, message_id) if is_id(message_id) else None
    if message is None or message.destination is not Destination.VOICE:
        log.warning("a request about a call that is not ours", message=message_id, route=route)
        metrics.unknown_ids.labels(route).inc()
        return None
    return message


def _verify(webhook: Webhook, message: Message) -> None:
    """Refuse what is not signed by the call's own account, or speaks of another call.

    Twilio's report of a recording names neither To nor From; all others do.
    """
    credential = db.session.get_one(Credential, message.credential_id)
    webhook.require_signature(credential.tokens)
    webhook.require(AccountSid=credential.account_sid)
    is_erased = message.to == ERASED  # it is their call by its CallSid
    if not is_erased and ("RecordingStatus" not in webhook.fields or "To" in webhook.fields):
        webhook.require(To=message.to)
    if "From" in webhook.fields:
        webhook.require(From=message.from_)
    sid = webhook.get("CallSid")
    if not _SID.fullmatch(sid):
        raise BadRequest("CallSid is needed.")
    if message.sid is not None and sid != message.sid:
        raise Forbidden("CallSid is not the one that this belongs to.")


def _report(webhook: Webhook, word: str, **found: Any) -> Report:
    return Report(
        status=word,
        source="callback",
        sid=webhook.get("CallSid"),
        answered_by=webhook.get("AnsweredBy")[:32] or None,
        details={name: webhook.get(name)[:200] for name in _KEPT if name in webhook.fields},
        **found,
    )


def _number(webhook: Webhook, name: str) -> int | None:
    value = webhook.get(name)
    return int(value) if re.fullmatch(r"[0-9]{1,9}", value) else None


def _went_wrong(webhook: Webhook, message: Message) -> bool:
    """Tell whether Twilio had our TwiML and could not go through with it.

    Then it asks the fallback URL, which is this one, and the same TwiML would fail again. When it
    never had our answer, ErrorUrl is our own address and ErrorCode an HTTP failure (11xxx).
    """
    code = webhook.get("ErrorCode")
    ours = f"{current_settings().public_base_url}/inbound/voice/answer/{message.id}"
    asked = webhook.get("ErrorUrl").partition("?")[0]
    return bool(code) and not (code.startswith("11") and asked in ("", ours))
