"""Phone numbers as people write them, read as one spelling: E.164."""

import re
import unicodedata
from typing import Final

import phonenumbers
from phonenumbers import ValidationResult

from app.domain.phone_kinds import E164, EMERGENCY, SHORT_CODE, Kind, classify, is_hidden
from app.domain.phone_spellings import one_spelling


class InvalidPhone(ValueError):
    """The text is no phone number we can use; `reason` is a sentence for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


_SCIENTIFIC: Final = re.compile(r"[+-]?\d+(?:[.,]\d+)?E[+-]?\d+", re.IGNORECASE)
_DECIMAL: Final = re.compile(r"(\+?\d{7,})[.,](\d{1,9}|0+)")
"""Seven digits and more before the only point: no way in which people group a phone number."""
_TWO: Final = re.compile(r"\d\s*(?:[,;/|&]|:::|\bor\b|\band\b|\n)\s*\+?\(?\d", re.IGNORECASE)
_DIALLED_ABROAD: Final = re.compile(r"^00(?=[1-9]\d{6})")
"""What most of the world dials in place of the plus sign (ITU-T E.123); no number of the +1 plan,
and none of a country within itself, begins with it."""
_WRITTEN: Final = re.compile(r"[+\d\s().\-/]+")
_DIGIT: Final = re.compile("[0-9]")
_DIGITS_OF_TWO: Final = 18
_EXTENSION: Final = re.compile(r"\d\s*(?:;|,|#|x|ext)", re.IGNORECASE)
# What people write beside a number in the same cell or field.
_LINK: Final = re.compile(r"(?:tel|sms|callto):(?=\s*[+\d(])", re.IGNORECASE)
"""RFC 3966 and RFC 5724: what a contact or a page makes of a number."""
_NOT_ALONE: Final = re.compile(r"[^+\d\s().\-/]")
"""Most numbers are written without any of it, and need no second look."""
_LABEL: Final = (
    r"(?:cell(?:ular)?|mobile?|handy|mob|phone|tel|text|home|work|office|celular|m[óo]vil"
    r"|port(?:able)?|privat|c|m|h|w|p|t)"
)
_LABELLED: Final = re.compile(
    rf"\A{_LABEL}(?:\s+(?:phone|number|no))?\s*[:.#)]{{0,2}}\s*(?=[+\d(])"
    rf"|(?<=\d)\s*[(\[-]?\s*{_LABEL}(?:\s+phone)?\.?\s*[)\]]?(?=\s*\Z)",
    re.IGNORECASE,
)
"""What people write beside a number in the same cell: which of a person's phones it is."""
_AROUND: Final = "<>'’‘\"“”„«»`*☎☏✆📞📱\ufe0f"
_SEPARATORS: Final = re.compile(r"(?<=[\d)])\s*[·•∙_~]\s*(?=[\d(])")
_GROUPED: Final = re.compile(r"1?,?\d{3},\d{3},\d{4}|\d{1,2}(?:,\d{3}){3}")
"""Commas between an American number's groups, or between thousands: no digit is lost."""


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
    text = _as_a_spreadsheet_wrote_it(_alone(text), raw)
    _refuse_what_is_no_number(text, raw)
    digits = _DIALLED_ABROAD.sub("+", re.sub(r"[^+\d]", "", text))
    if "+" in digits[1:]:
        raise InvalidPhone(
            f"“{raw.strip()}” has a plus sign inside; write it like +1 319 555 0100."
        )
    if EMERGENCY.fullmatch(digits):
        raise InvalidPhone(f"“{raw.strip()}” is an emergency or service number.")
    if not digits.startswith("+") and SHORT_CODE.fullmatch(digits):
        if short_codes:
            return digits
        raise InvalidPhone(f"“{raw.strip()}” is a short code; a full phone number is needed.")
    if nanp := _as_nanp(digits, default_region):
        return _check_nanp(nanp, raw.strip())
    return _parse(digits, default_region, raw.strip())


def _alone(text: str) -> str:
    """Return a number without what it was copied with: a link's scheme, marks of a list."""
    if _NOT_ALONE.search(text):
        text = text.removeprefix("=") if text[1:2] == '"' else text
        text = _LABELLED.sub("", _LINK.sub("", text.strip(_AROUND + " \t\r\n")))
        text = _SEPARATORS.sub("-", text)
        text = text.replace(",", "") if _GROUPED.fullmatch(text) else text
    return text.rstrip(" \t\r\n.,;")


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
    if is_hidden(text) or is_hidden(f"+{text}"):  # a spreadsheet takes the plus sign away
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
    if not E164.fullmatch(phone) or phonenumbers.parse(phone) != number:
        # Of a possible length, but with zeros that no number of that country begins with.
        raise InvalidPhone(f"“{shown}” is not a number of country code {number.country_code}.")
    return phone
