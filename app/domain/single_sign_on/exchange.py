"""The way to a provider and back: authorization code, PKCE, state and nonce (RFC 9700)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from authlib.common.errors import AuthlibBaseError
from urllib3.exceptions import HTTPError

from app.domain.single_sign_on import providers, tokens
from app.domain.single_sign_on.connection import Connection, get_object
from app.domain.single_sign_on.failures import NotBelieved, NotForThem, ProviderAway
from app.domain.single_sign_on.providers import Metadata
from app.domain.single_sign_on.told import Arrival
from app.extensions import current_settings
from config import OidcProvider

VERIFIED = ("email_verified", "xms_edov")
"""Claims by which a provider vouches for an address; the second is Microsoft Entra's."""


@dataclass(frozen=True)
class Started:
    """A sign-in that has begun; its browser keeps all but the address."""

    url: str
    state: str
    nonce: str
    verifier: str


def start(provider: OidcProvider) -> Started:
    """Return where to send a browser, and what it must bring back.

    :raises ProviderAway: when the provider cannot say where.
    """
    known = providers.metadata(provider)
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    with Connection(provider) as connection:
        url, _ = connection.create_authorization_url(
            known.authorization_endpoint,
            state=state,
            nonce=nonce,
            code_verifier=verifier,
            redirect_uri=redirect_uri(provider),
        )
    return Started(url, state, nonce, verifier)


def redirect_uri(provider: OidcProvider) -> str:
    """Return where the provider sends people back: an address of its own for each provider."""
    return f"{current_settings().public_base_url}/staff/login/oidc/{provider.name}/callback"


def finish(provider: OidcProvider, answer: Mapping[str, str], nonce: str, verifier: str) -> Arrival:
    """Return who has come back, having asked the provider for it by the code they brought.

    :param answer: the parameters of the callback; its state was looked at.
    :raises SignInFailed: with a sentence on why nobody is believed to have come.
    """
    known = providers.metadata(provider)
    _same_provider(provider, known, answer.get("iss"))
    if "error" in answer:
        raise _refused(provider, answer)
    if not answer.get("code"):
        raise NotBelieved(provider.name, "there is no code in the answer")
    with _asking(provider, known) as connection:
        token = _redeem(provider, connection, known, answer["code"], verifier)
        claims = tokens.identity(provider, token.get("id_token"), token.get("access_token"), nonce)
        if known.userinfo_endpoint and _lacks_something(provider, claims):
            connection.token = token
            claims = _with_userinfo(provider, connection, known.userinfo_endpoint, claims)
    return _arrival(provider, claims)


def _same_provider(provider: OidcProvider, known: Metadata, named: str | None) -> None:
    """Refuse an answer that another provider gave (RFC 9207, 2.4)."""
    if named is None and not known.says_issuer:
        return
    if named != provider.issuer:
        raise NotBelieved(provider.name, f"the answer names the issuer {named!r}")


def _refused(provider: OidcProvider, answer: Mapping[str, str]) -> NotForThem:
    reason = f"it answered {answer['error']!r}: {answer.get('error_description', '')!r}"
    return NotForThem(f"{provider.name} did not sign you in.", reason)


def _asking(provider: OidcProvider, known: Metadata) -> Connection:
    way = "client_secret_post" if known.by_post else "client_secret_basic"
    return Connection(provider, token_endpoint_auth_method=way)


def _redeem(
    provider: OidcProvider, connection: Connection, known: Metadata, code: str, verifier: str
) -> Mapping[str, Any]:
    try:
        token: Mapping[str, Any] = connection.fetch_token(
            known.token_endpoint,
            grant_type="authorization_code",
            code=code,
            redirect_uri=redirect_uri(provider),
            code_verifier=verifier,
        )
    except AuthlibBaseError as error:
        if error.error == "invalid_grant":  # RFC 6749, 5.2: used, too old, or another browser's
            raise NotBelieved(provider.name, f"it does not take the code: {error}") from error
        raise ProviderAway(provider.name, f"it refuses us: {error}") from error
    except (requests.RequestException, HTTPError, ValueError) as error:
        raise ProviderAway(provider.name, f"{known.token_endpoint}: {error}") from error
    return token


def _lacks_something(provider: OidcProvider, claims: Mapping[str, Any]) -> bool:
    wanted = ["email", *([provider.groups_claim] if provider.groups else [])]
    return any(one not in claims for one in wanted)


def _with_userinfo(
    provider: OidcProvider, connection: Connection, url: str, claims: dict[str, Any]
) -> dict[str, Any]:
    """Add what the provider tells only when it is asked; the signed token's word goes first."""
    told = get_object(connection, provider, url)
    if told.get("sub") != claims["sub"]:  # OpenID Connect Core, 5.3.2
        raise NotBelieved(provider.name, "its user info is somebody else's")
    return {**told, **claims}


def _arrival(provider: OidcProvider, claims: Mapping[str, Any]) -> Arrival:
    email, session = claims.get("email"), claims.get("sid")
    said = next((claims[one] for one in VERIFIED if one in claims), False)
    return Arrival(
        provider=provider,
        subject=claims["sub"],
        email=email if isinstance(email, str) and email else None,
        email_verified=said in (True, "true", "1"),
        groups=_groups(provider, claims),
        session=session if isinstance(session, str) and 0 < len(session) <= 255 else None,
    )


def _groups(provider: OidcProvider, claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the person's groups; none where the provider names none.

    :raises NotForThem: when it has left them out for their number (Microsoft Entra's "overage"):
        nobody loses a role by that.
    """
    told = claims.get(provider.groups_claim)
    elsewhere = claims.get("_claim_names")
    if told is None and isinstance(elsewhere, dict) and provider.groups_claim in elsewhere:
        raise NotForThem(
            f"{provider.name} did not say which groups you are in: there are too many of them."
            " Tell Dispatch support.",
            f"{provider.groups_claim} is too large to be told; have fewer groups sent",
        )
    listed = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    return frozenset(one for one in listed if isinstance(one, str))
