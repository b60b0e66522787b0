"""Twilio accounts: the REST client of a credential."""

from __future__ import annotations

from sqlalchemy import select

from app.domain import aside
from app.extensions import current_settings, db
from app.models.credential import Credential
from app.twilio.client import TwilioClient


def client_by_id(credential_id: str, timeout: tuple[float, float] = (5, 10)) -> TwilioClient | None:
    """Read a credential and return its REST client; None when it cannot be read.

    Such a one is set aside: nothing is sent, and Twilio asked nothing, by it for a while.
    """
    with aside.set_aside("credential", credential_id):
        return client_of(db.session.get_one(Credential, credential_id), timeout)
    return None


def by_account() -> dict[str, list[TwilioClient]]:
    """Return the REST clients by which each account may be asked, one for each credential.

    One of them may be refused, having been replaced at Twilio, where another is not.
    """
    found = db.session.execute(
        select(Credential.id, Credential.account_sid)
        .where(Credential.unconfirmed_since.is_(None), aside.free("credential", Credential.id))
        .order_by(Credential.id)
    ).all()
    clients: dict[str, list[TwilioClient]] = {}
    for credential_id, account_sid in found:
        if (client := client_by_id(credential_id)) is not None:
            clients.setdefault(account_sid, []).append(client)
    db.session.rollback()
    return clients


def client_of(credential: Credential, timeout: tuple[float, float] = (5, 10)) -> TwilioClient:
    """Return a REST client for ``credential``: by its API key where it has one.

    :param timeout: seconds to connect, and to wait for an answer.
    """
    username, password = credential.account_sid, credential.auth_token
    if credential.api_key_sid and credential.api_key_secret:
        username, password = credential.api_key_sid, credential.api_key_secret
    return TwilioClient(
        credential.account_sid,
        username,
        password,
        base_url=current_settings().twilio_api_base_url,
        timeout=timeout,
    )
