"""The canned reply, and what keeps two machines from answering each other for ever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from app.domain import reach
from app.domain.audience import contacts
from app.domain.content import templates
from app.domain.relaying import notices
from app.extensions import current_settings
from app.inbound.handlers import Answer, Reply, TextContext
from app.inbound.history import History
from app.inbound.lookup import Number
from app.inbound.parsing import Arrival
from app.models.base import new_id
from app.models.incoming import OptOut, Outcome
from app.models.route import Channel
from app.twiml import messaging
from app.twiml.text import clean

MAX_REPLIES = 5
"""Most replies to one phone from one number in any hour."""


def answer(context: TextContext) -> Answer:
    """Render the route's template, or that of its keyword rule, for the sender of the text."""
    route = context.route
    if route.template_body is None:
        return failure("The route names no template to reply with. Choose one.")
    known: dict[str, Any] = dict(attributes(context.arrival))
    try:
        if not templates.placeholders(route.template_body) <= known.keys():
            known = {**_member(context), **known}
        body = templates.render(route.template_body, known)
    except templates.TemplateProblem as problem:
        return failure(f"The reply could not be rendered. {problem.message}")
    return reply(
        context.arrival,
        context.number,
        context.past,
        body,
        route.template_media,
        route.template_version_id,
    )


def _member(context: TextContext) -> dict[str, Any]:
    """Return the attributes of the person who was last written to at this phone, if anybody."""
    number = context.number
    contact = contacts.find(context.session, number.client.id, context.arrival.from_, number)
    return dict(contact.member or {}) if contact else {}


def reply(
    arrival: Arrival,
    number: Number,
    past: History,
    body: str,
    media: Sequence[str] = (),
    template_version_id: str | None = None,
    asked: OptOut | None = None,
) -> Answer:
    """Answer ``arrival`` with a text, unless nobody may or should be answered there.

    :param asked: what the text confirms, if it does. Whoever asks to be left alone, or for help,
        gets it, listed or not; that somebody is left alone is confirmed even while nothing else
        goes out.
    """
    reason = refusal(arrival, number, past.suppressed, asked)
    if reason:
        return Answer(messaging.empty(), Outcome.NOT_REPLIED, error=reason)
    if past.recent_replies >= MAX_REPLIES:
        return _loop_stopped(arrival, number)
    text = clean(body)
    if not text.strip() and not media:
        return failure("The template renders to an empty text, so there was nothing to reply.")
    if not messaging.fits(text):
        return failure(
            f"The template renders to more than {messaging.MAX_BODY:,} characters, which Twilio"
            " does not send. Make it shorter."
        )
    message_id = new_id()
    twiml = messaging.reply(text, media, status_url(message_id))
    made = Reply(message_id, text, tuple(media), template_version_id)
    return Answer(twiml, Outcome.REPLIED, reply=made)


def _loop_stopped(arrival: Arrival, number: Number) -> Answer:
    """Answer nothing and tell the owner, once a day for each phone and number."""
    phone, day = arrival.from_, f"{arrival.received_at:%Y-%m-%d}"
    reason = (
        f"{phone} has had {MAX_REPLIES} replies within an hour; two machines may be answering"
        " each other."
    )

    def tell(session: Session) -> None:
        notices.notify(
            session,
            number.client.owner_email,
            f"Automatic replies from {number.address} to {phone} were stopped",
            f"{reason}\nFurther texts from {phone} are in the log of {number.client.name} and are"
            f" not answered until an hour has fewer than {MAX_REPLIES} replies.\n",
            dedupe_key=f"loop:{number.id}:{phone}:{day}",
        )

    return Answer(
        messaging.empty(),
        Outcome.LOOP_STOPPED,
        error=reason,
        flagged=True,
        afterwards=tell,
    )


def attributes(arrival: Arrival) -> dict[str, str]:
    """Return what a reply's template knows: Twilio's parameters by their own names."""
    return {
        **arrival.parameters,
        "From": arrival.from_,
        "To": arrival.to,
        "Body": arrival.body,
    }


def refusal(
    arrival: Arrival, number: Number, suppressed: bool, asked: OptOut | None = None
) -> str | None:
    """Say why nobody is answered there; None when a reply may go out.

    :param suppressed: the phone is on the number's suppression list.
    :param asked: see :func:`reply`.
    """
    phone, standing = arrival.from_, number.standing
    silence = reach.silence(standing) if asked is not OptOut.STOP else None
    found = silence or reach.why_not(
        standing,
        phone,
        Channel.SMS,
        ours=(phone,) if number.from_is_ours else (),
        suppressed=suppressed and asked not in (OptOut.STOP, OptOut.HELP),
    )
    return found.sentence if found else None


def failure(reason: str) -> Answer:
    """Answer nothing, and tell staff why."""
    return Answer(messaging.empty(), Outcome.FAILED, error=reason, flagged=True)


def status_url(message_id: str) -> str:
    """Return where Twilio reports what became of a text of ours."""
    return f"{current_settings().public_base_url}/inbound/sms/status/{message_id}"
