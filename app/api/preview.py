"""What a text takes and costs, before it is sent."""

from __future__ import annotations

from pydantic import Field

from app.api.auth import Caller
from app.api.operation import operation
from app.api.problem import invalid
from app.api.reading import Shape
from app.domain.clients.prices import PRICES
from app.domain.content import attachments
from app.extensions import db
from app.models.credential import Scope
from app.twilio.segments import (
    Encoding,
    estimate_cost,
    measure,
    smart_encode,
)
from app.twiml.text import MAX_BODY, utf16_units


class PreviewBody(Shape):
    """A text that may be sent."""

    body: str = Field("", max_length=100_000)
    media: list[str] = Field(default_factory=list, max_length=100)


class PreviewObject(Shape):
    """What the text takes."""

    encoding: Encoding
    segments: int = Field(description="What Twilio bills; a message with media is one.")
    units: int = Field(description="Septets in GSM-7, 16 bit code units in UCS-2.")
    characters: int = Field(description="Unicode code points.")
    unsupported: list[str] = Field(description="The characters that force UCS-2.")
    estimated_cost: float = Field(description="In US dollars, before carrier fees.")
    warnings: list[str]


@operation(
    "POST",
    "/preview",
    Scope.READ,
    {200: PreviewObject},
    example={"body": "Class starts at 9 – bring your ID.", "media": []},
)
def preview(caller: Caller, body: PreviewBody) -> PreviewObject:
    """Measure a text without sending it; nothing is fetched."""
    if not body.body.strip() and not body.media:
        raise invalid("body", "empty", "There is nothing to send: give a body or media.")
    measured = measure(body.body)
    media = attachments.inspect(db.session(), caller.client_id, body.media)
    return PreviewObject(
        encoding=measured.encoding,
        segments=1 if body.media else measured.segments,
        units=measured.units,
        characters=measured.characters,
        unsupported=measured.unsupported,
        estimated_cost=float(estimate_cost(measured.segments, len(body.media), PRICES)),
        warnings=[
            *_warnings(body, measured.segments, measured.unsupported),
            *(mistake.message for mistake in media.mistakes),
            *media.advice,
        ],
    )


def _warnings(body: PreviewBody, segments: int, unsupported: list[str]) -> list[str]:
    warnings = []
    if utf16_units(body.body) > MAX_BODY:
        warnings.append(f"The text is longer than {MAX_BODY} characters and will be refused.")
    if len(body.media) > attachments.MAX_FILES:
        warnings.append(f"A message can have at most {attachments.MAX_FILES} media files.")
    if unsupported:
        plain = measure(smart_encode(body.body))
        shown = " ".join(unsupported[:10])
        hint = (
            f" Plain characters in their place would take {plain.segments}."
            if plain.segments < segments
            else ""
        )
        warnings.append(
            f"These characters are not in the GSM alphabet: {shown}. They make the text"
            f" {segments} segment{'s' if segments > 1 else ''} of 70 characters or less.{hint}"
        )
    if segments > 1 and not body.media:
        warnings.append(f"The text is sent, and billed, as {segments} segments.")
    return warnings
