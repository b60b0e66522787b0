"""Shapes that several calls share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, RootModel
from pydantic_core import PydanticCustomError

from app.domain import phones
from app.domain.mistakes import INVALID_PHONE
from app.models.base import PHONE_LENGTH

MAX_ATTRIBUTES = 200
MAX_ATTRIBUTE_LENGTH = 10_000

Value = str | bool | int | float | None


def _check_attributes(attributes: dict[str, Value]) -> dict[str, Value]:
    for name, value in attributes.items():
        if not name or len(name) > 100:
            raise ValueError("The name of an attribute must have 1 to 100 characters.")
        if isinstance(value, str) and len(value) > MAX_ATTRIBUTE_LENGTH:
            raise ValueError(f"{name} is longer than {MAX_ATTRIBUTE_LENGTH} characters.")
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            raise ValueError(f"{name} is too large a number.")
    for name in ("toName", "toPhone", "toAddress"):
        if not isinstance(attributes.get(name, ""), str | None):
            raise ValueError(f"{name} must be text.")
    if len(attributes) > MAX_ATTRIBUTES:
        raise ValueError(f"A member can have at most {MAX_ATTRIBUTES} attributes.")
    return attributes


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

Attributes = Annotated[
    dict[str, Value],
    AfterValidator(_check_attributes),
    Field(max_length=MAX_ATTRIBUTES, json_schema_extra=_WELL_KNOWN),
]
"""A person's attributes: ``toName``, ``toPhone``, ``toAddress`` and any others."""


class MemberObject(RootModel[Attributes]):
    """A person: `toName`, `toPhone`, `toAddress` and any other attributes."""

    def text(self, name: str) -> str:
        """Return an attribute as text, trimmed; empty where there is none."""
        value = self.root.get(name)
        return "" if value is None else str(value).strip()


def _read_phone(text: str) -> str:
    """Read a phone, or a short code, in any writing."""
    written = text.strip()
    if written and not written.startswith("+") and text != written and len(written) > 6:
        written = f"+{written}"  # a plus sign that was not encoded arrives as a space
    try:
        return phones.normalize(written, short_codes=True)
    except phones.InvalidPhone as error:
        raise PydanticCustomError(INVALID_PHONE, "{reason}", {"reason": error.reason}) from None


def _read_sender(text: str) -> str:
    return text if text.startswith("MG") else _read_phone(text)


Phone = Annotated[str, Field(min_length=1, max_length=PHONE_LENGTH), AfterValidator(_read_phone)]
"""A phone or short code in any writing; read as E.164."""
SenderAddress = Annotated[
    str, Field(min_length=1, max_length=PHONE_LENGTH), AfterValidator(_read_sender)
]
"""A number of the client's in any writing, or a messaging service's SID."""
