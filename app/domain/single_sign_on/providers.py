"""What a provider says of itself: its addresses and its keys, fetched rarely and kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from flask import current_app
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet

from app.domain.single_sign_on.connection import Connection, get_object
from app.domain.single_sign_on.failures import ProviderAway
from app.extensions import current_settings
from config import OidcProvider, is_safe_origin

KEPT = 3600.0
"""Seconds for which a document is used before it is fetched again."""
REST = 10.0
"""Seconds in which a provider that has just failed is not asked again: nobody waits for it."""
KEYS_AGAIN = 60.0
"""Seconds between two looks for a key that is not known: forged tokens cannot make us ask."""
ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
"""By which a provider may sign. None without a signature, and none whose key we would share."""


@dataclass(frozen=True)
class Metadata:
    """What of a provider's discovery document (OpenID Connect Discovery, 3) is used."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    by_post: bool
    """Whether it wants the client's secret in the form: it does not take it in a header."""
    algorithms: tuple[str, ...]
    says_issuer: bool
    """Whether it names itself in each answer to a browser (RFC 9207)."""


@dataclass
class _Known:
    """What this process knows of one provider."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    metadata: Metadata | None = None
    metadata_until: float = 0.0
    keys: KeySet | None = None
    keys_until: float = 0.0
    looked_at: float = -KEYS_AGAIN
    """When an unknown key was last looked for."""
    away_until: float = 0.0
    away_why: str = ""


def metadata(provider: OidcProvider) -> Metadata:
    """Return what the provider says of itself, from memory for an hour.

    :raises ProviderAway: when it cannot be had, or may not be used.
    """
    known = _known(provider)
    with known.lock:
        return _metadata(provider, known)


def keys(provider: OidcProvider, *, unknown: bool = False) -> KeySet:
    """Return the keys by which the provider signs, from memory for an hour.

    :param unknown: a key that is not among them is looked for: they are fetched again, if that was
        not done for the same reason a moment ago.
    :raises ProviderAway: when they cannot be had.
    """
    known = _known(provider)
    with known.lock:
        now = time.monotonic()
        if unknown and now - known.looked_at > KEYS_AGAIN:
            known.looked_at, known.keys_until = now, 0.0
        if known.keys is None or now > known.keys_until:
            url = _metadata(provider, known).jwks_uri
            known.keys = _usable(provider, _fetch(provider, known, url))
            known.keys_until = time.monotonic() + KEPT
        return known.keys


def _known(provider: OidcProvider) -> _Known:
    kept: dict[str, _Known] = current_app.extensions.setdefault("oidc", {})
    return kept.setdefault(provider.issuer, _Known())


def _metadata(provider: OidcProvider, known: _Known) -> Metadata:
    if known.metadata is None or time.monotonic() > known.metadata_until:
        url = provider.issuer.rstrip("/") + "/.well-known/openid-configuration"
        known.metadata = _read(provider, _fetch(provider, known, url))
        known.metadata_until = time.monotonic() + KEPT
    return known.metadata


def _fetch(provider: OidcProvider, known: _Known, url: str) -> dict[str, Any]:
    if time.monotonic() < known.away_until:
        raise ProviderAway(provider.name, known.away_why)
    try:
        with Connection(provider) as connection:
            return get_object(connection, provider, url)
    except ProviderAway as away:
        known.away_until, known.away_why = time.monotonic() + REST, away.reason
        raise


def _read(provider: OidcProvider, given: Mapping[str, Any]) -> Metadata:
    """Read a discovery document.

    Its issuer must be exactly the one that was asked (Discovery, 4.3): else another provider could
    lend its name.
    """
    if given.get("issuer") != provider.issuer:
        raise ProviderAway(
            provider.name,
            f"it calls itself {given.get('issuer')!r}, and OIDC_PROVIDERS calls it"
            f" {provider.issuer!r}; they must be the same to the letter",
        )
    challenges = given.get("code_challenge_methods_supported")
    if isinstance(challenges, list) and "S256" not in challenges:
        raise ProviderAway(provider.name, "it does not take PKCE by S256 (RFC 7636)")
    offered = given.get("id_token_signing_alg_values_supported")
    names = offered if isinstance(offered, list) else ["RS256"]
    algorithms = tuple(one for one in ALGORITHMS if one in names)
    if not algorithms:
        raise ProviderAway(provider.name, f"it signs by none of {', '.join(ALGORITHMS)}")
    ways = given.get("token_endpoint_auth_methods_supported")
    return Metadata(
        authorization_endpoint=_address(provider, given, "authorization_endpoint"),
        token_endpoint=_address(provider, given, "token_endpoint"),
        jwks_uri=_address(provider, given, "jwks_uri"),
        userinfo_endpoint=(
            _address(provider, given, "userinfo_endpoint") if "userinfo_endpoint" in given else None
        ),
        by_post=isinstance(ways, list) and "client_secret_basic" not in ways,
        algorithms=algorithms,
        says_issuer=given.get("authorization_response_iss_parameter_supported") is True,
    )


def _address(provider: OidcProvider, given: Mapping[str, Any], name: str) -> str:
    url = given.get(name)
    if isinstance(url, str):
        bare = urlsplit(url)._replace(query="").geturl()  # some have a query of their own
        if is_safe_origin(bare, current_settings().is_development):
            return url
    raise ProviderAway(provider.name, f"its {name} is {url!r}; it must be an https:// address")


def _usable(provider: OidcProvider, given: Mapping[str, Any]) -> KeySet:
    """Read the keys that we can use; others are for other programs."""
    found: list[Key] = []
    listed = given.get("keys")
    for one in listed if isinstance(listed, list) else []:
        if not isinstance(one, dict) or one.get("kty") == "oct" or one.get("use", "sig") != "sig":
            continue
        try:
            found.append(JWKRegistry.import_key(one))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    if not found:
        raise ProviderAway(provider.name, "none of its keys can be used")
    return KeySet(found)
