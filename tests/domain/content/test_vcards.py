"""vCards as RFC 2426 writes them."""

from __future__ import annotations

import pytest

from app.domain.content.file_types import type_of
from app.domain.content.vcards import Contact, write
from app.domain.mistakes import Refused


def test_a_card_says_whom_to_call() -> None:
    contact = Contact(
        "Registrar", "319-335-0000", "reg@example.edu", "University of Iowa", "https://example.edu"
    )
    assert write(contact).decode() == (
        "BEGIN:VCARD\r\nVERSION:3.0\r\nN:;Registrar;;;\r\nFN:Registrar\r\n"
        "ORG:University of Iowa\r\nTEL;TYPE=WORK,VOICE:+13193350000\r\n"
        "EMAIL;TYPE=INTERNET:reg@example.edu\r\nURL:https://example.edu\r\nEND:VCARD\r\n"
    )
    assert type_of("contact.vcf", write(contact)) == "text/vcard"


def test_what_has_a_meaning_is_quoted_and_adds_no_line() -> None:
    made = write(Contact("Doe; Pat, \\ PhD\r\nEND:VCARD\x07", email="p@example.edu")).decode()
    assert "FN:Doe\\; Pat\\, \\\\ PhD\\nEND:VCARD\r\n" in made
    assert made.count("\r\nEND:VCARD") == 1


def test_long_lines_are_folded_between_characters() -> None:
    name = "Büro für Auslandsstudien " * 6
    lines = write(Contact(name, email="p@example.edu")).split(b"\r\n")
    assert max(map(len, lines)) <= 75
    unfolded = b"\r\n".join(lines).replace(b"\r\n ", b"").decode()
    assert f"FN:{name.strip()}" in unfolded


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(Refused) as caught:
        write(Contact("", "12", "nobody", url="javascript:alert(1)"))
    assert {mistake.field for mistake in caught.value.mistakes} == {"name", "phone", "email", "url"}


def test_a_card_without_phone_or_address_is_none() -> None:
    with pytest.raises(Refused, match="a phone or an e-mail"):
        write(Contact("Registrar"))
