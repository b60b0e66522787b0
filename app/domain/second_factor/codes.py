"""Codes: of an app, each good for a minute or so and once, and on paper, each good once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

import pyotp
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from app.models.base import utcnow
from app.models.second_factor import CodeApp, RecoveryCode
from app.models.user import User

STEP = 30
"""Seconds for which an app shows a code."""
APART = 1
"""Steps by which a phone's clock may differ from ours (RFC 6238, 5.2)."""
DIGITS = 6
ON_PAPER = 10
BYTES = 10


def new_secret() -> str:
    """Return a secret for an app: 160 random bits, in base32 (RFC 4226, 4)."""
    return pyotp.random_base32(32)


def address(secret: str, user: User) -> str:
    """Return what an app reads from a picture: `otpauth://totp/…`."""
    return pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name="Dispatch")


def step_of(secret: str, typed: str) -> int | None:
    """Return the step at which the app shows ``typed``, if that is now or was just now."""
    typed = "".join(typed.split())
    if not (typed.isascii() and typed.isdigit() and len(typed) == DIGITS):
        return None
    totp, now = pyotp.TOTP(secret), int(utcnow().timestamp()) // STEP
    found = None
    for step in range(now - APART, now + APART + 1):
        if hmac.compare_digest(totp.generate_otp(step), typed):
            found = step
    return found


def add_app(session: Session, user: User, secret: str, step: int) -> None:
    """Keep an app whose code of ``step`` was just shown to us, within the caller's transaction."""
    session.add(CodeApp(user_id=user.id, secret=secret, last_step=step))


def use(session: Session, user: User, typed: str) -> bool:
    """Use up a code of the person's app, or one on paper, within the caller's transaction.

    Of two at once with the same code, one is refused.
    """
    return _use_app(session, user, typed) or _use_paper(session, user, typed)


def on_paper(session: Session, user: User) -> list[str]:
    """Make codes to be written down; those of before are worth nothing any more."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    made = [_written(secrets.token_bytes(BYTES)) for _ in range(ON_PAPER)]
    session.add_all([RecoveryCode(user_id=user.id, digest=_digest(one)) for one in made])
    return made


def left(session: Session, user: User) -> int:
    """Return how many codes on paper a person has not used."""
    query = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == user.id)
    return session.scalar(query) or 0


def _use_app(session: Session, user: User, typed: str) -> bool:
    app = session.get(CodeApp, user.id)
    step = step_of(app.secret, typed) if app else None
    if step is None:
        return False
    used = session.execute(
        update(CodeApp)
        .where(CodeApp.user_id == user.id, CodeApp.last_step < step)
        .values(last_step=step)
        .returning(CodeApp.user_id)
        .execution_options(synchronize_session=False)
    )
    return used.one_or_none() is not None


def _use_paper(session: Session, user: User, typed: str) -> bool:
    used = session.execute(
        delete(RecoveryCode)
        .where(RecoveryCode.user_id == user.id, RecoveryCode.digest == _digest(typed))
        .returning(RecoveryCode.id)
        .execution_options(synchronize_session=False)
    )
    return used.first() is not None


def _written(code: bytes) -> str:
    """Write a code in groups of four letters and digits, none of which look alike."""
    text = base64.b32encode(code).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def _digest(typed: str) -> str:
    plain = "".join(one for one in typed.lower() if one.isalnum())
    return hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()
