"""Caller IDs: an institution's own number, verified with Twilio so that calls can come from it.

Twilio calls the number, and the person there types the code that we show. What became of it comes
by Twilio's callback to ``/inbound/voice/verification/<id>`` (Twilio, OutgoingCallerIds resource).
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.domain import audit, phone_kinds, phones
from app.domain.mistakes import Refused
from app.domain.provisioning.number_settings import MAX_NAME, RETRIES
from app.domain.provisioning.numbers import Account, require_enabled
from app.extensions import current_settings, db, unit_of_work
from app.models.base import utcnow
from app.models.number import Verification, VerificationState
from app.models.route import Destination
from app.models.sender import DEFAULT_RATES, Sender, SenderKind, SenderType
from app.twilio import failures

log = structlog.get_logger(__name__)

ALREADY_VERIFIED = 21450
LONGEST_WAIT = timedelta(minutes=15)
OPEN = (VerificationState.STARTING, VerificationState.PENDING)


def start(
    where: Account, phone: str, by: str, *, name: str | None = None, extension: str | None = None
) -> Verification:
    """Have Twilio call ``phone`` now; the code to type is in the result.

    A number that Twilio has verified before is taken over at once.

    :param extension: digits to dial when the call is answered.
    :raises InvalidPhone: when ``phone`` is none.
    :raises Refused: when Twilio is not enabled for the client, or the number is another client's,
        or one that Twilio hosts.
    :raises TwilioFailure: when Twilio refuses, or cannot be asked.
    """
    number = phones.normalize(phone)
    require_enabled(where)
    made = _begin(where, number, by, name)
    base = current_settings().public_base_url
    try:
        asked = where.twilio.verify_caller_id(
            number,
            friendly_name=made.name,
            extension=extension,
            status_callback=f"{base}/inbound/voice/verification/{made.id}{RETRIES}",
        )
    except (failures.RefusedByTwilio, failures.NotSent) as failure:
        if getattr(failure, "code", None) != ALREADY_VERIFIED:
            _end(made.id, VerificationState.FAILED)
            raise
        _end(made.id, VerificationState.SUCCESS)
    else:
        with unit_of_work() as session:
            # The callback may have come first: only an open one still needs its code.
            session.execute(
                update(Verification)
                .where(Verification.id == made.id, Verification.state.in_(OPEN))
                .values(
                    state=VerificationState.PENDING,
                    code=asked.validation_code,
                    call_sid=asked.call_sid,
                )
                .execution_options(synchronize_session=False)
            )
    return current(made.id)


def _begin(where: Account, number: str, by: str, name: str | None) -> Verification:
    """Note that ``number`` is about to be verified, before Twilio is asked."""
    with unit_of_work() as session:
        if reason := _why_not(session, where.client_id, number):
            raise Refused.because(reason)
        made = Verification(
            client_id=where.client_id, credential_id=where.credential_id, phone=number,
            name=name[:MAX_NAME] if name else None, started_by=by,
        )  # fmt: skip
        session.add(made)
        session.flush()
        audit.record(session, by, "verify", number, where.client_id)
    return made


def current(verification_id: str) -> Verification:
    """Return the verification as it stands now."""
    db.session.rollback()
    return db.session.get_one(Verification, verification_id, populate_existing=True)


def note_outcome(session: Session, verification_id: str, success: bool, sid: str | None) -> bool:
    """Note what Twilio said became of a verification; return whether that was news.

    On success the number becomes a sender that may place calls.

    :param sid: Twilio's id of the caller ID (``PN…``).
    """
    state = VerificationState.SUCCESS if success else VerificationState.FAILED
    # Twilio's late word that the code was right counts, even after we had given it up.
    before = (*OPEN, VerificationState.FAILED) if success else OPEN
    ended = session.scalar(
        update(Verification)
        .where(Verification.id == verification_id, Verification.state.in_(before))
        .values(state=state, code=None, ended_at=utcnow())
        .returning(Verification)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    if ended is None:
        return False
    if success:
        _take_in(session, ended, sid)
    return True


def expire() -> int:
    """End the verifications of which nothing was heard for long; return how many."""
    with unit_of_work() as session:
        ended = session.scalars(
            update(Verification)
            .where(Verification.state.in_(OPEN), Verification.created_at < utcnow() - LONGEST_WAIT)
            .values(state=VerificationState.FAILED, code=None, ended_at=utcnow())
            .returning(Verification.id)
            .execution_options(synchronize_session=False)
        ).all()
    return len(ended)


def _end(verification_id: str, state: VerificationState) -> None:
    with unit_of_work() as session:
        note_outcome(session, verification_id, state is VerificationState.SUCCESS, None)


def _take_in(session: Session, verified: Verification, sid: str | None) -> None:
    sender = session.scalar(select(Sender).filter_by(address=verified.phone))
    if sender is None:
        kind = SenderType.LONG_CODE
        sender = Sender(
            client_id=verified.client_id, credential_id=verified.credential_id,
            kind=SenderKind.VERIFIED, address=verified.phone, name=verified.name, type=kind,
            rate=DEFAULT_RATES[kind],
        )  # fmt: skip
        session.add(sender)
    elif sender.client_id != verified.client_id or sender.kind is not SenderKind.VERIFIED:
        log.warning("a verified number has become somebody's meanwhile", number=verified.phone)
        return
    sender.verified_at = utcnow()
    sender.stopped_at = sender.stopped_reason = None  # a caller ID is stopped for one thing only
    if sid is not None:
        sender.twilio_sid = sid
    audit.record(session, "Twilio", "verified", verified.phone, verified.client_id)


def _why_not(session: Session, client_id: str, number: str) -> str | None:
    known = session.scalar(select(Sender).filter_by(address=number))
    if known is None:
        return phone_kinds.refusal(
            number, international_allowed=True, destination=Destination.VOICE
        )
    if known.client_id != client_id:
        return f"{number} belongs to another client."
    if known.kind is not SenderKind.VERIFIED:
        return f"{number} is a number at Twilio, which needs no verification."
    return None
