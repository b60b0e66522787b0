"""The canned reply, and what keeps two machines from answering each other for ever.

Filling in a template takes time that its author decides. Nobody waits for that: it is done while
nothing is locked (:func:`prepare`), and what it made is carried into the transaction.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import reach
from app.domain.audience import contacts, members
from app.domain.content import templates
from app.domain.reach import OPTED_OUT_LISTED
from app.domain.relaying import notices
from app.domain.sending import allowance
from app.extensions import current_settings, db
from app.inbound import meaning
from app.inbound.answers import Answer, History, Prepared, Rendered, Reply, TextContext
from app.inbound.number import Number, RouteFacts
from app.inbound.parsing import Arrival
from app.models.base import new_id, utcnow
from app.models.incoming import OptOut, Outcome
from app.models.route import Destination, Handler
from app.models.template import Template, TemplateKind, TemplateVersion
from app.twilio.segments import measure
from app.twiml import messaging
from app.twiml.text import MAX_BODY, clean

MAX_REPLIES = 5
"""Most replies to one phone from one number in any hour."""

KEYWORD_ANSWERS: dict[OptOut, str] = {
    OptOut.STOP: "{name}: You are unsubscribed and will receive no more messages from this number."
    " Reply START to resubscribe.",
    OptOut.START: "{name}: You are subscribed again. Reply HELP for help, STOP to unsubscribe."
    " Msg&Data Rates May Apply.",
    OptOut.HELP: "{name}: For help, write to {owner}. Reply STOP to unsubscribe."
    " Msg&Data Rates May Apply.",
}
"""What we say, where Twilio says nothing, when the client has no template of that name."""
ONLY_START = "{name}: To receive texts from this number again, reply with only the word START."
"""The answer to a START that is not exactly Twilio's, where only Twilio can lift its block."""


def prepare(arrival: Arrival, number: Number) -> Prepared:
    """Fill in what may be answered; writes nothing, and raises for nothing that a template does."""
    asked = meaning.read(arrival, number.client)
    route = number.route
    ours = None
    if route and route.handler is Handler.AUTO_REPLY and route.template_body is not None:
        template = Rendered(
            route.template_body, tuple(route.template_media), route.template_id,
            route.template_name, route.template_version_id,
        )  # fmt: skip
        ours = _render(arrival, number, template)
    keyword = None
    short_code = number.is_short_code and not arrival.opt_out_type
    if asked and (short_code or not asked.exact):
        keyword = _to_keyword(arrival, number, asked.what)
    return Prepared(ours, keyword, asked)


def only_start(number: Number) -> Rendered:
    """Return what somebody is told whom only the word START brings back."""
    return Rendered(_built_in(number, ONLY_START))


def attributes(arrival: Arrival) -> dict[str, str]:
    """Return what a reply's template knows: Twilio's parameters by their own names."""
    return {
        **arrival.parameters,
        "From": arrival.from_,
        "To": arrival.to,
        "Body": arrival.body,
    }


def answer(context: TextContext, _route: RouteFacts) -> Answer:
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
        why = allowance.sentence(arrival.from_, most)
        return Answer(messaging.empty(), Outcome.NOT_REPLIED, error=why)
    if past.recent_replies >= MAX_REPLIES:
        return _loop_stopped(arrival, number)
    if rendered.problem is not None:
        return _not_rendered(number, rendered)
    message_id = new_id()
    twiml = messaging.reply(rendered.text, rendered.media, status_url(message_id))
    made = Reply(
        message_id, rendered.text, measure(rendered.text).segments, rendered.media,
        rendered.version_id,
    )  # fmt: skip
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

    :param suppressed: the person has opted out: the phone is on the number's suppression list.
    :param asked: see :func:`reply`.
    """
    phone, standing = arrival.from_, number.standing
    silence = reach.silence(standing) if asked is not OptOut.STOP else None
    found = silence or reach.why_not(
        standing,
        phone,
        Destination.SMS,
        ours=(phone,) if number.from_is_ours else (),
        listed=OPTED_OUT_LISTED if suppressed and asked not in (OptOut.STOP, OptOut.HELP) else None,
    )
    return found.sentence if found else None


def failure(reason: str) -> Answer:
    """Answer nothing, and tell staff why."""
    return Answer(messaging.empty(), Outcome.FAILED, error=reason, flagged=True)


def status_url(message_id: str) -> str:
    """Return where Twilio reports what became of a text of ours."""
    return f"{current_settings().public_base_url}/inbound/sms/status/{message_id}"


def _render(arrival: Arrival, number: Number, template: Rendered) -> Rendered:
    """Return ``template``, whose text is its source, filled in for whoever sent the text."""
    source, known = template.text, attributes(arrival)
    try:
        if templates.placeholders(source) <= known.keys():
            text = templates.render(source, known)
        else:
            text = templates.render(source, {**_about(arrival.from_, number), **known})
    except templates.TemplateProblem as problem:
        return _unrendered(template, problem.message)
    text = clean(text)
    if not text.strip() and not template.media:
        return _unrendered(template, "It renders to an empty text, so there is nothing to reply.")
    if not messaging.fits(text):
        return _unrendered(
            template,
            f"It renders to more than {MAX_BODY:,} characters, which Twilio does not"
            " send. Make it shorter.",
        )
    return Rendered(
        text, template.media, template.template_id, template.template_name, template.version_id
    )


def _unrendered(template: Rendered, problem: str) -> Rendered:
    return Rendered(
        "", (), template.template_id, template.template_name, template.version_id, problem
    )


def _about(phone: str, number: Number) -> dict[str, Any]:
    """Return what is known of whoever has a phone: of the last contact, else of the only person
    of the client's lists who has it."""
    session, client_id = db.session(), number.client.id
    contact = contacts.find(session, client_id, phone, number)
    listed = members.only_person(session, client_id, phone) or {}
    return {**listed, **((contact.member if contact else None) or {})}


def _to_keyword(arrival: Arrival, number: Number, asked: OptOut) -> Rendered:
    """Return the client's own words for a keyword, filled in, or the built-in ones."""
    name = asked.value.lower()
    own = (
        db.session()
        .execute(
            select(Template.id, TemplateVersion.id, TemplateVersion.body, TemplateVersion.media)
            .join(Template, Template.id == TemplateVersion.template_id)
            .where(
                Template.client_id == number.client.id,
                Template.name == name,
                Template.kind.in_((TemplateKind.REPLY, TemplateKind.SMS)),
                TemplateVersion.number == Template.current_version,
            )
        )
        .first()
    )
    if own is None:
        return Rendered(_built_in(number, KEYWORD_ANSWERS[asked]))
    template_id, version_id, body, media = own
    return _render(arrival, number, Rendered(body, tuple(media), template_id, name, version_id))


def _built_in(number: Number, words: str) -> str:
    client = number.client
    return clean(words.format(name=client.name, owner=client.owner_email))
