"""What the templates of replies make for one text, before its transaction opens.

Filling in a template takes time that its author decides. Nobody waits for that: it is done while
nothing is locked, and what it made is carried into the transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.domain.audience import contacts, populations
from app.domain.content import budget, templates
from app.extensions import db
from app.inbound import keywords
from app.inbound.handlers import Prepared, Rendered
from app.inbound.lookup import Number
from app.inbound.parsing import Arrival
from app.models.incoming import OptOut
from app.models.route import Handler
from app.models.template import Template, TemplateKind, TemplateVersion
from app.twiml import messaging
from app.twiml.text import clean

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
    asked = keywords.read(arrival, number.client)
    route = number.route
    with budget.shared():
        ours = None
        if route and route.handler is Handler.AUTO_REPLY and route.template_body is not None:
            ours = _render(
                arrival,
                number,
                Rendered(
                    route.template_body, tuple(route.template_media), route.template_id,
                    route.template_name, route.template_version_id,
                ),
            )  # fmt: skip
        keyword = None
        short_code = number.is_short_code and not arrival.opt_out_type
        if asked and (short_code or not asked.exact):
            keyword = _to_keyword(arrival, number, asked.what)
    return Prepared(ours, keyword)


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


def _render(arrival: Arrival, number: Number, template: Rendered) -> Rendered:
    """Return ``template``, whose text is its source, filled in for whoever sent the text."""
    source, known = template.text, attributes(arrival)
    try:
        if templates.placeholders(source) <= known.keys():
            text = templates.render(source, known)
        else:
            text = templates.render(source, {**_about(arrival.from_, number), **known})
    except templates.TemplateProblem as problem:
        return _failed(template, problem.message)
    text = clean(text)
    if not text.strip() and not template.media:
        return _failed(template, "It renders to an empty text, so there is nothing to reply.")
    if not messaging.fits(text):
        return _failed(
            template,
            f"It renders to more than {messaging.MAX_BODY:,} characters, which Twilio does not"
            " send. Make it shorter.",
        )
    return Rendered(
        text, template.media, template.template_id, template.template_name, template.version_id
    )


def _failed(template: Rendered, problem: str) -> Rendered:
    return Rendered(
        "", (), template.template_id, template.template_name, template.version_id, problem
    )


def _about(phone: str, number: Number) -> dict[str, Any]:
    """Return what is known of whoever has a phone: of the last contact, else of the only person
    of the client's lists who has it."""
    session, client_id = db.session(), number.client.id
    contact = contacts.find(session, client_id, phone, number)
    listed = populations.only_person(session, client_id, phone) or {}
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
