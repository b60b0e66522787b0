"""``forward_to_webhook``: each text goes to the client's own system."""

from __future__ import annotations

from typing import Annotated, Literal

from app.domain.routing.handlers.base import HandlerSpec, Refers, Shown
from app.domain.specs import Name
from app.models.endpoint import Endpoint
from app.models.route import Destination


class ForwardToWebhook(HandlerSpec):
    """Send each text to the client's own system."""

    label = "Forward to your own system"
    hint = "Each text goes to an endpoint, with what you know about the person."
    destinations = (Destination.SMS,)

    handler: Literal["forward_to_webhook"]
    endpoint: Annotated[Name, Refers(Endpoint), Shown("Send to", empty="Choose an endpoint")]

    def summary(self) -> str:
        """Say in words what it does."""
        return f"Forwards each text to the endpoint “{self.endpoint}”."
