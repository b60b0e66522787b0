"""The POST itself: one claimed message handed to Twilio, and what came of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from app.domain.clients.accounts import client_by_id
from app.extensions import current_settings, db
from app.models.communication import MachineDetection
from app.models.route import Destination
from app.outbound.send.claims import Outgoing
from app.twilio import turns
from app.twilio.client import NotSent, RefusedByTwilio, TwilioClient, Uncertain
from app.twilio.turns import Turn

log = structlog.get_logger(__name__)

POST_TIMEOUT = (3.0, 10.0)
"""Seconds to connect, and to wait for an answer. The sum must be well below
`claims.CLAIM_SECONDS`, after which a claim counts as lost."""
CREDENTIAL_SECONDS = 5.0
"""How long the secrets of a credential are used before they are read again."""


@dataclass(frozen=True)
class Taken:
    """Twilio has the message."""

    sid: str
    status: str
    segments: int | None = None
    sender: str | None = None
    """The number, where Twilio has chosen one already."""


class Unready(NotSent):
    """What the request needs cannot be read: the lane is not at fault, and is not held."""


Outcome = Taken | NotSent | RefusedByTwilio | Uncertain


def post_text(twilio: TwilioClient, outgoing: Outgoing, public_base_url: str) -> Taken:
    """Create a text at Twilio.

    :raises NotSent, RefusedByTwilio, Uncertain: see `app.twilio.failures`.
    """
    from_service = outgoing.from_.startswith("MG")
    options = outgoing.options
    made = twilio.create_message(
        outgoing.to,
        from_=None if from_service else outgoing.from_,
        messaging_service_sid=outgoing.from_ if from_service else None,
        body=outgoing.body or None,
        media_url=outgoing.media,
        status_callback=f"{public_base_url}/inbound/sms/status/{outgoing.id}",
        validity_period=options.get("validityPeriod"),
        smart_encoded=options.get("smartEncoded") or None,
        send_as_mms=options.get("sendAsMms") or None,
    )
    return Taken(made.sid, made.status, made.num_segments or None, made.from_)


def post_call(twilio: TwilioClient, outgoing: Outgoing, public_base_url: str) -> Taken:
    """Place a call at Twilio, which asks us what to say once somebody has answered.

    The same address is its fallback: a repeat gets the same answer.

    :raises NotSent, RefusedByTwilio, Uncertain: see `app.twilio.failures`.
    """
    ours = f"{public_base_url}/inbound/voice"
    options = outgoing.options
    made = twilio.create_call(
        outgoing.to,
        outgoing.from_,
        url=f"{ours}/answer/{outgoing.id}",
        fallback_url=f"{ours}/answer/{outgoing.id}",
        status_callback=f"{ours}/status/{outgoing.id}",
        machine_detection=DETECTIONS.get(options.get("machineDetection", "")),
        machine_detection_timeout=options.get("machineDetectionTimeout"),
        machine_detection_speech_threshold=options.get("machineDetectionSpeechThreshold"),
        machine_detection_speech_end_threshold=options.get("machineDetectionSpeechEndThreshold"),
        machine_detection_silence_timeout=options.get("machineDetectionSilenceTimeout"),
        timeout=options.get("timeout"),
        time_limit=options.get("timeLimit"),
    )
    return Taken(made.sid, made.status)


DETECTIONS: dict[str, Literal["Enable", "DetectMessageEnd"]] = {
    MachineDetection.CONTINUE: "Enable",
    MachineDetection.HANG_UP: "Enable",
    MachineDetection.WAIT_FOR_BEEP: "DetectMessageEnd",
}
"""What Twilio does in each of our modes (Twilio, answering machine detection); off: nothing."""

Post = Callable[[TwilioClient, Outgoing, str], Taken]
POSTS: dict[Destination, Post] = {Destination.SMS: post_text, Destination.VOICE: post_call}
"""How each destination is posted; lanes, claims and settling are the same for all."""


class Poster:
    """Posts messages from many threads, with one REST client per credential."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._clients: dict[str, tuple[float, TwilioClient]] = {}
        self._reading = threading.Lock()

    def post(self, outgoing: Outgoing, turn: Turn) -> Outcome:
        """Hand ``outgoing`` to Twilio and return what came of it; raises nothing.

        The request is written when ``turn`` returns. Whatever goes wrong in a way nobody foresaw
        counts as uncertain: the text may be out.
        """
        try:
            twilio = self._client(outgoing.credential_id)
        except SQLAlchemyError as error:  # before the POST: surely not sent
            log.warning("credential not read", message=outgoing.id, error=type(error).__name__)
            return NotSent("The credential could not be read from the database.")
        if twilio is None:
            return Unready("The credential cannot be read.")
        try:
            with self._app.app_context():
                base = current_settings().public_base_url
            with turns.written_at(turn):
                return POSTS[outgoing.destination](twilio, outgoing, base)
        except (NotSent, RefusedByTwilio, Uncertain) as failure:
            return failure
        except Exception as error:
            log.exception("a POST failed in an unforeseen way", message=outgoing.id)
            return Uncertain(f"Something failed on our side: {type(error).__name__}.")

    def _client(self, credential_id: str) -> TwilioClient | None:
        """Return the client of a credential; one thread at a time reads, the others wait for it.

        :returns: None where the credential cannot be read; it is set aside.
        """
        kept = self._clients.get(credential_id)
        if kept is None or time.monotonic() - kept[0] >= CREDENTIAL_SECONDS:
            with self._reading:
                return self._read(credential_id)
        return kept[1]

    def _read(self, credential_id: str) -> TwilioClient | None:
        kept = self._clients.get(credential_id)
        if kept is not None and time.monotonic() - kept[0] < CREDENTIAL_SECONDS:
            return kept[1]
        with self._app.app_context():
            try:
                client = client_by_id(credential_id, POST_TIMEOUT)
            finally:
                db.session.remove()
        if client is None:
            return None
        if kept is not None and _same(kept[1], client):
            client = kept[1]
        self._clients[credential_id] = (time.monotonic(), client)
        return client


def _same(one: TwilioClient, other: TwilioClient) -> bool:
    return (one.account_sid, one.username, one.password) == (
        other.account_sid,
        other.username,
        other.password,
    )
