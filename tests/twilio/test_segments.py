"""Segments counted as Twilio's message segment calculator counts them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.twilio import segments
from app.twilio.segments import Prices, estimate_cost, measure, smart_encode
from app.twiml.text import utf16_units

# Values of Twilio's calculator.
TABLE = [
    ("160 letters", "a" * 160, "GSM-7", 1),
    ("161 letters", "a" * 161, "GSM-7", 2),
    ("306 letters", "a" * 306, "GSM-7", 2),
    ("307 letters", "a" * 307, "GSM-7", 3),
    ("459 letters", "a" * 459, "GSM-7", 3),
    ("460 letters", "a" * 460, "GSM-7", 4),
    ("1600 letters", "a" * 1600, "GSM-7", 11),
    ("80 braces", "{" * 80, "GSM-7", 1),
    ("81 braces", "{" * 81, "GSM-7", 2),
    ("euro and 158 digits", "€" + "1" * 158, "GSM-7", 1),
    ("euro and 159 digits", "€" + "1" * 159, "GSM-7", 2),
    ("an escape pair is not split", "a" * 152 + "{" + "a" * 152, "GSM-7", 3),
    ("C with cedilla", "Ç", "GSM-7", 1),
    ("e acute", "é", "GSM-7", 1),
    ("euro", "€", "GSM-7", 1),
    ("empty", "", "GSM-7", 1),
    ("70 a acute", "á" * 70, "UCS-2", 1),
    ("71 a acute", "á" * 71, "UCS-2", 2),
    ("134 a acute", "á" * 134, "UCS-2", 2),
    ("135 a acute", "á" * 135, "UCS-2", 3),
    ("1600 a acute", "á" * 1600, "UCS-2", 24),
    ("35 emoji", "😀" * 35, "UCS-2", 1),
    ("36 emoji", "😀" * 36, "UCS-2", 2),
    ("67 emoji: 33 to a part", "😀" * 67, "UCS-2", 3),
    ("a surrogate pair is not split", "a" * 66 + "😀" + "a" * 66, "UCS-2", 3),
    ("emoji and 68 digits", "😜" + "1" * 68, "UCS-2", 1),
    ("emoji and 69 digits", "😜" + "1" * 69, "UCS-2", 2),
    ("emoji and 133 digits", "😜" + "1" * 133, "UCS-2", 3),
    ("flag and 66 digits", "🇮🇹" + "1" * 66, "UCS-2", 1),
    ("flag and 67 digits", "🇮🇹" + "1" * 67, "UCS-2", 2),
    ("rainbow flag and 64 digits", "🏳️‍🌈" + "1" * 64, "UCS-2", 1),
    ("rainbow flag and 65 digits", "🏳️‍🌈" + "1" * 65, "UCS-2", 2),
    ("extended characters cost one in UCS-2", "😀" + "]" * 68, "UCS-2", 1),
    ("one more of them", "😀" + "]" * 69, "UCS-2", 2),
    ("combining marks and 66 letters", "e" + "\u0301" * 3 + "a" * 66, "UCS-2", 1),
    ("combining marks and 67 letters", "e" + "\u0301" * 3 + "a" * 67, "UCS-2", 2),
]


@pytest.mark.parametrize(
    ("text", "encoding", "count"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_the_calculators_table(text: str, encoding: str, count: int) -> None:
    measured = measure(text)
    assert (measured.encoding, measured.segments) == (encoding, count)


GSM_LETTERS = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 \n\r"
    "!\"#$%&'()*+,-./:;<=>?@_¡£¤¥§¿ÄÅÆÇÉÑÖØÜßàäåæèéìñòöøùüΓΔΘΛΞΠΣΦΨΩ"
)


@pytest.mark.parametrize("character", GSM_LETTERS)
def test_a_basic_character_is_one_septet(character: str) -> None:
    assert (measure(character).encoding, measure(character).units) == ("GSM-7", 1)


@pytest.mark.parametrize("character", "[\\]^{|}~€\f")
def test_an_extended_character_is_two_septets(character: str) -> None:
    assert (measure(character).encoding, measure(character).units) == ("GSM-7", 2)


def test_the_alphabet_has_no_others() -> None:
    # 128 code points of GSM 03.38 without the escape itself; ten more behind the escape.
    assert len(segments.GSM_BASIC) == 127
    assert set(GSM_LETTERS) == segments.GSM_BASIC
    assert len(segments.GSM_EXTENDED) == 10


@pytest.mark.parametrize("character", "`\tçáíóú“”‘’–—\u00a0…")
def test_characters_that_force_ucs2(character: str) -> None:
    assert measure("a" + character).unsupported == [character]
    assert measure("a" + character).encoding == "UCS-2"


def test_figures_of_a_text() -> None:
    assert measure("á{😀á\r\n") == segments.Measure("UCS-2", 1, 7, 6, ["á", "😀"])
    assert measure("a{\r\n") == segments.Measure("GSM-7", 1, 5, 4, [])


def test_a_grapheme_larger_than_a_part_is_split_all_the_same() -> None:
    assert measure("e" + "\u0301" * 200).segments == 3


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("“Hi” it’s ‘me’", "\"Hi\" it's 'me'"),
        ("10–12 — or…", "10-12 - or..."),
        ("½ ¼ ¾", "1/2 1/4 3/4"),
        ("a\u00a0b", "a  b"),
        ("`x`", "'x'"),
        ("a\tb", "a       b"),
        ("ＨＩ！　１２", "HI!  12"),
        ("a\u200bb\ufeff", "ab"),
        ("‹a›", ">a<"),
        ("• one", "- one"),
        ("naïve é 😀", "naïve é 😀"),
    ],
    ids=["quotes", "dashes", "fractions", "no-break space", "backtick", "tab", "full width",
         "zero width", "angle quotes, as shipped", "bullet", "letters and emoji stay"],
)  # fmt: skip
def test_smart_encoding(text: str, plain: str) -> None:
    assert smart_encode(text) == plain


def test_every_replacement_is_gsm() -> None:
    for replacement in segments.REPLACEMENTS.values():
        assert measure(replacement).encoding == "GSM-7"


def test_the_body_limit_counts_utf16_units() -> None:
    assert utf16_units("😀é") == 3


def test_cost() -> None:
    prices = Prices(segment=Decimal("0.0083"), media_message=Decimal("0.022"))
    assert estimate_cost(3, 0, prices) == Decimal("0.0249")
    assert estimate_cost(3, 2, prices) == Decimal("0.022")


@given(st.text(st.characters(codec="utf-8"), max_size=400))
def test_segments_lie_between_the_naive_bounds(text: str) -> None:
    measured = measure(text)
    single, part = (160, 153) if measured.encoding == "GSM-7" else (70, 67)
    if measured.units <= single:
        assert measured.segments == 1
    else:
        assert measured.segments >= -(-measured.units // part)
    assert measured.characters == len(text)
    assert bool(measured.unsupported) == (measured.encoding == "UCS-2")
