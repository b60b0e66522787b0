"""Passwords of people who sign in: argon2, with the library's current parameters."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST = 8
LONGEST = 200

_COMMON = Path(__file__).with_name("common_passwords.txt")
_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """Return the argon2 hash of ``password``, salt and parameters included.

    :raises ValueError: when it has fewer than :data:`SHORTEST` or more than :data:`LONGEST`
        characters.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise ValueError(f"a password needs {SHORTEST} to {LONGEST} characters")
    return _hasher.hash(password)


def refusal(password: str, email: str = "") -> str | None:
    """Return why ``password`` may not be chosen, in a sentence, or None if it may.

    :param email: the address of its person, which with its first part is no password.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        return f"A password needs {SHORTEST} to {LONGEST} characters."
    plain = unicodedata.normalize("NFKC", password).strip().casefold()
    if len(set(plain)) <= 1:
        return "This is one character again and again. Take a few unrelated words."
    if plain in (email.casefold(), email.casefold().rpartition("@")[0]):
        return "This is the e-mail address. Take a few unrelated words."
    if plain in _common():
        return "Too many people use this password, so it is tried first. Take a few other words."
    return None


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
def _common() -> frozenset[str]:
    """Return the most common passwords, read when somebody first chooses one."""
    return frozenset(_COMMON.read_text(encoding="utf-8").split())


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return _hasher.hash("the password of nobody at all")
