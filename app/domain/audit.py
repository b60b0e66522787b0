"""The audit log: who changed what, and when."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from app.models.house import AuditEntry


def record(
    session: Session,
    actor: str,
    action: str,
    target: str,
    client_id: str | None,
    details: dict[str, Any] | None = None,
) -> None:
    """Note a change, in the transaction that makes it.

    :param actor: the person's e-mail address, the label of an API key, or a command.
    :param action: a verb such as ``create``, ``update``, ``delete``.
    :param target: what was changed, in words: ``template away``.
    :param details: what else should be known; never a secret.
    """
    session.add(
        AuditEntry(
            actor=actor[:254],
            action=action[:64],
            target=target[:200],
            client_id=client_id,
            details=details or {},
        )
    )
