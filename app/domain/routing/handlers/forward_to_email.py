"""``forward_to_email``: each text goes by mail to the members of a population."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from sqlalchemy import select

from app.domain.mistakes import Reasons
from app.domain.routing.handlers.base import HandlerSpec, Place, Refers, Shown
from app.domain.specs import Name
from app.models.audience import Member, Population, people_of
from app.models.route import Destination


class ForwardToEmail(HandlerSpec):
    """Mail each text to every member of a population."""

    label = "Forward to e-mail"
    hint = "Good when few answers come in."
    destinations = (Destination.SMS,)

    handler: Literal["forward_to_email"]
    population: Annotated[
        Name, Refers(Population), Shown("Send to the members of", empty="Choose a population")
    ]

    def summary(self) -> str:
        """Say in words what it does."""
        return f"Mails each text to the members of “{self.population}”."

    def stored(self, place: Place, reasons: Reasons) -> dict[str, Any]:
        """Return the columns of the route; somebody has to be there who gets the mail."""
        columns = super().stored(place, reasons)
        require_mailboxes(place, columns["population_id"], self.population, reasons)
        return columns


def require_mailboxes(
    place: Place, population_id: str | None, name: str | None, reasons: Reasons
) -> None:
    """Add that nobody in a population would get the mails."""
    somebody = select(Member.id).where(
        people_of(population_id),
        Member.attributes["toAddress"].as_string().contains("@"),
    )
    if population_id and place.session.scalar(somebody.limit(1)) is None:
        reasons.add(
            f"Nobody in the population “{name}” has an e-mail address (toAddress).", "population"
        )
