"""The canned reply, and what keeps two machines from answering each other for ever."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.orm import Session

from app.domain import reach
from app.domain.relaying import notices
from app.domain.sending import brake
from app.extensions import current_settings
from app.inbound.handlers import Answer, Rendered, Reply, TextContext
from app.inbound.history import History
from app.inbound.lookup import Number
from app.inbound.parsing import Arrival
from app.models.base import new_id, utcnow
from app.models.incoming import OptOut, Outcome
from app.models.route import Channel
from app.twiml import messaging

MAX_REPLIES = 5
"""Most replies to one phone from one number in any hour."""


def answer(context: TextContext) -> Answer:
    """Answer with what the route's template, or that of its keyword rule, makes of the text."""
    rendered = context.prepared.route
    if rendered is None:
        return failure("The route names no template to reply with. Choose one.")
    return reply(context.arrival, context.number, context.past, rendered)


def reply(
    arrival: Arrival,
    number: Number,
    past: History,
    rendered: Rendered,
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
    most = number.client.limit_phone_hour
    if most is not None and past.recent_messages >= most and asked is not OptOut.STOP:
        why = brake.sentence(arrival.from_, most)
        return Answer(messaging.empty(), Outcome.NOT_REPLIED, error=why)
    if past.recent_replies >= MAX_REPLIES:
        return _loop_stopped(arrival, number)
    if rendered.problem is not None:
        return _not_rendered(number, rendered)
    message_id = new_id()
    twiml = messaging.reply(rendered.text, rendered.media, status_url(message_id))
    made = Reply(message_id, rendered.text, rendered.media, rendered.version_id)
    return Answer(twiml, Outcome.REPLIED, reply=made)


def _not_rendered(number: Number, rendered: Rendered) -> Answer:
    """Answer nothing and tell the owner, once a day for each template."""
    name, day = rendered.template_name or "", f"{utcnow():%Y-%m-%d}"
    problem = rendered.problem or ""

    def tell(session: Session) -> None:
        notices.notify(
            session,
            number.client.owner_email,
            f"“{name}” could not answer a text to {number.address}",
            f"Somebody texted {number.address} and got no answer from “{name}”.\n{problem}\n"
            "Where people may lack a value, say what stands for it:"
            ' {{ toName or "there" }}.\n'
            f"The text is in the log of {number.client.name}, marked for you to look at. You are"
            " told once a day; others may have had no answer either.\n",
            dedupe_key=f"reply:{rendered.template_id or f'{number.id}:{name}'}:{day}",
        )

    found = failure(f"The reply “{name}” could not be rendered. {problem}")
    return replace(found, afterwards=tell, wakes="relay")


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
