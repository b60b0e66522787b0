"""Passwords of people who sign in: argon2, with the library's current parameters."""

from __future__ import annotations

from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST = 8
LONGEST = 200

_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """Return the argon2 hash of ``password``, salt and parameters included.

    :raises ValueError: when it has fewer than :data:`SHORTEST` or more than :data:`LONGEST`
        characters.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise ValueError(f"a password needs {SHORTEST} to {LONGEST} characters")
    return _hasher.hash(password)


def verify(password_hash: str | None, password: str) -> bool:
    """Whether ``password`` fits the hash; takes as long when there is no account at all."""
    try:
        _hasher.verify(password_hash or _nobodys_hash(), password)
    except (VerificationError, InvalidHashError):
        return False
    return bool(password_hash)


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(password_hash)


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return _hasher.hash("the password of nobody at all")
