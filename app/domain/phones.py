"""Phone numbers: written one way (E.164), sorted into kinds, and refused with a sentence.

+1 is the North American Numbering Plan, which is more than the US: Canada, the US territories, and
Caribbean and Atlantic countries whose numbers look domestic but are dear and the target of fraud.
"""

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberType, ValidationResult

from app.domain.phone_spellings import one_spelling
from app.domain.phones_beside import alone
from app.models.route import Destination


class InvalidPhone(ValueError):
    """The text is no phone number we can use; `reason` is a sentence for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Kind(StrEnum):
    """What sort of number it is, as far as reaching it is concerned."""

    DOMESTIC = "domestic"
    TOLL_FREE = "toll_free"
    CARIBBEAN = "caribbean"
    INTERNATIONAL = "international"
    PREMIUM = "premium"
    """Premium rates, satellites, personal numbers and services: dear, or nobody's phone."""
    IMPOSSIBLE = "impossible"
    """Written like a number of the +1 plan, in an area code that is nobody's."""
    EMERGENCY = "emergency"
    SHORT_CODE = "short_code"
    ANONYMOUS = "anonymous"
    ALPHANUMERIC = "alphanumeric"
    OTHER = "other"


def _codes(written: str) -> frozenset[str]:
    return frozenset(re.findall(r"\d+", written))


_KEYS: Final = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
_HIDDEN_WORDS: Final = frozenset(
    {"anonymous", "restricted", "blocked", "unknown", "unavailable", "private", "withheld"}
)
ANONYMOUS_CALLERS: Final = frozenset(
    # What Twilio shows as From for hidden numbers: such a word, or the word on a phone's keys.
    {"", *_HIDDEN_WORDS, *(f"+{word.translate(_KEYS)}" for word in _HIDDEN_WORDS)}
)
CARIBBEAN_CODES: Final = _codes(
    "242 246 264 268 284 345 441 473 649 658 664 721 758 767 784 809 829 849 868 869 876"
)
TOLL_FREE_CODES: Final = _codes("800 833 844 855 866 877 888")
_DOMESTIC_REGIONS: Final = frozenset({"US", "CA", "PR", "VI", "GU", "MP", "AS"})
_NEW_CODES: Final = _codes("357 436 457 465 471 621 679 837 861 924")
"""US area codes that NANPA has given out and the library does not know yet."""
# 900 is premium; 700 costs what the carrier asks; 456 and 710 are the carriers' and the
# government's own. The library knows the personal numbers (5XX) and Canada's services (6XX).
_SPECIAL_CODES: Final = _codes("900 700 456 710")
_SPECIAL_EXCHANGES: Final = _codes("976 950")
_DIRECTORY: Final = "5551212"
"""Directory assistance, which is charged, in every area code but the toll-free ones."""
_NO_COUNTRY: Final = frozenset({800, 808, 870, 878, 881, 882, 883, 888, 979})
"""Calling codes of no country (ITU-T E.164): satellites, international networks, free and
premium services."""
_NEVER: Final = frozenset(
    {
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.PERSONAL_NUMBER,
        PhoneNumberType.PAGER,
        PhoneNumberType.VOICEMAIL,
    }
)
_TWILIO_TEST_NUMBERS: Final = "+1500555"
_EMERGENCY: Final = re.compile(r"\+?1?([2-9]11|112|988|999|000)")
_NANP: Final = re.compile(r"\+1(?P<area>[2-9]\d\d)(?P<exchange>[2-9]\d\d)\d{4}")
_SHORT_CODE: Final = re.compile(r"[1-9]\d{4,5}")
_SCIENTIFIC: Final = re.compile(r"[+-]?\d+(?:[.,]\d+)?E[+-]?\d+", re.IGNORECASE)
_DECIMAL: Final = re.compile(r"(\+?\d{7,})[.,](\d{1,9}|0+)")
"""Seven digits and more before the only point: no way in which people group a phone number."""
_TWO: Final = re.compile(r"\d\s*(?:[,;/|&]|:::|\bor\b|\band\b|\n)\s*\+?\(?\d", re.IGNORECASE)
_DIALLED_ABROAD: Final = re.compile(r"^00(?=[1-9]\d{6})")
"""What most of the world dials in place of the plus sign (ITU-T E.123); no number of the +1 plan,
and none of a country within itself, begins with it."""
_E164: Final = re.compile(r"\+[1-9]\d{6,14}")
_WRITTEN: Final = re.compile(r"[+\d\s().\-/]+")
_DIGIT: Final = re.compile("[0-9]")
_DIGITS_OF_TWO: Final = 18
_EXTENSION: Final = re.compile(r"\d\s*(?:;|,|#|x|ext)", re.IGNORECASE)


def normalize(raw: str, default_region: str = "US", short_codes: bool = False) -> str:
    """Return `raw` as E.164 (``+13195550100``), or 5-6 digits where `short_codes` are allowed.

    A number without a country code is read as one of `default_region`. Spaces, brackets, dots and
    dashes are skipped, and digits of every script are digits. Numbers kept for fiction (555-0100
    to 555-0199) count as valid.

    Raises InvalidPhone with a sentence for anything else: letters, extensions, channel addresses
    such as ``whatsapp:+1…``, emergency and service numbers, hidden callers, wrong lengths.
    """
    text = unicodedata.normalize("NFKC", raw).strip()
    text = re.sub("[\u2010-\u2015\u2212\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]", "", text)
    if not text.isascii():
        text = "".join(str(unicodedata.digit(one)) if one.isdecimal() else one for one in text)
    text = _as_a_spreadsheet_wrote_it(alone(text), raw)
    _refuse_what_is_no_number(text, raw)
    digits = _DIALLED_ABROAD.sub("+", re.sub(r"[^+\d]", "", text))
    if "+" in digits[1:]:
        raise InvalidPhone(
            f"“{raw.strip()}” has a plus sign inside; write it like +1 319 555 0100."
        )
    if _EMERGENCY.fullmatch(digits):
        raise InvalidPhone(f"“{raw.strip()}” is an emergency or service number.")
    if not digits.startswith("+") and _SHORT_CODE.fullmatch(digits):
        if short_codes:
            return digits
        raise InvalidPhone(f"“{raw.strip()}” is a short code; a full phone number is needed.")
    if nanp := _as_nanp(digits, default_region):
        return _check_nanp(nanp, raw.strip())
    return _parse(digits, default_region, raw.strip())


def classify(phone: str) -> Kind:
    """Return the kind of `phone`: a normalized number, or whatever Twilio gave as From or To."""
    phone = phone.strip()
    if _is_hidden(phone):
        return Kind.ANONYMOUS
    if _SHORT_CODE.fullmatch(phone):
        return Kind.SHORT_CODE
    if _EMERGENCY.fullmatch(phone):
        return Kind.EMERGENCY
    if found := _NANP.fullmatch(phone):
        return _nanp_kind(phone, found["area"], found["exchange"])
    if not _E164.fullmatch(phone):
        return Kind.ALPHANUMERIC if _is_alphanumeric(phone) else Kind.OTHER
    if phone.startswith("+1"):
        return Kind.OTHER
    return _foreign_kind(phone)


def refusal(phone: str, international_allowed: bool, destination: Destination) -> str | None:
    """Return why `phone` (normalized) may not be texted or called, or None if it may.

    The US, its territories and Canada may be reached; what is outside, the Caribbean and Atlantic
    part of +1 included, only where the client may reach international numbers; premium and
    emergency numbers never.
    """
    kind = classify(phone)
    if kind in (Kind.DOMESTIC, Kind.TOLL_FREE):
        return None
    if kind in (Kind.INTERNATIONAL, Kind.CARIBBEAN):
        return None if international_allowed else _INTERNATIONAL[kind].format(phone=phone)
    verb = "texted" if destination is Destination.SMS else "called"
    return _REFUSALS[kind].format(phone=phone or "The number", verb=verb)


_INTERNATIONAL: Final = {
    Kind.INTERNATIONAL: "{phone} is outside the +1 calling code. International numbers are not "
    "enabled for this client; ask support to enable them.",
    Kind.CARIBBEAN: "{phone} begins with +1 but belongs to a Caribbean or Atlantic country, which "
    "counts as international. International numbers are not enabled for this client; ask support "
    "to enable them.",
}
_REFUSALS: Final = {
    Kind.PREMIUM: "{phone} is a premium-rate, satellite or special-service number, which is never"
    " {verb}.",
    Kind.IMPOSSIBLE: "{phone} cannot exist, as nobody has its area code; it is never {verb}.",
    Kind.EMERGENCY: "{phone} is an emergency or service number, which is never {verb}.",
    Kind.SHORT_CODE: "{phone} is a short code, which cannot be {verb}.",
    Kind.ANONYMOUS: "{phone} stands for a hidden caller and cannot be {verb}.",
    Kind.ALPHANUMERIC: "{phone} is a name, not a phone number, and cannot be {verb}.",
    Kind.OTHER: "{phone} is not a phone number in the form +13195550100 and cannot be {verb}.",
}


def _as_a_spreadsheet_wrote_it(text: str, raw: str) -> str:
    """Return a number that a spreadsheet took for a quantity as it was before.

    ``3195550100.0`` lost nothing; skipping its dot would make ten digits of nine, and text a
    stranger. An apostrophe before it marks it as text.

    Raises InvalidPhone where digits were lost: in ``3.19555E+09`` and behind a decimal point.
    """
    text = text.lstrip("'’").strip()
    if _SCIENTIFIC.fullmatch(text):
        raise InvalidPhone(
            f"“{raw.strip()}” is no phone number any more: digits were lost in the spreadsheet."
            " Make the column text there, and write the number again."
        )
    if found := _DECIMAL.fullmatch(text):
        if found[2].strip("0"):
            raise InvalidPhone(
                f"“{raw.strip()}” is a quantity, not a phone number; write it like +1 319 555 0100."
            )
        return found[1]
    return text


def _refuse_what_is_no_number(text: str, raw: str) -> None:
    if not text:
        raise InvalidPhone("The phone number is missing.")
    shown = raw.strip()
    if _is_hidden(text) or _is_hidden(f"+{text}"):  # a spreadsheet takes the plus sign away
        raise InvalidPhone(f"“{shown}” stands for a hidden caller, not for a phone.")
    if len(text) > _DIGITS_OF_TWO and _are_two(text):
        raise InvalidPhone(f"“{shown}” holds more than one number; write the one you mean.")
    if _WRITTEN.fullmatch(text) and text.isascii() and text.count("+") < 2 and _DIGIT.search(text):
        return  # nearly always; the sentences for all else ask after each letter
    if re.match(r"[A-Za-z][\w.-]*:", text):
        raise InvalidPhone(f"“{shown}” is a channel address; write the plain phone number.")
    if _EXTENSION.search(text):
        raise InvalidPhone(f"“{shown}” has an extension, which cannot be reached; leave it out.")
    if any(character.isalpha() for character in text):
        raise InvalidPhone(f"“{shown}” contains letters; write the phone number in digits.")
    if not _WRITTEN.fullmatch(text) or not text.isascii() or text.count("+") > 1:
        raise InvalidPhone(f"“{shown}” is not a phone number; write it like +1 319 555 0100.")
    if not any(character.isdigit() for character in text):
        raise InvalidPhone(f"“{shown}” contains no digits; write it like +1 319 555 0100.")


def _are_two(text: str) -> bool:
    return sum(map(str.isdigit, text)) >= _DIGITS_OF_TWO and _TWO.search(text) is not None


def _is_hidden(caller: str) -> bool:
    """Tell whether Twilio, or a carrier (RFC 3323), shows this in place of a number."""
    name = caller.lower()
    return name in ANONYMOUS_CALLERS or name.lstrip("+").split("@")[0] in _HIDDEN_WORDS


def _as_nanp(digits: str, default_region: str) -> str | None:
    """Return +1 and ten digits where `digits` are meant as a number of the +1 plan."""
    if digits.startswith("+"):
        return digits if digits.startswith("+1") else None
    if phonenumbers.country_code_for_region(default_region) != 1 or digits.startswith("011"):
        return None
    if len(digits) == 11 and digits.startswith("1"):
        return f"+{digits}"
    return f"+1{digits}"


def _check_nanp(phone: str, shown: str) -> str:
    count = len(phone) - 2
    if count == 7:
        raise InvalidPhone(f"“{shown}” lacks the area code; write it like +1 319 555 0100.")
    if count != 10:
        raise InvalidPhone(
            f"“{shown}” has {count} digits where a US or Canadian number has 10; "
            "a number of another country begins with + and its country code."
        )
    area, exchange = phone[2:5], phone[5:8]
    if area[0] in "01" or area.endswith("11") or area[1] == "9":
        raise InvalidPhone(f"“{shown}” is not valid: there is no area code {area}.")
    if exchange[0] in "01" or exchange.endswith("11"):
        raise InvalidPhone(f"“{shown}” is not valid: no number has {exchange} after its area code.")
    if classify(phone) is Kind.IMPOSSIBLE:
        raise InvalidPhone(f"“{shown}” is not valid: nobody has the area code {area}.")
    return phone


def _parse(digits: str, default_region: str, shown: str) -> str:
    try:
        number = phonenumbers.parse(digits, default_region)
        written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        if (usual := one_spelling(written)) != written:
            number = phonenumbers.parse(usual)
    except phonenumbers.NumberParseException as error:
        raise InvalidPhone(
            f"“{shown}” is not a phone number: its country code is unknown or it is too short or "
            "long. Write it like +1 319 555 0100."
        ) from error
    if number.country_code == 1:
        return _check_nanp(f"+1{number.national_number}", shown)
    verdict = phonenumbers.is_possible_number_with_reason(number)
    if verdict != ValidationResult.IS_POSSIBLE:
        size = "too short" if verdict == ValidationResult.TOO_SHORT else "of the wrong length"
        raise InvalidPhone(
            f"“{shown}” is {size} for a number with country code {number.country_code}."
        )
    phone = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not _E164.fullmatch(phone) or phonenumbers.parse(phone) != number:
        # Of a possible length, but with zeros that no number of that country begins with.
        raise InvalidPhone(f"“{shown}” is not a number of country code {number.country_code}.")
    return phone


def _nanp_kind(phone: str, area: str, exchange: str) -> Kind:
    if area in TOLL_FREE_CODES:
        return Kind.TOLL_FREE
    if phone.startswith(_TWILIO_TEST_NUMBERS):
        return Kind.DOMESTIC
    if exchange in _SPECIAL_EXCHANGES or phone.endswith(_DIRECTORY):
        return Kind.PREMIUM
    kind = _area_kind(area)
    dear = kind is Kind.CARIBBEAN and _library_type(phone) in _NEVER
    return Kind.PREMIUM if dear else kind


@lru_cache(maxsize=1000)
def _area_kind(area: str) -> Kind:
    """Tell by our lists, and by the library's for codes that are newer than ours."""
    if area in CARIBBEAN_CODES:
        return Kind.CARIBBEAN
    if area in _SPECIAL_CODES:
        return Kind.PREMIUM
    if area in _NEW_CODES:
        return Kind.DOMESTIC
    fictional = phonenumbers.PhoneNumber(country_code=1, national_number=int(f"{area}5550100"))
    region = phonenumbers.region_code_for_number(fictional)
    if region is None:
        return Kind.IMPOSSIBLE
    if phonenumbers.number_type(fictional) in (*_NEVER, PhoneNumberType.VOIP):
        return Kind.PREMIUM  # no area: personal numbers, and Canada's 600
    return Kind.DOMESTIC if region in _DOMESTIC_REGIONS else Kind.CARIBBEAN


def _foreign_kind(phone: str) -> Kind:
    kind = _library_type(phone)
    if kind is None:
        return Kind.OTHER
    return Kind.PREMIUM if kind in _NEVER or _is_of_no_country(phone) else Kind.INTERNATIONAL


@lru_cache(maxsize=4096)
def _library_type(phone: str) -> int | None:
    """Return the library's type of a number in E.164; None if that is no number at all."""
    try:
        kind: int = phonenumbers.number_type(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return None
    return kind


def _is_of_no_country(phone: str) -> bool:
    return int(phone[1:4]) in _NO_COUNTRY


def _is_alphanumeric(phone: str) -> bool:
    """Tell whether `phone` can be an alphanumeric sender: up to 11 characters, a letter in it."""
    return (
        len(phone) <= 11
        and any(character.isalpha() for character in phone)
        and all(character.isalnum() or character in " -_+&" for character in phone)
    )
