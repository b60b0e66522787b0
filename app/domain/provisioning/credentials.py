"""Twilio accounts as their owners write them down. Secrets go in and never come out."""

from __future__ import annotations

from pydantic import model_validator
from sqlalchemy.orm import Session

from app.domain import audit, changes, named
from app.domain.changes import Change
from app.domain.mistakes import Refused
from app.domain.sending import confirmation
from app.domain.specs import AccountSid, KeySid, Name, PerSecond, Spec, TwilioSecret
from app.models.base import utcnow
from app.models.credential import Credential


class CredentialSpec(Spec):
    """A Twilio account and the API key by which the client uses it."""

    name: Name
    account_sid: AccountSid
    auth_token: TwilioSecret
    next_auth_token: TwilioSecret | None = None
    webhook_key: TwilioSecret | None = None
    next_webhook_key: TwilioSecret | None = None
    api_key_sid: KeySid | None = None
    api_key_secret: TwilioSecret | None = None
    calls_per_second: PerSecond = 1.0
    trial: bool = False

    @model_validator(mode="after")
    def _whole_key(self) -> CredentialSpec:
        if (self.api_key_sid is None) != (self.api_key_secret is None):
            raise ValueError("“api_key_sid” and “api_key_secret” belong together; one is missing.")
        return self


def logins_to_ask(spec: CredentialSpec, known: Credential | None) -> list[confirmation.Login]:
    """Return what Twilio is to be asked about before :func:`save`."""
    tokens = (spec.auth_token, spec.next_auth_token)
    return confirmation.new_logins(known, spec.account_sid, tokens)


def save(
    session: Session,
    client_id: str,
    spec: CredentialSpec,
    known: Credential | None,
    by: str,
    words: confirmation.Words,
) -> Change[Credential]:
    """Write an account down, or change what is given of a known one.

    :param words: what Twilio says about :func:`logins_to_ask`.
    :raises Refused: when the name is taken, Twilio refuses, or a known one is to be another
        account: reports of what it has sent could not be told from strangers' then.
    """
    named.refuse_taken(session, Credential, client_id, spec.name, known)
    if known is not None and spec.account_sid != known.account_sid:
        said = "The account stays; add another credential."
        raise Refused.because(said, "account_sid", code="account_stays")
    logins = logins_to_ask(spec, known)
    if wrong := confirmation.refused(words, logins):
        field = "auth_token" if wrong[0][1] == spec.auth_token else "next_auth_token"
        raise Refused.because(confirmation.REFUSED, field, code="refused_by_twilio")
    given = spec.model_fields_set if known else set(CredentialSpec.model_fields)
    row = known or Credential(client_id=client_id)
    details = changes.write(session, row, spec.model_dump(include=given))
    confirmation.saved(session, row, logins, words, utcnow())
    change = Change(row, f"credential {spec.name}", details, is_new=known is None)
    return changes.note(session, change, by)


def finish_rotation(session: Session, credential: Credential, by: str) -> bool:
    """Make the next auth token, and the next webhook key, the current one; return whether there
    was a next one."""
    if credential.next_auth_token is None and credential.next_webhook_key is None:
        return False
    credential.auth_token = credential.next_auth_token or credential.auth_token
    credential.webhook_key = credential.next_webhook_key or credential.webhook_key
    credential.next_auth_token = credential.next_webhook_key = None
    target = f"credential {credential.name}"
    audit.record(session, by, "finish rotation", target, credential.client_id)
    return True


def mended(session: Session, credential: Credential, by: str) -> bool:
    """Let a stopped account send again; return whether it was stopped."""
    if credential.stopped_at is None:
        return False
    credential.stopped_at = credential.stopped_reason = None
    credential.asked_at = None  # is it? The clock asks Twilio
    target = f"credential {credential.name}"
    audit.record(session, by, "resume", target, credential.client_id)
    return True
