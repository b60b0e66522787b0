"""Places of phone numbers, as far as a demo needs them: the number's, not the person's."""

from __future__ import annotations

_PLACES = {
    "319": ("IOWA CITY", "IA", "52240"),
    "515": ("DES MOINES", "IA", "50309"),
    "563": ("DAVENPORT", "IA", "52801"),
    "641": ("MASON CITY", "IA", "50401"),
    "712": ("SIOUX CITY", "IA", "51101"),
    "312": ("CHICAGO", "IL", "60601"),
    "415": ("SAN FRANCISCO", "CA", "94102"),
}


def place(phone: str, prefix: str) -> list[tuple[str, str]]:
    """Four parameters such as FromCity, FromState, FromZip, FromCountry; blank if unknown."""
    city = state = zip_code = country = ""
    if phone.startswith("+1") and len(phone) == 12:
        country = "US"
        city, state, zip_code = _PLACES.get(phone[2:5], ("", "", ""))
    return [
        (f"{prefix}City", city),
        (f"{prefix}State", state),
        (f"{prefix}Zip", zip_code),
        (f"{prefix}Country", country),
    ]
