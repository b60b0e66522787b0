"""What kind of number a phone is, and why nobody may be reached there.

+1 is the North American Numbering Plan, which is more than the US: Canada, the US territories, and
Caribbean and Atlantic countries whose numbers look domestic but are dear and the target of fraud.
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberType

from app.models.route import Destination


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
TWILIO_TEST_NUMBERS: Final = "+1500555"
"""Twilio's magic numbers: they work with test credentials only, whose senders they are too."""
EMERGENCY: Final = re.compile(r"\+?1?([2-9]11|112|988|999|000)")
_NANP: Final = re.compile(r"\+1(?P<area>[2-9]\d\d)(?P<exchange>[2-9]\d\d)\d{4}")
SHORT_CODE: Final = re.compile(r"[1-9]\d{4,5}")
E164: Final = re.compile(r"\+[1-9]\d{6,14}")


def classify(phone: str) -> Kind:
    """Return the kind of `phone`: a normalized number, or whatever Twilio gave as From or To."""
    phone = phone.strip()
    if is_hidden(phone):
        return Kind.ANONYMOUS
    if SHORT_CODE.fullmatch(phone):
        return Kind.SHORT_CODE
    if EMERGENCY.fullmatch(phone):
        return Kind.EMERGENCY
    if found := _NANP.fullmatch(phone):
        return _nanp_kind(phone, found["area"], found["exchange"])
    if not E164.fullmatch(phone):
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


def is_hidden(caller: str) -> bool:
    """Tell whether Twilio, or a carrier (RFC 3323), shows this in place of a number."""
    name = caller.lower()
    return name in ANONYMOUS_CALLERS or name.lstrip("+").split("@")[0] in _HIDDEN_WORDS


def _nanp_kind(phone: str, area: str, exchange: str) -> Kind:
    if area in TOLL_FREE_CODES:
        return Kind.TOLL_FREE
    if phone.startswith(TWILIO_TEST_NUMBERS):
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
