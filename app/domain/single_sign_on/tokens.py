"""Tokens of a provider: believed only if it signed them, for us, now, and for this purpose."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry, Token

from app.domain.single_sign_on import providers
from app.domain.single_sign_on.failures import NotBelieved
from app.domain.single_sign_on.told import Logout
from app.models.base import utcnow
from app.models.sign_in import SUBJECT_LENGTH
from config import OidcProvider

LEEWAY = 120
"""Seconds by which the provider's clock may differ from ours."""
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LONGEST_LOGOUT = 3600
"""Seconds for which a logout token may be good: its use is remembered as long."""


class _Registry(JWSRegistry):
    """Headers may carry a certificate."""

    max_header_length = 16 * 1024


def identity(
    provider: OidcProvider, id_token: object, access_token: object, nonce: str
) -> dict[str, Any]:
    """Return what an ID token says (OpenID Connect Core, 3.1.3.7).

    :param nonce: what was sent with the request that it answers.
    :raises NotBelieved: when it is not the provider's, not for us, not for this request or too old.
    :raises ProviderAway: when the provider's keys cannot be had.
    """
    token = _signed(provider, id_token)
    options = {
        "iss": {"essential": True, "value": provider.issuer},
        "aud": {"essential": True, "value": provider.client_id},
        "sub": {"essential": True},
        "nonce": {"essential": True, "value": nonce},
    }
    known = {"nonce": nonce, "client_id": provider.client_id, "access_token": access_token}
    try:
        CodeIDToken(token.claims, token.header, options, known).validate(leeway=LEEWAY)
    except (JoseError, ValueError, TypeError) as error:
        raise NotBelieved(provider.name, f"its ID token: {error}") from error
    _storable(provider, token.claims["sub"], "sub")
    return dict(token.claims)


def logout(provider: OidcProvider, logout_token: object) -> Logout:
    """Return what a logout token says has ended (OpenID Connect Back-Channel Logout, 2.6).

    :raises NotBelieved: when it is not the provider's, not for us, too old, or another token.
    :raises ProviderAway: when the provider's keys cannot be had.
    """
    token = _signed(provider, logout_token)
    claims = token.claims
    registry = JWTClaimsRegistry(
        leeway=LEEWAY,
        iss={"essential": True, "value": provider.issuer},
        aud={"essential": True, "value": provider.client_id},
        iat={"essential": True},
        exp={"essential": True},
        jti={"essential": True},
    )
    try:
        registry.validate(claims)
    except (JoseError, ValueError, TypeError) as error:
        raise NotBelieved(provider.name, f"its logout token: {error}") from error
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise NotBelieved(provider.name, "a token was sent as a logout that tells of none")
    if "nonce" in claims:
        raise NotBelieved(provider.name, "a logout token has a nonce, as ID tokens have")
    subject, session = claims.get("sub"), claims.get("sid")
    if subject is None and session is None:
        raise NotBelieved(provider.name, "a logout token names neither a person nor a session")
    for value, name in ((subject, "sub"), (session, "sid")):
        if value is not None:
            _storable(provider, value, name)
    ends = _ends(provider, claims)
    return Logout(subject, session, str(claims["jti"]), ends)


def _ends(provider: OidcProvider, claims: Mapping[str, Any]) -> datetime:
    left = claims["exp"] + LEEWAY - utcnow().timestamp()
    if left > LONGEST_LOGOUT + LEEWAY:
        raise NotBelieved(provider.name, "a logout token is good for more than an hour")
    return datetime.fromtimestamp(claims["exp"] + LEEWAY, UTC)


def _signed(provider: OidcProvider, token: object) -> Token:
    if not isinstance(token, str) or not token:
        raise NotBelieved(provider.name, "there is no token")
    allowed = providers.metadata(provider).algorithms
    try:
        return _decoded(provider, token, allowed)
    except (JoseError, ValueError, TypeError) as error:
        raise NotBelieved(provider.name, f"its token: {error}") from error


def _decoded(provider: OidcProvider, token: str, allowed: tuple[str, ...]) -> Token:
    registry = _Registry(algorithms=list(allowed), strict_check_header=False)
    try:
        return jwt.decode(token, providers.keys(provider), registry=registry)
    except InvalidKeyIdError:  # it may have a new key
        return jwt.decode(token, providers.keys(provider, unknown=True), registry=registry)


def _storable(provider: OidcProvider, value: object, name: str) -> None:
    sound = isinstance(value, str) and value.isprintable() and 0 < len(value) <= SUBJECT_LENGTH
    if not sound:
        raise NotBelieved(provider.name, f"the {name} of a token cannot be kept")
