"""Which e-mail addresses can exist; RFC 5321, RFC 1035 and UTS #46 say it of their domains."""

from __future__ import annotations

import pytest

from app.domain.mail_addresses import alone, is_address, needs_smtputf8, on_the_wire


@pytest.mark.parametrize(
    "address",
    [
        "pat@a..b", "pat@.edu", "pat@example.edu.", "pat@-a.de", "pat@a-.de",
        f"pat@{'a' * 64}.edu", "pat@exa_mple.edu", "pat@exa!mple.edu", "pat@\N{SNOWMAN}.net",
        "pat@bücher..example", "pat@exa mple.de", "pat@[127.0.0.1]", '"a b"@example.edu',
        "pat@example.edu\n", "pat＠example.edu", "@example.edu", "pat@", "a@b@c.edu", "",
    ],
)  # fmt: skip
def test_an_address_whose_domain_cannot_exist_is_refused(address: str) -> None:
    assert not is_address(address)


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("pat@example.edu", "pat@example.edu"),
        ("Pat.O'Neil+x@Mail-1.example.EDU", "Pat.O'Neil+x@Mail-1.example.EDU"),
        ("pat@mailhost", "pat@mailhost"),
        (f"pat@{'a' * 63}.edu", f"pat@{'a' * 63}.edu"),
        ("pat@3com.example", "pat@3com.example"),
        # UTS #46 and IDNA 2008
        ("pat@bücher.example", "pat@xn--bcher-kva.example"),
        ("pat@xn--bcher-kva.example", "pat@xn--bcher-kva.example"),
        ("pat@faß.de", "pat@xn--fa-hia.de"),
        ("pat@例え.jp", "pat@xn--r8jz45g.jp"),
        ("pät@example.edu", "pät@example.edu"),
    ],
)
def test_an_address_is_told_to_mail_servers_with_its_domain_in_ascii(
    address: str, wire: str
) -> None:
    assert is_address(address)
    assert on_the_wire(address) == wire
    assert needs_smtputf8(address) is address.startswith("pät")


@pytest.mark.parametrize(
    "written",
    [
        # As mail programs, web pages and spreadsheets copy it.
        "pat@example.edu", "mailto:pat@example.edu", "MAILTO:pat@example.edu?subject=Hi",
        "Pat Lee <pat@example.edu>", '"Lee, Pat" <pat@example.edu>', "<pat@example.edu>",
        "Pat <pat@example.edu>;", "pat@example.edu;", "pat@example.edu, ", " pat@example.edu.",
        "pat@example.edu\u00a0", "\u200bpat@example.edu", "\u202apat@example.edu\u202c",
        "'pat@example.edu'", "“pat@example.edu”", "pat＠example.edu", "<mailto:pat@example.edu>",
    ],
)  # fmt: skip
def test_an_address_is_read_without_what_it_was_copied_with(written: str) -> None:
    assert alone(written) == "pat@example.edu"


@pytest.mark.parametrize(
    "written",
    [
        "pat@example.edu; bob@example.edu", "pat@example.edu bob@example.edu", "pat", "", "<>",
        "pat at example.edu", "Pat <pat>", "http://pat@example.edu/x y", "a@b@c.edu;",
        "O'Neil@example.edu", "'o'neil@example.edu",
    ],
)  # fmt: skip
def test_what_is_no_single_address_stays_as_it_is(written: str) -> None:
    assert alone(written) in (written, "o'neil@example.edu")
