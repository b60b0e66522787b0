"""The right to try to tell one endpoint something, and to write down what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.models.delivery import AttemptTrigger
from app.models.endpoint import EndpointKind
from app.outbound.relay.letter import Letter


@dataclass(frozen=True)
class Ticket:
    """The right to write down what came of a try."""

    delivery_id: str
    token: str
    number: int


@dataclass(frozen=True)
class Lease(Ticket):
    """The right to make one try, with all that it takes. Nobody else changes the delivery."""

    endpoint_id: str
    kind: EndpointKind
    is_suspect: bool
    """The endpoint's last try failed: this one may well hang."""
    trigger: AttemptTrigger
    requested_by: str | None
    letter: Letter
    due_at: datetime | None
    """When it was due, for the case that it is given back unmade."""

    @property
    def is_mail(self) -> bool:
        """Whether this goes by e-mail."""
        return self.kind is EndpointKind.EMAIL


Group = tuple[Lease, ...]
"""Of one endpoint, under one token, to be sent one after the other."""


@dataclass(frozen=True)
class Room:
    """What the process has room for."""

    mail: bool = True
    suspects: bool = True


ANYTHING = Room()
