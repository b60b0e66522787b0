"""A name is one line of which something can be seen, whoever wrote it, and in which program.

What cannot be seen is Unicode's (Default_Ignorable_Code_Point, White_Space, and U+2800, which its
chart shows blank); line breaks are those of UAX #14 (BK, CR, LF, NL).
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.domain.audience.members import check
from app.domain.one_line import one_line
from app.domain.specs import Name

PHONE = "+13195550100"
NAMES = {
    "as it is": ("Ada Lovelace", "Ada Lovelace"),
    "blanks around it": ("  Ada ", "Ada"),
    "two blanks within": ("Ada  Lovelace", "Ada  Lovelace"),
    "Alt+Enter of Excel": ("Ada\nLovelace", "Ada Lovelace"),
    "Alt+Enter and blanks": ("Ada \r\n  Lovelace", "Ada Lovelace"),
    "a line of an old Mac": ("Ada\rLovelace", "Ada Lovelace"),
    "a manual line break of Word": ("Ada\x0bLovelace", "Ada Lovelace"),
    "a tabulator": ("Lovelace\tAda", "Lovelace Ada"),
    "LINE SEPARATOR": ("Ada\u2028Lovelace", "Ada Lovelace"),
    "PARAGRAPH SEPARATOR": ("Ada\u2029Lovelace\u2029", "Ada Lovelace"),
    "NEXT LINE of a mainframe": ("Ada\x85Lovelace", "Ada Lovelace"),
    "no-break blanks of a web page": ("\u00a0Ada\u00a0", "Ada"),
    "an ideographic blank": ("\u3000王小明\u3000", "王小明"),
    "a byte order mark": ("\ufeffAda", "Ada"),
    "what turns writing around, of a contact": ("\u202aAda\u202c", "Ada"),
    "joiners within a word": ("می\u200cخواهم", "می\u200cخواهم"),
    "an emoji of two characters": ("❤\ufe0f", "❤\ufe0f"),
    "the flag of England": ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",) * 2,
    "nothing": ("", ""),
    "ZERO WIDTH SPACE": ("\u200b", ""),
    "WORD JOINER and blanks": (" \u2060 ", ""),
    "HANGUL FILLER, as games take for a name": ("\u3164", ""),
    "Braille without a dot": ("\u2800\u2800", ""),
    "SOFT HYPHEN": ("\u00ad", ""),
    "a tag alone": ("\U000e0041", ""),
    "a picture's selector alone": ("\ufe0f", ""),
}


@pytest.mark.parametrize(("written", "kept"), NAMES.values(), ids=NAMES)
def test_the_name_of_something(written: str, kept: str) -> None:
    assert one_line(written) == kept
    if kept:
        assert TypeAdapter(Name).validate_python(written) == kept
    else:
        with pytest.raises(ValidationError, match="at least 1 character"):
            TypeAdapter(Name).validate_python(written)


@pytest.mark.parametrize(("written", "kept"), NAMES.values(), ids=NAMES)
def test_the_name_of_somebody(written: str, kept: str) -> None:
    """Of a name in which nothing can be seen, ``{{ toName or "there" }}`` says “there”."""
    assert check({"toName": written, "toPhone": PHONE})["toName"] == kept


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_no_more_becomes_of_it_the_second_time(written: str) -> None:
    kept = one_line(written)
    assert one_line(kept) == kept == kept.strip()
    assert not set(kept) & set("\n\r\t\x0b\x0c\x85\u2028\u2029")
    # Nothing that can be seen is lost.
    assert [one for one in written if one.isalnum()] == [one for one in kept if one.isalnum()] or (
        not kept
    )
