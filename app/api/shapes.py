"""Shapes that several calls share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, RootModel

from app.domain.audience.members import Person
from app.domain.specs import Attributes, phone
from app.models.base import PHONE_LENGTH

Value = Any
"""Any JSON: text, a number, true, false, null, a list or an object of these."""

_WELL_KNOWN = {
    "properties": {
        "toName": {"type": ["string", "null"], "description": "The person's name."},
        "toPhone": {
            "type": ["string", "null"],
            "description": "Where texts and calls go, as E.164 (+13195550100) or as written in the"
            " US.",
        },
        "toAddress": {"type": ["string", "null"], "description": "The person's e-mail address."},
    },
}


class MemberObject(RootModel[Annotated[Attributes, Field(json_schema_extra=_WELL_KNOWN)]]):
    """A person: `toName`, `toPhone`, `toAddress` and any other attributes.

    They hold any JSON, lists and objects at most 5 deep, 32 KiB in all; templates can loop over
    lists, and everything comes back as it was given.
    """

    def text(self, name: str) -> str:
        """Return an attribute as text, trimmed; empty where there is none."""
        value = self.root.get(name)
        return "" if value is None else str(value).strip()


class PersonBody(RootModel[Annotated[Person, Field(json_schema_extra=_WELL_KNOWN)]]):
    """A person who can be reached: `toPhone` or `toAddress`, and any other attributes."""


def _read_phone(text: str) -> str:
    """Read a phone, or a short code, in any writing."""
    written = text.strip()
    if written and not written.startswith("+") and text != written and len(written) > 6:
        written = f"+{written}"  # a plus sign that was not encoded arrives as a space
    return phone(written, short_codes=True)


def _read_sender(text: str) -> str:
    return text if text.startswith("MG") else _read_phone(text)


Phone = Annotated[str, Field(min_length=1, max_length=PHONE_LENGTH), AfterValidator(_read_phone)]
"""A phone or short code in any writing; read as E.164."""
SenderAddress = Annotated[
    str, Field(min_length=1, max_length=PHONE_LENGTH), AfterValidator(_read_sender)
]
"""A number of the client's in any writing, or a messaging service's SID."""
