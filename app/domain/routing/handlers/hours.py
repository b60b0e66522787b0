"""``hours``: what happens depends on whether somebody is there."""

from __future__ import annotations

from typing import Annotated, Literal

from app.domain.routing.handlers.base import HandlerSpec, Nested, Refers, Shown
from app.domain.specs import Name
from app.models.hours import Hours
from app.models.route import Destination


class ByHours(HandlerSpec):
    """Go on by one route while the office is open, by another while it is not."""

    label = "Go by office hours"
    hint = "One answer while somebody is there, another while nobody is."
    destinations = (Destination.SMS, Destination.VOICE)
    leads_on = True

    handler: Literal["hours"]
    hours: Annotated[Name, Refers(Hours), Shown("Office hours", empty="Choose hours")]
    open: Annotated[Nested, Shown("While it is open", kind="route")]
    closed: Annotated[Nested, Shown("While it is closed", kind="route")]
    holiday: Annotated[
        Nested | None,
        Shown("On holidays", kind="route", empty="As while it is closed"),
    ] = None

    def sentence(self) -> str:
        """Say in words what it does."""
        said = f"{self.summary()} Open: {self.open.sentence()}"
        said += f" Closed: {self.closed.sentence()}"
        return said if self.holiday is None else f"{said} Holidays: {self.holiday.sentence()}"

    def summary(self) -> str:
        """Say in words what it does itself."""
        return f"By the hours “{self.hours}”."
