"""``call_forward``: the call goes on to another phone."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.domain.mistakes import Reasons
from app.domain.routing.handlers.base import HandlerSpec, Place, Shown, Spoken, ended
from app.domain.routing.handlers.dialing import refuse_unreachable
from app.domain.specs import Phone
from app.models.route import Destination


class CallForward(HandlerSpec):
    """Forward the call to another phone."""

    label = "Forward to another phone"
    hint = "The caller is put through."
    destinations = (Destination.VOICE,)

    handler: Literal["call_forward"]
    to: Annotated[Phone, Shown("Forward to", kind="tel")]
    timeout: Annotated[
        int,
        Field(ge=5, le=600),
        Shown("Let it ring for", "Seconds, 5 to 600; 30 when empty.", "number"),
    ] = 30
    """Seconds that it rings (Twilio, <Dial>: 600 at most, 30 where nothing is said)."""
    caller_id: Annotated[
        Literal["caller", "number"],
        Shown("Show them", labels=(("caller", "the caller's number"), ("number", "this number"))),
    ] = "caller"
    no_answer_say: Annotated[Spoken | None, Shown("When nobody answers, say", kind="area")] = None

    def summary(self) -> str:
        """Say in words what it does."""
        after = f"; when nobody answers: “{self.no_answer_say}”" if self.no_answer_say else ""
        return ended(
            f"Forwards the call to {self.to}, which rings for {self.timeout} seconds{after}"
        )

    def check(self, place: Place, reasons: Reasons) -> None:
        """Add why nobody may be called there."""
        refuse_unreachable(place, {("to",): self.to}, reasons)
