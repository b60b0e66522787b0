"""Passwords are kept as argon2 hashes only."""

import pytest
from argon2 import PasswordHasher

from app.domain import passwords


@pytest.mark.usefixtures("real_passwords")
def test_a_hash_is_argon2id_and_fits_only_its_password() -> None:
    made = passwords.hash_password("four plain words")
    assert made.startswith("$argon2id$")
    assert PasswordHasher().verify(made, "four plain words")
    assert passwords.verify(made, "four plain words")
    assert not passwords.verify(made, "four plain word")


@pytest.mark.parametrize("kept", [None, "", "plain text", "$argon2id$broken"])
def test_no_password_fits_an_account_without_a_hash(kept: str | None) -> None:
    assert not passwords.verify(kept, "the password of nobody at all")


@pytest.mark.parametrize("password", ["short", "x" * 201], ids=["short", "long"])
def test_a_password_has_a_sensible_length(password: str) -> None:
    with pytest.raises(ValueError, match="characters"):
        passwords.hash_password(password)


@pytest.mark.usefixtures("real_passwords")
def test_weaker_parameters_are_outdated() -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("four plain words")
    assert passwords.is_outdated(weak)
    made = passwords.hash_password("four plain words")
    assert not passwords.is_outdated(made)
    assert not PasswordHasher().check_needs_rehash(made)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("aaaaaaaaaaaa", "again and again"),
        ("Pat.Smith@Example.edu", "e-mail address"),
        ("pat.smith", "e-mail address"),
        ("12345678", "Too many people"),
        ("Password1", "Too many people"),
        ("QWERTYUIOP", "Too many people"),
        ("ｐａｓｓｗｏｒｄ", "Too many people"),
        ("short", "8 to 200 characters"),
    ],
)
def test_what_is_guessed_first_is_refused(password: str, reason: str) -> None:
    assert reason in (passwords.refusal(password, "pat.smith@example.edu") or "")


def test_a_few_unrelated_words_are_taken() -> None:
    assert passwords.refusal("four plain words here", "pat.smith@example.edu") is None
