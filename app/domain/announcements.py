"""The one place where a change of a message or a batch is announced.

Each function runs inside the transaction that made the change, once per change, and never waits
for the network. Whoever wants to tell a client's systems does it here.
"""

from __future__ import annotations

import structlog
from sqlalchemy.orm import Session

from app.models.batch import Batch
from app.models.message import Message

log = structlog.get_logger(__name__)


def taken(_session: Session, message: Message) -> None:
    """Twilio has taken ``message``: it has its SID. Announced exactly once per message.

    This is the moment of ``message.sent``, and of the first ``message.status``, whose word is
    ``queued`` even where Twilio says ``accepted`` (as it does with a messaging service).
    """
    log.info("message taken", message=message.id, sid=message.sid)


def status_changed(_session: Session, message: Message) -> None:
    """Twilio's word on ``message`` has moved on to ``message.status``; it never moves back.

    Comes after :func:`taken`. With a messaging service ``queued`` can come here once more.
    """
    log.info("message status", message=message.id, status=message.status, error=message.error_code)


def problem(_session: Session, message: Message, reason: str) -> None:
    """``message`` did not go out, or its fate is unknown.

    :param reason: ``invalid_phone, not_allowed, suppressed, template_error, refused, failed,
        unknown, canceled``; also in ``message.reason``. ``unknown`` can be followed by
        :func:`taken` or by another problem.
    """
    log.info("message problem", message=message.id, reason=reason, error=message.error_code)


def batch_complete(_session: Session, batch: Batch) -> None:
    """Nothing of ``batch`` waits or is being sent any more. Announced exactly once per batch."""
    log.info("batch complete", batch=batch.id, total=batch.total)
