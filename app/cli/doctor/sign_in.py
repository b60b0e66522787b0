"""What the doctor asks of the providers by which people sign in."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from app.cli.doctor.finding import Finding, bad, ok, warn
from app.extensions import current_settings, db
from app.models.client import Client
from config import OidcProvider


def providers() -> Iterator[Finding]:
    """Does each answer as OpenID Connect has it, and do its groups name clients that exist?"""
    listed = current_settings().oidc_providers
    if not listed:
        return
    clients = set(db.session.scalars(select(Client.name)))
    db.session.rollback()
    for provider in listed:
        yield _answers(provider)
        yield from _groups(provider, clients)


def _answers(provider: OidcProvider) -> Finding:
    from app.domain.single_sign_on import exchange, providers
    from app.domain.single_sign_on.failures import ProviderAway

    subject = f"sign-in by {provider.name}"
    try:
        known = providers.metadata(provider)
        providers.keys(provider)
    except ProviderAway as away:
        return bad(subject, f"{provider.issuer} cannot be used: {away.reason}.")
    signs = ", ".join(known.algorithms)
    back = exchange.redirect_uri(provider)
    return ok(subject, f"{provider.issuer} answers and signs by {signs}; it leads back to {back}.")


def _groups(provider: OidcProvider, clients: set[str]) -> Iterator[Finding]:
    subject = f"groups of {provider.name}"
    missing = sorted({one.client for one in provider.groups if one.client} - clients)
    if missing:
        yield bad(
            subject,
            f"they give roles for what is no client here: {', '.join(missing)}. Mend"
            " OIDC_PROVIDERS, or add the client by flask apply.",
        )
    if not provider.groups:
        yield warn(
            subject, "none gives a role: who signs in must have been invited by their address."
        )
