"""``handle_yourself``: the client's own TwiML answers, and Dispatch sees nothing of it."""

from __future__ import annotations

from typing import Annotated, Literal

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session, aliased

from app.domain import reach, urls
from app.domain.mistakes import Reasons
from app.domain.routing.handlers.base import HandlerSpec, Place, Shown
from app.domain.specs import WebAddress
from app.models.client import Client
from app.models.credential import Credential
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender

_CIRCLE = (
    "This is Dispatch's own address: it would ask itself for ever. Give the address of your own"
    " system that answers with TwiML."
)
_EXCLUSIVE = (
    "A suppression list cannot be combined with “handle yourself”: texts would go to your own"
    " address, and Dispatch would not see when somebody answers STOP."
)


class HandleYourself(HandlerSpec):
    """Let the client's own TwiML answer."""

    label = "Handle it yourself"
    hint = "Twilio asks your own web address, which answers with TwiML."
    destinations = (Destination.SMS, Destination.VOICE)

    handler: Literal["handle_yourself"]
    url: Annotated[
        WebAddress,
        Shown(
            "Your web address",
            "It must answer with TwiML within 15 seconds. A number with a suppression list cannot"
            " do this, since Dispatch would not see a STOP.",
            "url",
        ),
    ]

    def summary(self) -> str:
        """Say in words what it does."""
        return f"Lets {self.url} answer."

    def check(self, place: Place, reasons: Reasons) -> None:
        """Add why the address cannot answer, or may not."""
        credential = place.session.get(Credential, place.sender.credential_id)
        client = place.session.get_one(Client, place.sender.client_id)
        if refusal := reach.handing_over(reach.standing(client, place.sender, credential)):
            reasons.add(refusal.sentence, "handler")
        if urls.points_here(self.url):
            reasons.add(_CIRCLE, "url")
        if place.destination is Destination.SMS:
            _take_turns(place.session, place.sender)
            if _has_list(place.session, place.sender):
                reasons.add(_EXCLUSIVE, "handler")


def conflict(session: Session, sender: Sender) -> str | None:
    """Return why the sender's suppression list and its route for texts exclude each other.

    A text to a number inside a messaging service is the service's to handle, so the two are
    looked at together. To be asked within the transaction that chooses a list or lets a number
    join a service, once that is done: whoever saves the other one meanwhile is waited for.
    """
    _take_turns(session, sender)
    both = _answers_itself(session, sender) and _has_list(session, sender)
    return _EXCLUSIVE if both else None


def _take_turns(session: Session, sender: Sender) -> None:
    """Let those who choose a list, or “handle yourself”, for a client do so one after the other.

    What is read from here on shows what the one before has saved.
    """
    session.execute(
        select(Client.id).filter_by(id=sender.client_id).with_for_update(key_share=True)
    )


def _has_list(session: Session, sender: Sender) -> bool:
    with_list = select(Sender.id).where(_family(sender), Sender.suppression_list_id.is_not(None))
    return session.scalar(with_list.limit(1)) is not None


def _answers_itself(session: Session, sender: Sender) -> bool:
    own = select(Route.id).where(
        Route.sender_id.in_(select(Sender.id).where(_family(sender))),
        Route.destination == Destination.SMS,
        Route.handler == Handler.HANDLE_YOURSELF,
    )
    return session.scalar(own.limit(1)) is not None


def _family(sender: Sender) -> ColumnElement[bool]:
    """Match a number and its messaging service, or a messaging service and its numbers."""
    service = aliased(Sender)
    its_service = select(service.service_id).where(service.id == sender.id).scalar_subquery()
    return or_(Sender.id == sender.id, Sender.id == its_service, Sender.service_id == sender.id)
