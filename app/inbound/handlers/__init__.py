"""What a number does with an incoming text or call: one handler a file, one table for each."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from app.inbound.answers import Answer, CallContext, Heard, Onward, TextContext
from app.inbound.handlers import (
    auto_reply,
    call_forward,
    forward_to_email,
    forward_to_webhook,
    handle_yourself,
    menu,
    play_message,
    ring,
    voicemail,
)
from app.inbound.number import RouteFacts
from app.models.route import Handler


class Part(enum.Enum):
    """What part Dispatch has in the answer to a text."""

    REPLIES = "replies"
    """It speaks for the client: keywords and reactions are answered before, or not at all."""
    TELLS = "tells"
    """It tells somebody, whatever the text is and while nothing goes out; keywords are answered."""
    HANDS_OVER = "hands over"
    """Another one answers, keywords as well."""


@dataclass(frozen=True)
class TextHandler:
    """A handler of texts."""

    answer: Callable[[TextContext, RouteFacts], Answer]
    part: Part


TEXTS: dict[Handler, TextHandler] = {
    Handler.AUTO_REPLY: TextHandler(auto_reply.answer, Part.REPLIES),
    Handler.FORWARD_TO_EMAIL: TextHandler(forward_to_email.answer, Part.TELLS),
    Handler.FORWARD_TO_WEBHOOK: TextHandler(forward_to_webhook.answer, Part.TELLS),
    Handler.HANDLE_YOURSELF: TextHandler(handle_yourself.text, Part.HANDS_OVER),
}
CALLS: dict[Handler, Callable[[CallContext, RouteFacts], Answer | Onward]] = {
    Handler.PLAY_MESSAGE: play_message.answer,
    Handler.VOICEMAIL: voicemail.answer,
    Handler.CALL_FORWARD: call_forward.answer,
    Handler.HANDLE_YOURSELF: handle_yourself.call,
    Handler.MENU: menu.answer,
    Handler.RING: ring.answer,
}
STEPS: dict[Handler, Callable[[CallContext, RouteFacts, Heard], Answer | Onward]] = {
    Handler.MENU: menu.heard,
    Handler.RING: ring.heard,
}
"""What a handler of calls does with what Twilio tells at its steps, where it has any."""
