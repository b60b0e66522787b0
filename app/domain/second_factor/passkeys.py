"""Passkeys (Web Authentication): the device proves, for our host alone, that it has the key.

What was asked (the challenge) is kept by the browser, in its signed cookie, and is good once. The
library is loaded when somebody first needs it.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.domain import once
from app.domain.mistakes import Refused
from app.extensions import current_settings
from app.models.base import utcnow
from app.models.second_factor import Passkey
from app.models.user import User

LASTS = timedelta(minutes=10)
"""How long a challenge may take to be answered."""
LONGEST = 20_000
"""Characters of an answer: a certificate may be in it."""
MOST = 20
"""Passkeys that one person may have."""


@dataclass(frozen=True)
class Asked:
    """What the browser is to ask the device for."""

    options: str
    """JSON, as `navigator.credentials` takes it but for its bytes, which are base64url."""
    challenge: str
    """What the device must sign, in hexadecimal."""


def are_possible() -> bool:
    """Tell whether browsers allow passkeys where we are: at a name, not at a bare address."""
    host = _host()
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return current_settings().public_base_url.startswith("https://") or host == "localhost"
    return False


def of(session: Session, user: User) -> list[Passkey]:
    """Return a person's passkeys, the oldest first."""
    return list(session.scalars(select(Passkey).filter_by(user_id=user.id).order_by(Passkey.id)))


def to_add(session: Session, user: User) -> Asked:
    """Return what to ask for a new passkey."""
    import webauthn
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = webauthn.generate_registration_options(
        rp_id=_host(),
        rp_name="Dispatch",
        user_id=user.id.encode(),
        user_name=user.email,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.PREFERRED,
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(one.credential_id) for one in of(session, user)
        ],
    )
    return Asked(webauthn.options_to_json(options), options.challenge.hex())


def add(session: Session, user: User, answer: str, challenge: str, name: str) -> Passkey:
    """Keep a new passkey, within the caller's transaction.

    :param answer: what the browser got from the device, as JSON.
    :raises Refused: when it does not answer the challenge, or is here already.
    """
    import webauthn

    if len(of(session, user)) >= MOST:
        raise Refused.because(f"You have {MOST} passkeys. Take one away first.", "credential")
    with _unbelieved():
        _use_up(session, challenge)
        made = webauthn.verify_registration_response(
            credential=_short(answer),
            expected_challenge=bytes.fromhex(challenge),
            expected_rp_id=_host(),
            expected_origin=_origin(),
        )
    digest = _digest(made.credential_id)
    if session.scalar(select(Passkey.id).filter_by(digest=digest)) is not None:
        raise Refused.because("This passkey is set up already.", "credential")
    kept = Passkey(
        user_id=user.id, name=name, digest=digest, credential_id=made.credential_id,
        public_key=made.credential_public_key, uses=made.sign_count,
    )  # fmt: skip
    session.add(kept)
    session.flush()
    return kept


def to_use(session: Session, user: User) -> Asked | None:
    """Return what to ask a person's devices for; None where they have no passkey."""
    import webauthn
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    known = of(session, user)
    if not known or not are_possible():
        return None
    options = webauthn.generate_authentication_options(
        rp_id=_host(),
        allow_credentials=[PublicKeyCredentialDescriptor(one.credential_id) for one in known],
        user_verification=UserVerificationRequirement.PREFERRED,
    )
    return Asked(webauthn.options_to_json(options), options.challenge.hex())


def use(session: Session, user: User, answer: str, challenge: str) -> bool:
    """Tell whether a passkey of this person answers the challenge, within a transaction.

    The challenge is used up either way. Of two uses with the same count one is refused.
    """
    import webauthn
    from webauthn.helpers import parse_authentication_credential_json

    try:
        with _unbelieved():
            _use_up(session, challenge)
            credential = parse_authentication_credential_json(_short(answer))
            known = session.scalar(
                select(Passkey).filter_by(user_id=user.id, digest=_digest(credential.raw_id))
            )
            if known is None:
                return False
            proved = webauthn.verify_authentication_response(
                credential=credential,
                expected_challenge=bytes.fromhex(challenge),
                expected_rp_id=_host(),
                expected_origin=_origin(),
                credential_public_key=known.public_key,
                credential_current_sign_count=known.uses,
            )
    except Refused:
        return False
    used = session.execute(
        update(Passkey)
        .where(Passkey.id == known.id, Passkey.uses == known.uses)
        .values(uses=proved.new_sign_count, used_at=utcnow())
        .returning(Passkey.id)
        .execution_options(synchronize_session=False)
    )
    return used.one_or_none() is not None


class _unbelieved:
    """Turn what the library, and what it is made of, says of a hostile answer into one refusal."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        from webauthn.helpers.exceptions import WebAuthnException

        wrong = (WebAuthnException, ValueError, TypeError, KeyError, IndexError, AttributeError)
        if isinstance(error, wrong) and not isinstance(error, Refused):
            said = "The answer of your device could not be used. Try again."
            raise Refused.because(said, "credential") from error


def _use_up(session: Session, challenge: str) -> None:
    if not challenge or not once.use(session, "passkey", challenge, utcnow() + LASTS):
        raise ValueError("nothing was asked, or it was answered before")


def _short(answer: str) -> str:
    if len(answer) > LONGEST:
        raise ValueError("the answer is too long")
    return answer


def _digest(credential_id: bytes) -> str:
    return hashlib.sha256(credential_id).hexdigest()


def _host() -> str:
    return urlsplit(current_settings().public_base_url).hostname or ""


def _origin() -> str:
    parts = urlsplit(current_settings().public_base_url)
    return f"{parts.scheme}://{parts.netloc}"
