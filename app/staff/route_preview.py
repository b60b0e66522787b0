"""What somebody who texts or calls a number would get right now, as TwiML."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.domain.content import templates
from app.inbound import calls, lookup
from app.inbound.handlers import handle_yourself
from app.inbound.parsing import Arrival
from app.models.base import utcnow
from app.models.route import Channel, Handler
from app.models.sender import Sender
from app.twiml import messaging

CALLER = "+13195550142"
"""A fictional phone: 555-0100 to 555-0199 belong to nobody."""


def twiml_now(session: Session, sender: Sender, channel: Channel) -> str | None:
    """Return the TwiML of the saved route, asked as Twilio would; nothing is stored."""
    if channel is Channel.VOICE:
        number = lookup.for_call(session.connection(), sender.address)
        return calls.choose(session, "preview", _call(sender), number).twiml if number else None
    number = lookup.for_text(session.connection(), sender.address, CALLER, None, "")
    if number is None or number.route is None:
        return None
    route = number.route
    if route.handler is Handler.HANDLE_YOURSELF:
        return handle_yourself.answer(route, channel).twiml
    if route.handler is not Handler.AUTO_REPLY or route.template_body is None:
        return messaging.empty()
    body = route.template_body
    try:
        examples = {name: f"[{name}]" for name in templates.placeholders(body)}
        return messaging.reply(templates.render(body, examples), route.template_media)
    except templates.TemplateProblem:
        return None


def _call(sender: Sender) -> Arrival:
    return Arrival(
        channel=Channel.VOICE,
        sid="CA" + "0" * 32,
        account_sid="AC" + "0" * 32,
        from_=CALLER,
        to=sender.address,
        received_at=utcnow(),
        parameters={},
    )
