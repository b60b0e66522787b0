"""Twilio tells of a voice message: by the ``action`` of ``<Record>``, and by its reports.

``/inbound/voice/step/<incoming call's id>/recorded``, ``/recording`` and ``/transcription``. Each
may come twice, late, in any order or never; see :mod:`app.domain.voicemails.reports`.
"""

from __future__ import annotations

import re

from flask import Blueprint, Response
from sqlalchemy.orm import Session
from werkzeug.exceptions import BadRequest

from app.domain import metrics
from app.domain.voicemails import reports
from app.domain.wake import wake
from app.extensions import reading, unit_of_work
from app.inbound import call_log, errors, parsing, webhook
from app.inbound.webhook import Webhook, twiml
from app.models.base import ERASED, PHONE_LENGTH
from app.twiml import voice

blueprint = Blueprint("voicemail", __name__, url_prefix="/inbound/voice/step")
errors.for_calls(blueprint)
told = Blueprint("voicemail_reports", __name__, url_prefix="/inbound/voice/step")
errors.for_texts(told)

_RECORDING = re.compile(r"RE[0-9a-fA-F]{32}")
TWILIOS_LANGUAGE = "en-US"
"""What Twilio writes down is English (Twilio, <Record transcribe>)."""


@blueprint.post("/<incoming_id>/recorded")
def recorded(incoming_id: str) -> Response:
    """Take the message, and say goodbye to who is still there. A repeat gets the same."""
    call = _call(incoming_id)
    if call is None:
        metrics.unknown_ids.labels("recorded").inc()
        return twiml(voice.apology())
    request = _verified(call)
    if (sid := _named(request)) is not None:
        with unit_of_work() as session:
            _note(session, call, sid, request)
        wake("voicemails")
    later = call.later or {}
    return twiml(voice.farewell(later.get("voice"), later.get("language")))


@told.post("/<incoming_id>/recording")
def recording(incoming_id: str) -> Response:
    """Take Twilio's report that a recording is ready, or that there is none.

    Its RecordingStatus is ``in-progress``, ``completed``, ``absent`` or ``failed``. After the last
    of these Twilio is asked, as where it says nothing.
    """
    call = _call(incoming_id)
    if call is None:
        return _unknown("recording")
    request = _verified(call)
    status = request.get("RecordingStatus")
    with unit_of_work() as session:
        if status == "completed":
            _note(session, call, _sid(request), request)
        elif status == "absent":
            reports.absent(session, call.id)
    wake("voicemails")
    return Response(status=204)


@told.post("/<incoming_id>/transcription")
def transcription(incoming_id: str) -> Response:
    """Take what Twilio has written down; that proves the recording as well."""
    call = _call(incoming_id)
    if call is None:
        return _unknown("transcription")
    request = _verified(call)
    sid, is_done = _sid(request), request.get("TranscriptionStatus") == "completed"
    text = request.get("TranscriptionText")
    with unit_of_work() as session:
        voicemail = reports.recorded(session, call.id, sid, None)
        if voicemail is not None:
            language = TWILIOS_LANGUAGE if is_done else None
            reports.transcribed(session, voicemail, text if is_done else None, language)
    wake("voicemails")
    return Response(status=204)


def _call(incoming_id: str) -> call_log.LoggedCall | None:
    if not webhook.is_id(incoming_id):
        return None
    with reading() as connection:
        return call_log.logged_call(connection, id=incoming_id)


def _verified(call: call_log.LoggedCall) -> Webhook:
    """Return the request if it is signed for, and speaks of, this very call.

    Twilio's report of a recording does not say From.

    :raises Forbidden: otherwise.
    """
    request = webhook.received()
    request.require_signature(call.tokens)
    request.require(AccountSid=call.account_sid, CallSid=call.sid)
    said = request.get("From").strip()[:PHONE_LENGTH]
    if request.has("From") and call.from_ not in (ERASED, said):
        request.require(From=call.from_)
    return request


def _named(request: Webhook) -> str | None:
    """Return the SID of the recording, if the request names one."""
    sid = request.get("RecordingSid")
    return sid if _RECORDING.fullmatch(sid) else None


def _sid(request: Webhook) -> str:
    """Return the SID of the recording.

    :raises BadRequest: when the request names none.
    """
    if (sid := _named(request)) is None:
        raise BadRequest("RecordingSid must be RE and 32 hexadecimal digits.")
    return sid


def _note(session: Session, call: call_log.LoggedCall, sid: str, request: Webhook) -> None:
    seconds = parsing.seconds(request.get("RecordingDuration"))
    reports.recorded(session, call.id, sid, seconds)


def _unknown(route: str) -> Response:
    """Accept a report about something that is gone, or never was, without a word; count it."""
    metrics.unknown_ids.labels(route).inc()
    return Response(status=204)
