"""Phone numbers: one way to write them, kinds by the numbering plan, refusals in sentences."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.phone_kinds import Kind, classify, refusal
from app.domain.phone_spellings import texted
from app.domain.phones import InvalidPhone, normalize
from app.models.route import Destination


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("+13195550100", "+13195550100"),
        ("319-555-0100", "+13195550100"),
        ("(319) 555-0100", "+13195550100"),
        ("+1 (319) 555–0100", "+13195550100"),
        ("(+1) 319 555 0100", "+13195550100"),
        ("1.319.555.0199", "+13195550199"),
        (" 319\u00a0555\u00a00100\n", "+13195550100"),
        ("\u202d319-555-0100\u202c", "+13195550100"),
        ("３１９５５５０１００", "+13195550100"),
        ("3195550100.0", "+13195550100"),
        ("+13195550100.00", "+13195550100"),
        ("13195550100,0", "+13195550100"),
        ("'+13195550100", "+13195550100"),
        ("’3195550100", "+13195550100"),
        ("\ufeff319.555.0100", "+13195550100"),
        ("+18005551212", "+18005551212"),
        ("+15005550006", "+15005550006"),
        ("+12425550100", "+12425550100"),
        ("011 44 20 7946 0958", "+442079460958"),
        ("00 44 20 7946 0958", "+442079460958"),
        ("0044 (0)20 7946 0958", "+442079460958"),
        ("001 319 555 0100", "+13195550100"),
        ("tel:+1-319-555-0100", "+13195550100"),
        ("TEL: (319) 555-0100", "+13195550100"),
        ("sms:+13195550100", "+13195550100"),
        ("319-555-0100;", "+13195550100"),
        ("(319) 555-0100, ", "+13195550100"),
        ("319 555 0100.", "+13195550100"),
        ("+44 20 7946 0958", "+442079460958"),
        ("+441632960961", "+441632960961"),
        ("+39 06 698 12345", "+390669812345"),
        # What stands beside a number in the cells of a secretary's list.
        ("+1 319 555 0100 (cell)", "+13195550100"),
        ("319.555.0100 cell", "+13195550100"),
        ("Cell: 319-555-0100", "+13195550100"),
        ("Mobile phone 319-555-0100", "+13195550100"),
        ("m. 319-555-0100", "+13195550100"),
        ("Tel.: (319) 555-0100", "+13195550100"),
        ("móvil 319 555 0100", "+13195550100"),
        ("319-555-0100 (h)", "+13195550100"),
        ("📱 319-555-0100", "+13195550100"),
        ("(319) 555-0100 ☎", "+13195550100"),
        ("“319-555-0100”", "+13195550100"),
        ("'3195550100'", "+13195550100"),
        ('="3195550100"', "+13195550100"),
        ("<tel:+13195550100>", "+13195550100"),
        ("callto:3195550100", "+13195550100"),
        # Marks between its groups; the last is what a format with thousands shows.
        ("319_555_0100", "+13195550100"),
        ("319·555·0100", "+13195550100"),
        ("319 • 555 • 0100", "+13195550100"),
        ("319,555,0100", "+13195550100"),
        ("3,195,550,100", "+13195550100"),
        # Digits of other scripts (Unicode, decimal digits), as their keyboards write them.
        ("٣١٩٥٥٥٠١٠٠", "+13195550100"),
        ("+۱ ۳۱۹ ۵۵۵ ۰۱۰۰", "+13195550100"),
        ("३१९-५५५-०१००", "+13195550100"),
        ("৩১৯ ৫৫৫ ০১০০", "+13195550100"),
        ("๓๑๙ ๕๕๕ ๐๑๐๐", "+13195550100"),
        ("\u200f٠٠١٣١٩٥٥٥٠١٠٠", "+13195550100"),
        ("𝟑𝟏𝟗-𝟓𝟓𝟓-𝟎𝟏𝟎𝟎", "+13195550100"),
    ],
)
def test_ways_to_write_a_number(raw: str, expected: str) -> None:
    assert normalize(raw) == expected


@pytest.mark.parametrize(
    ("raw", "one"),
    [
        # Mexico, Plan Nacional de Numeración: the 1 of mobile phones went in 2019.
        ("+52 1 55 1234 5678", "+525512345678"),
        ("+52 55 1234 5678", "+525512345678"),
        ("+521 (81) 1234-5678", "+528112345678"),
        # Brazil, Anatel: a 9 before mobile numbers, everywhere since 2016; not before others.
        ("+55 11 8765-4321", "+5511987654321"),
        ("+55 11 98765-4321", "+5511987654321"),
        ("+55 (0)21 7654-3210", "+5521976543210"),
        ("+55 11 3456-7890", "+551134567890"),
        # Benin, ITU Operational Bulletin 1305: 01 before all numbers, since 2024.
        ("+229 97 12 34 56", "+2290197123456"),
        ("+229 01 97 12 34 56", "+2290197123456"),
        # San Marino: 0549 may be left out from abroad.
        ("+378 886377", "+3780549886377"),
        ("+378 0549 886377", "+3780549886377"),
        # Palestine's mobile phones, under its own country code and Israel's.
        ("+972 59 912 3456", "+970599123456"),
        ("+970 59 912 3456", "+970599123456"),
        ("+972 56-612-3456", "+970566123456"),
        ("+972 50 123 4567", "+972501234567"),
        ("+972 2 555 1234", "+97225551234"),
        # Argentina's 15, which is dialled at home in place of the 9 (ITU-T E.164, +54).
        ("+54 11 15 2345 6789", "+5491123456789"),
        ("+54 9 11 2345 6789", "+5491123456789"),
    ],
)
def test_a_phone_in_two_spellings_is_one(raw: str, one: str) -> None:
    assert normalize(raw) == one


@pytest.mark.parametrize(
    ("raw", "one", "called"),
    [
        ("+54 11 2345 6789", "+5491123456789", "+541123456789"),
        ("+54 9 11 2345 6789", "+5491123456789", "+5491123456789"),
        ("+54 351 512-3456", "+5493515123456", "+543515123456"),
        ("+54 9 2966 12-3456", "+5492966123456", "+5492966123456"),
        ("+54 2966 12-3456", "+5492966123456", "+542966123456"),
        ("+13195550100", "+13195550100", "+13195550100"),
        ("+5411234", None, None),
    ],
)
def test_argentinas_nine_is_of_the_person_but_not_of_the_call(
    raw: str, one: str | None, called: str | None
) -> None:
    """ITU-T E.164, +54: mobile phones are called with 9; texts go with and without it."""
    if one is None:
        with pytest.raises(InvalidPhone):
            normalize(raw)
    else:
        assert (texted(normalize(raw)), normalize(raw)) == (one, called)
        assert texted(one) == one


def test_a_number_is_read_in_its_region() -> None:
    assert normalize("020 7946 0958", "GB") == "+442079460958"
    assert normalize("+13195550100", "GB") == "+13195550100"
    assert normalize("319 555 0100", "CA") == "+13195550100"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("", "missing"),
        (" \t", "missing"),
        ("1-800-FLOWERS", "letters"),
        ("help desk", "letters"),
        ("319-555-0100 x12", "extension"),
        ("319-555-0100 ext. 12", "extension"),
        ("319-555-0100;ext=5", "extension"),
        ("319-555-0100,,5", "extension"),
        ("whatsapp:+13195550100", "channel address"),
        ("tel:+13195550100;phone-context=example.edu", "extension"),
        ("tel:", "channel address"),
        ("tel:help", "channel address"),
        ("0049", "digits"),
        ("00", "digits"),
        ("client:bob", "channel address"),
        ("sip:bob@example.edu", "channel address"),
        ("911", "emergency"),
        ("+1911", "emergency"),
        ("411", "emergency"),
        ("112", "emergency"),
        ("anonymous", "hidden caller"),
        ("+266696687", "hidden caller"),
        ("12345", "short code"),
        ("5550100", "area code"),
        ("319555010", "9 digits"),
        ("319555018.0", "9 digits"),
        ("319555010,0", "9 digits"),
        ("+1319555018.0", "9 digits"),
        ("5550100.0", "area code"),
        ("319555018.5", "a quantity"),
        ("3195550.180", "a quantity"),
        ("3.19555E+09", "digits were lost in the spreadsheet"),
        ("1.32E+10", "digits were lost in the spreadsheet"),
        ("3,19555e9", "digits were lost in the spreadsheet"),
        ("3E+09", "digits were lost in the spreadsheet"),
        ("31955501001", "11 digits"),
        ("+131955501000", "11 digits"),
        ("0195550100", "no area code 019"),
        ("+11195550100", "no area code 119"),
        ("+19115550100", "no area code 911"),
        ("+12995550100", "no area code 299"),
        ("+13190550100", "055 after its area code"),
        ("+13199110100", "911 after its area code"),
        ("+44123", "too short"),
        ("+4420794609581234", "wrong length"),
        ("+310000000", "not a number of country code 31"),
        ("+999123456789", "country code is unknown"),
        ("+", "no digits"),
        ("--", "no digits"),
        ("319*5550100", "not a phone number"),
        ("+1319+5550100", "not a phone number"),
        ("1319+5550100", "plus sign inside"),
        ("3195550100 / 3195550101", "more than one number"),
        ("319-555-0100 or 319-555-0101", "more than one number"),
        ("3195550100;3195550101", "more than one number"),
        ("3195550100,3195550101", "more than one number"),
        ("+1 319 555 0100 & (319) 555-0101", "more than one number"),
        ("fax 319-555-0100", "letters"),
        ("319-555-O1OO", "letters"),
        ("319-555-0100 ext t 5", "extension"),
        ("12,345,678", "an extension"),
        ("٣١٩٥٥٥٠١٠", "9 digits"),
        ("③①⑨ five", "letters"),
    ],
)
def test_what_is_no_number_is_refused_in_words(raw: str, said: str) -> None:
    with pytest.raises(InvalidPhone) as refused:
        normalize(raw)
    assert said in refused.value.reason
    assert refused.value.reason.endswith(".")


@pytest.mark.parametrize("code", ["12345", "123456"])
def test_short_codes_where_allowed(code: str) -> None:
    assert normalize(code, short_codes=True) == code


@pytest.mark.parametrize("raw", ["1234", "1234567", "02345", "+12345"])
def test_what_is_no_short_code(raw: str) -> None:
    with pytest.raises(InvalidPhone):
        normalize(raw, short_codes=True)


CARIBBEAN = "242 246 264 268 284 345 441 473 649 658 664 721 758 767 784 809 829 849 868 869 876"


@pytest.mark.parametrize(
    ("phone", "kind"),
    [
        ("+13195550100", Kind.DOMESTIC),
        ("+16135550100", Kind.DOMESTIC),
        *((f"+1{area}5550100", Kind.DOMESTIC) for area in (340, 670, 671, 684, 787, 939)),
        *((f"+1{area}5550100", Kind.CARIBBEAN) for area in CARIBBEAN.split()),
        *((f"+1{a}5550100", Kind.TOLL_FREE) for a in (800, 833, 844, 855, 866, 877, 888)),
        ("+19005550100", Kind.PREMIUM),
        ("+13199760100", Kind.PREMIUM),
        ("+17005550100", Kind.PREMIUM),
        ("+15215550100", Kind.PREMIUM),
        ("+15005550006", Kind.DOMESTIC),
        ("+449098790000", Kind.PREMIUM),
        ("+979123456789", Kind.PREMIUM),
        ("+442079460958", Kind.INTERNATIONAL),
        ("+521234567890", Kind.INTERNATIONAL),
        ("911", Kind.EMERGENCY),
        ("+1911", Kind.EMERGENCY),
        ("+911", Kind.EMERGENCY),
        ("311", Kind.EMERGENCY),
        ("12345", Kind.SHORT_CODE),
        ("123456", Kind.SHORT_CODE),
        ("+266696687", Kind.ANONYMOUS),
        ("+7378742833", Kind.ANONYMOUS),
        ("+2562533", Kind.ANONYMOUS),
        ("+8656696", Kind.ANONYMOUS),
        ("anonymous", Kind.ANONYMOUS),
        ("Anonymous", Kind.ANONYMOUS),
        ("", Kind.ANONYMOUS),
        ("TWILIO", Kind.ALPHANUMERIC),
        ("My Bank 1", Kind.ALPHANUMERIC),
        ("client:bob", Kind.OTHER),
        ("sip:bob@example.edu", Kind.OTHER),
        ("whatsapp:+13195550100", Kind.OTHER),
        ("+1319555", Kind.OTHER),
        ("3195550100", Kind.OTHER),
        ("+13195550100\n+1900", Kind.OTHER),
    ],
)
def test_kinds(phone: str, kind: Kind) -> None:
    assert classify(phone) is kind


@pytest.mark.parametrize(
    ("phone", "allowed", "destination", "said"),
    [
        ("+13195550100", False, "sms", None),
        ("+17875550100", False, "voice", None),
        ("+16135550100", False, "sms", None),
        ("+18005550100", False, "voice", None),
        ("+442079460958", False, "sms", "outside the +1 calling code"),
        ("+442079460958", True, "sms", None),
        ("+18765550100", False, "voice", "Caribbean"),
        ("+18765550100", True, "voice", None),
        ("+19005550100", True, "voice", "never called"),
        ("+19005550100", True, "sms", "never texted"),
        ("+449098790000", True, "voice", "premium"),
        ("911", True, "voice", "emergency"),
        ("12345", True, "sms", "short code"),
        ("+266696687", True, "sms", "hidden caller"),
        ("TWILIO", True, "sms", "is a name"),
        ("nonsense:1", True, "sms", "not a phone number"),
    ],
)
def test_who_may_be_reached(phone: str, allowed: bool, destination: str, said: str | None) -> None:
    answer = refusal(phone, allowed, Destination(destination))
    if said is None:
        assert answer is None
    else:
        assert answer is not None
        assert said in answer
        assert answer.endswith(".")


ITU_SHARED = {
    "870": "Inmarsat", "878": "personal numbers", "881": "satellites", "882": "networks",
    "883": "networks", "888": "relief", "979": "premium", "808": "shared cost", "800": "free",
}  # fmt: skip
"""Calling codes of no country: ITU-T E.164, list of assigned country codes."""


@pytest.mark.parametrize("destination", ["sms", "voice"])
@pytest.mark.parametrize(
    "phone",
    [
        *(f"+{code}123456789"[:13] for code in ITU_SHARED),
        *("+870773123456", "+881612345678", "+88213123456", "+8821612345678", "+883510012345"),
        "+447012345678",  # UK personal numbers, 070 (Ofcom, numbering plan)
        "+447640123456",  # UK pagers, 076
        "+448712345678",  # UK 0871
        "+491801234567",  # Germany 0180 (BNetzA)
        "+499001234567",  # Germany 0900
        "+33899123456",  # France 0899 (ARCEP)
        "+41900123456",  # Switzerland 0900
        "+39899123456",  # Italy 899
        "+19005550100", "+12129765555",  # US 900, and 976 in an area
        "+15215550100", "+15335550100", "+15885550100",  # 5XX personal communications (NANPA)
        "+16005550100", "+16225550100", "+16335550100",  # Canada's services (CNAC)
        "+17005550100", "+17105550100", "+14565550100",  # carriers, government, inbound
        "+13195551212",  # directory assistance
        "+13199501234",  # 950: access to carriers
    ],
)  # fmt: skip
def test_what_is_dear_is_never_reached(phone: str, destination: str) -> None:
    assert classify(phone) in (Kind.PREMIUM, Kind.OTHER)
    assert refusal(phone, True, Destination(destination))


OF_NOBODY = """
222 233 244 255 266 277 299 322 344 355 370 379 388 399 411 444 455 499 511 555 599 611 644 655 666
677 688 699 711 722 733 744 755 766 777 788 799 811 822 899 911 922 933 944 955 960 966 977 988 999
"""
"""Easily recognizable codes that serve no area, and codes kept for the expansion (NANPA)."""


@pytest.mark.parametrize("area", OF_NOBODY.split())
def test_area_codes_of_nobody(area: str) -> None:
    for line in ("5550100", "5555555", "3678888"):
        with pytest.raises(InvalidPhone, match="area code"):
            normalize(f"+1 {area} {line}")
        assert refusal(f"+1{area}{line}", True, Destination.VOICE)


@pytest.mark.parametrize("area", ["319", "436", "861", "924", "613", "787", "671", "684", "907"])
def test_area_codes_of_the_us_its_territories_and_canada(area: str) -> None:
    assert normalize(f"{area} 234 5678") == f"+1{area}2345678"
    assert refusal(f"+1{area}2345678", False, Destination.VOICE) is None


HIDDEN = [
    # The words on a phone's keys, as Twilio shows hidden callers.
    "+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253", "+7748283",
    "anonymous", "Restricted", "BLOCKED", "Unknown", "unavailable", "Private", "withheld",
    "+Anonymous", "anonymous@anonymous.invalid", "",
]  # fmt: skip


@pytest.mark.parametrize("caller", HIDDEN)
def test_hidden_callers_are_nobody(caller: str) -> None:
    assert classify(caller) is Kind.ANONYMOUS
    assert refusal(caller, True, Destination.VOICE)
    with pytest.raises(InvalidPhone):
        normalize(caller)
    with pytest.raises(InvalidPhone):  # as a spreadsheet writes it
        normalize(caller.lstrip("+"))


@given(st.text())
def test_any_text_is_a_number_or_refused(raw: str) -> None:
    classify(raw)
    try:
        phone = normalize(raw, short_codes=True)
    except InvalidPhone:
        return
    assert normalize(phone, short_codes=True) == phone


@settings(max_examples=1000)
@given(st.from_regex(r"\+?[0-9() .-]{3,18}", fullmatch=True))
def test_normalizing_twice_changes_nothing(raw: str) -> None:
    try:
        phone = normalize(raw)
    except InvalidPhone:
        return
    assert normalize(phone) == phone
    assert classify(phone) is not Kind.OTHER
