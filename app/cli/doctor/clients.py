"""What the doctor looks at for each client: accounts, numbers, endpoints."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.fernet import InvalidToken
from sqlalchemy import select

from app.cli.doctor.finding import Finding, bad, ok, warn
from app.domain.provisioning import differences, number_audit
from app.extensions import db
from app.models.client import Client
from app.models.credential import Credential
from app.models.endpoint import Endpoint, EndpointKind, EndpointState
from app.models.sender import Sender


def secrets() -> Iterator[Finding]:
    """Can all credentials be read?"""
    names = db.session.execute(
        select(Credential.id, Credential.name, Client.name).join(
            Client, Client.id == Credential.client_id
        )
    ).all()
    wrong = 0
    for credential_id, name, client in names:
        try:
            db.session.get_one(Credential, credential_id)
        except InvalidToken:
            wrong += 1
            yield bad(
                "credentials",
                f"{name} of {client} cannot be read: ENCRYPTION_KEYS lacks the key that it was"
                " encrypted with; add that again behind the newest.",
            )
    if not wrong:
        yield ok("credentials", "they can be read with ENCRYPTION_KEYS.")
    db.session.rollback()


def unconfirmed() -> Iterator[Finding]:
    """Has Twilio confirmed every account?"""
    named = select(Client.name, Credential.name, Credential.stopped_at).join(
        Client, Client.id == Credential.client_id
    )
    for client, name, stopped in db.session.execute(
        named.where(Credential.unconfirmed_since.is_not(None))
    ):
        if stopped:
            sentence = f"{name} of {client} is refused by Twilio; what is sent with it waits."
            yield bad("credentials", sentence)
        else:
            yield warn(
                "credentials",
                f"{name} of {client} is unconfirmed: Twilio could not be asked; what is sent with"
                " it waits.",
            )
    db.session.rollback()


def stopped() -> Iterator[Finding]:
    """Which senders are stopped, which endpoints disabled?"""
    named = select(Client.name, Sender.address, Sender.stopped_reason).join(
        Client, Client.id == Sender.client_id
    )
    for client, address, reason in db.session.execute(
        named.where(Sender.stopped_at.is_not(None), Sender.twilio_sid.is_not(None))
    ):
        yield bad("senders", f"{address} of {client} has been stopped: {reason}")
    endpoints = select(Client.name, Endpoint.name).join(Client, Client.id == Endpoint.client_id)
    for client, name in db.session.execute(
        endpoints.where(
            Endpoint.kind == EndpointKind.WEBHOOK, Endpoint.state == EndpointState.DISABLED
        )
    ):
        yield warn(
            "endpoints", f"{name} of {client} is disabled; see: flask endpoints enable --help"
        )
    db.session.rollback()


def numbers() -> Iterator[Finding]:
    """Is everything at Twilio set as the routes need it?"""
    found = number_audit.run(keep=False)
    for difference in found:
        grade = warn if difference.is_for_a_person else bad
        yield grade("numbers", f"{difference.sentence} {_remedy(difference)}")
    if not found:
        yield ok("numbers", "everything at Twilio is set as the routes need it.")


def _remedy(difference: differences.Difference) -> str:
    if difference.setting == differences.UNCHECKED:
        return f"Check the client's credential, then: flask numbers audit {difference.client}"
    if difference.setting == differences.CALLER_ID:
        return f"See: flask numbers verify {difference.client} {difference.address}"
    return "See: flask numbers repair"
