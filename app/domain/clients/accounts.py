"""Twilio accounts: the REST client of a credential."""

from __future__ import annotations

from app.extensions import current_settings
from app.models.credential import Credential
from app.twilio.client import TwilioClient


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
