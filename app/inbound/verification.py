"""What became of the verification of a caller ID."""

from __future__ import annotations

import structlog
from flask import Blueprint, Response

from app.domain import metrics
from app.domain.provisioning import verifications
from app.extensions import db, unit_of_work
from app.inbound import errors
from app.inbound.webhook import is_id, received
from app.models.credential import Credential
from app.models.number import Verification

log = structlog.get_logger(__name__)
blueprint = Blueprint("verification", __name__)
errors.for_texts(blueprint)


@blueprint.post("/inbound/voice/verification/<verification_id>")
def outcome(verification_id: str) -> Response:
    """Note the outcome: Twilio calls this when the person has typed the code, or has not."""
    known = is_id(verification_id)
    verification = db.session.get(Verification, verification_id) if known else None
    if verification is None:
        log.warning("an unknown verification was reported", verification=verification_id)
        metrics.unknown_ids.labels("verification").inc()
        return Response(status=204)
    webhook = received()
    credential = db.session.get_one(Credential, verification.credential_id)
    webhook.require_signature(credential.tokens)
    webhook.require(AccountSid=credential.account_sid)
    if verification.call_sid:
        webhook.require(CallSid=verification.call_sid)
    webhook.require(**{"To" if webhook.get("To") else "Called": verification.phone})
    status = webhook.get("VerificationStatus")
    if status in ("success", "failed"):
        with unit_of_work() as session:
            verifications.note_outcome(
                session, verification_id, status == "success",
                webhook.get("OutgoingCallerIdSid") or None,
            )  # fmt: skip
    return Response(status=204)
