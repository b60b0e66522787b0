"""What became of the verification of a caller ID."""

from __future__ import annotations

import structlog
from flask import Blueprint, Response

from app.domain import verifications
from app.extensions import db, unit_of_work
from app.inbound import errors
from app.inbound.webhook import received
from app.models.credential import Credential
from app.models.number import Verification

log = structlog.get_logger(__name__)
blueprint = Blueprint("verification", __name__)
errors.for_texts(blueprint)


@blueprint.post("/inbound/voice/verification/<verification_id>")
def outcome(verification_id: str) -> Response:
    """Note the outcome: Twilio calls this when the person has typed the code, or has not."""
    webhook = received()
    verification = db.session.get(Verification, verification_id)
    if verification is None:
        log.info("an unknown verification was reported", verification=verification_id)
        return Response(status=204)
    credential = db.session.get_one(Credential, verification.credential_id)
    webhook.require_signature(credential.tokens)
    webhook.require(AccountSid=credential.account_sid)
    if webhook.get("CallSid") and verification.call_sid:
        webhook.require(CallSid=verification.call_sid)
    if webhook.get("Called") or webhook.get("To"):
        webhook.require(**{"Called" if webhook.get("Called") else "To": verification.phone})
    status = webhook.get("VerificationStatus")
    if status in ("success", "failed"):
        with unit_of_work() as session:
            verifications.settle(
                session, verification_id, status == "success",
                webhook.get("OutgoingCallerIdSid") or None,
            )  # fmt: skip
    return Response(status=204)
