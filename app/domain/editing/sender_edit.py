"""What staff change about a number or messaging service, beside what it does."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.domain import audit, named
from app.domain.mistakes import Reasons, Refused
from app.domain.routing import routes
from app.models.sender import Sender, SenderKind
from app.models.suppression import SuppressionList

GIVEN_BACK = "given back to Twilio"
"""In the reason of a number that was released: such a one never sends again."""
MAX_NAME = 100


def save(session: Session, sender: Sender, name: str, list_name: str, actor: str) -> list[str]:
    """Call a number ``name`` and have it keep to a suppression list; empty for none.

    A messaging service keeps its name, by which other things know it.

    :return: what changed.
    :raises Refused: with every reason; nothing is changed then.
    """
    reasons = Reasons()
    before = (sender.name, sender.suppression_list_id)
    if sender.is_number:
        if len(name) > MAX_NAME:
            reasons.add(f"The name is longer than {MAX_NAME} characters.", "name")
        sender.name = name[:MAX_NAME] or None
    if sender.kind is not SenderKind.VERIFIED:
        wanted = reasons.get(
            named.require, session, SuppressionList, sender.client_id, list_name, "suppression_list"
        ) if list_name else None  # fmt: skip
        sender.suppression_list_id = wanted.id if wanted else None
        if reason := routes.conflict(session, sender):
            reasons.add(reason, "suppression_list")
    reasons.settle()
    after = (sender.name, sender.suppression_list_id)
    fields = ("name", "suppression_list")
    changed = [one for one, old, new in zip(fields, before, after, strict=True) if old != new]
    if changed:
        details = {"fields": changed, "suppression_list": list_name or "none"}
        audit.record(
            session, actor, "change", f"number {sender.address}", sender.client_id, details
        )
    return changed


def resume(session: Session, sender: Sender, actor: str) -> bool:
    """Let a stopped number or service send again; return whether it was stopped.

    :raises Refused: when it was given back to Twilio.
    """
    if sender.stopped_at is None:
        return False
    if GIVEN_BACK in (sender.stopped_reason or ""):
        raise Refused.because(
            f"{sender.address} has been given back to Twilio; it cannot send any more."
        )
    sender.stopped_at = sender.stopped_reason = None
    audit.record(session, actor, "resume", f"number {sender.address}", sender.client_id)
    return True
