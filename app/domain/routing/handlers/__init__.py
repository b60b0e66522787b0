"""What a number can do with a text or a call: a handler a file, all of them in one table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from app.domain import mistakes
from app.domain.mistakes import Mistake, Refused
from app.domain.routing.handlers.auto_reply import AutoReply
from app.domain.routing.handlers.base import HandlerSpec, Unfilled, holds_routes
from app.domain.routing.handlers.call_forward import CallForward
from app.domain.routing.handlers.forward_to_email import ForwardToEmail
from app.domain.routing.handlers.forward_to_webhook import ForwardToWebhook
from app.domain.routing.handlers.handle_yourself import HandleYourself
from app.domain.routing.handlers.hours import ByHours
from app.domain.routing.handlers.menu import Menu
from app.domain.routing.handlers.play_message import PlayMessage
from app.domain.routing.handlers.ring import Ring
from app.domain.routing.handlers.voicemail import Voicemail
from app.models.route import Destination

SPECS: dict[str, type[HandlerSpec]] = {
    spec.name(): spec
    for spec in (
        AutoReply, ForwardToEmail, ForwardToWebhook, PlayMessage, CallForward, Ring, Voicemail,
        Menu, ByHours, HandleYourself,
    )
}  # fmt: skip
"""The specification of every `app.models.route.Handler`, in the order in which it is offered."""
HOLDING = frozenset(name for name, spec in SPECS.items() if holds_routes(spec))
"""The handlers that hold routes of their own."""
MAX_DEPTH = 5
"""Most routes inside each other, the outermost counted."""


def offered(destination: Destination) -> list[type[HandlerSpec]]:
    """Return what can be done with texts, or with calls."""
    return [spec for spec in SPECS.values() if destination in spec.destinations]


def parse(
    destination: Destination, data: object, depth: int = 1, drafts: bool = False
) -> HandlerSpec:
    """Read a route as people write it: ``{handler: auto_reply, template: away}``.

    :param depth: how many routes it is inside of, itself counted.
    :param drafts: whether a route inside it that holds others may be chosen and not yet filled in.
    :raises Refused: with every mistake that can be seen without the database.
    """
    if not isinstance(data, Mapping):
        raise Refused.because("A route must name its handler, such as {handler: auto_reply, …}.")
    if depth > MAX_DEPTH:
        raise Refused.because(f"At most {MAX_DEPTH} routes can be inside each other.", "handler")
    specs = {spec.name(): spec for spec in offered(destination)}
    allowed, handler = ", ".join(specs), data.get("handler")
    if handler is None and "hours" in data:  # the one handler that may go without its name
        handler, data = "hours", {"handler": "hours", **data}
    if handler is None:
        raise Refused([Mistake(("handler",), f"“handler” is required: {allowed}.")])
    if not isinstance(handler, str) or handler not in specs:
        kind = "texts" if destination is Destination.SMS else "calls"
        message = f"“{handler}” is no handler for {kind}; it must be one of {allowed}."
        raise Refused.because(message, "handler")
    if drafts and depth > 1 and handler in HOLDING and len(data) == 1:
        return Unfilled(handler=handler)
    nested = partial(parse, destination, depth=depth + 1, drafts=drafts)
    return mistakes.parse(specs[handler], dict(data), {"nested": nested})
