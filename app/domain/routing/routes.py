"""What a number, or a messaging service, does with incoming texts and calls.

Every rule about routes is here; the configuration file, the API and the staff pages share it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session, aliased

from app.domain import keywords, named, reach, urls
from app.domain.mistakes import Reasons
from app.domain.routing.route_specs import (
    AutoReply,
    CallForward,
    ForwardToEmail,
    ForwardToWebhook,
    HandleYourself,
    PlayMessage,
    RouteSpec,
    parse,
    shape,
)
from app.domain.routing.route_words import describe, sentence
from app.models.audience import Member, Population
from app.models.base import utcnow
from app.models.client import Client
from app.models.credential import Credential
from app.models.media import Recording
from app.models.route import Channel, Handler, KeywordRule, Route
from app.models.sender import Sender, SenderKind
from app.models.template import TemplateKind

__all__ = [
    "RouteSpec", "check",
    "clear_route", "conflict", "describe", "find_route", "parse", "save_route",
    "sentence", "shape",
]  # fmt: skip


def find_route(session: Session, sender: Sender, channel: Channel) -> Route | None:
    """Return the route of ``sender`` for ``channel``, or None where nothing was chosen."""
    return session.scalar(select(Route).filter_by(sender_id=sender.id, channel=channel))


def save_route(
    session: Session, sender: Sender, channel: Channel, spec: RouteSpec, by: str
) -> Route:
    """Let ``sender`` do what ``spec`` says with incoming texts or calls.

    A route that says the same already is left as it is.

    :param spec: from :func:`parse`.
    :param by: the person's e-mail address, or ``flask apply``.
    :raises Refused: with every reason at once; nothing is changed then.
    """
    columns = _resolve(session, sender, channel, spec)
    route = find_route(session, sender, channel)
    if route is not None and describe(route) == shape(spec):
        return route
    keywords = columns.pop("keywords", [])
    if route is None:
        route = Route(client_id=sender.client_id, sender_id=sender.id, channel=channel)
        session.add(route)
    elif route.keywords:
        route.keywords.clear()
        session.flush()  # the old rules go before new ones of the same words come
    for name in ("template_id", "population_id", "endpoint_id", "recording_id", "url"):
        setattr(route, name, columns.get(name))
    route.handler = Handler(spec.handler)
    route.options = columns.get("options", {})
    route.keywords.extend(keywords)
    route.updated_by, route.updated_at = by, utcnow()
    session.flush()
    return route


def check(session: Session, sender: Sender, channel: Channel, spec: RouteSpec) -> None:
    """Look whether the route could be saved, without saving it.

    :raises Refused: with every reason at once.
    """
    _resolve(session, sender, channel, spec)


def clear_route(session: Session, sender: Sender, channel: Channel) -> bool:
    """Take the route away, so that a neutral answer is given; return whether there was one."""
    route = find_route(session, sender, channel)
    if route is None:
        return False
    session.delete(route)
    session.flush()
    return True


def conflict(session: Session, sender: Sender) -> str | None:
    """Return why the sender's suppression list and its route for texts exclude each other.

    A text to a number inside a messaging service is the service's to handle, so the two are
    looked at together. To be asked within the transaction that chooses a list or lets a number
    join a service, once that is done: whoever saves the other one meanwhile is waited for.
    """
    _take_turns(session, sender)
    both = _answers_itself(session, sender) and _has_list(session, sender)
    return _EXCLUSIVE if both else None


_CIRCLE = (
    "This is Dispatch's own address: it would ask itself for ever. Give the address of your own"
    " system that answers with TwiML."
)
_EXCLUSIVE = (
    "A suppression list cannot be combined with “handle yourself”: texts would go to your own"
    " address, and Dispatch would not see when somebody answers STOP."
)


def _resolve(session: Session, sender: Sender, channel: Channel, spec: RouteSpec) -> dict[str, Any]:
    """Return the columns of the route, having checked everything about it."""
    reasons = Reasons()
    if refusal := _sender_refusal(sender, channel):
        reasons.add(refusal)
    columns = _columns(session, sender, channel, spec, reasons)
    reasons.settle()
    return columns


def _columns(
    session: Session, sender: Sender, channel: Channel, spec: RouteSpec, reasons: Reasons
) -> dict[str, Any]:
    match spec:
        case AutoReply():
            return _auto_reply(session, sender, spec, reasons)
        case ForwardToEmail():
            return _forward_to_email(session, sender, spec, reasons)
        case ForwardToWebhook():
            endpoint = reasons.get(
                named.endpoint, session, sender.client_id, spec.endpoint, "endpoint"
            )
            return {"endpoint_id": endpoint.id if endpoint else None}
        case HandleYourself():
            return _handle_yourself(session, sender, channel, spec, reasons)
        case PlayMessage():
            return _play_message(session, sender, spec, reasons)
        case CallForward():
            if refusal := _forward_refusal(session, sender, spec.to):
                reasons.add(refusal, "to")
            return {"options": spec.model_dump(exclude={"handler"}, exclude_none=True)}


def _sender_refusal(sender: Sender, channel: Channel) -> str | None:
    if sender.kind is SenderKind.VERIFIED:
        return (
            f"{sender.address} is owned by the institution and only verified with Twilio: it can"
            " place calls, but texts and calls to it never reach Dispatch."
        )
    if channel is Channel.VOICE and not sender.is_number:
        return "A messaging service takes no calls; set the route for calls on its numbers."
    if channel is Channel.VOICE and sender.is_short_code:
        return f"{sender.address} is a short code, which takes no calls."
    return None


def _auto_reply(
    session: Session, sender: Sender, spec: AutoReply, reasons: Reasons
) -> dict[str, Any]:
    reply, client = TemplateKind.REPLY, sender.client_id
    template = reasons.get(named.template, session, client, spec.template, reply, "template")
    rules = []
    owner = session.get_one(Client, client)
    vocabulary = keywords.Vocabulary.of(owner.languages, owner.opt_words)
    for index, rule in enumerate(spec.keywords):
        if vocabulary.read(rule.match) and rule.match != keywords.YES:
            reasons.add(_TAKEN.format(rule.match), "keywords", index, "match")
        answer = reasons.get(
            named.template, session, client, rule.template, reply, "keywords", index, "template"
        )
        if answer is not None:
            rules.append(KeywordRule(match=rule.match, position=index, template_id=answer.id))
    return {"template_id": template.id if template else None, "keywords": rules}


_TAKEN = (
    "“{}” is a word by which people opt out or in or ask for help in the languages of this client;"
    " it is handled before any rule and cannot have one."
)


def _forward_to_email(
    session: Session, sender: Sender, spec: ForwardToEmail, reasons: Reasons
) -> dict[str, Any]:
    population = reasons.get(
        named.require, session, Population, sender.client_id, spec.population, "population"
    )
    if population is None:
        return {}
    address = Member.attributes["toAddress"].as_string()
    somebody = select(Member.id).where(Member.population_id == population.id, address.contains("@"))
    if session.scalar(somebody.limit(1)) is None:
        reasons.add(
            f"Nobody in the population “{population.name}” has an e-mail address (toAddress).",
            "population",
        )
    return {"population_id": population.id}


def _handle_yourself(
    session: Session, sender: Sender, channel: Channel, spec: HandleYourself, reasons: Reasons
) -> dict[str, Any]:
    if urls.points_here(spec.url):
        reasons.add(_CIRCLE, "url")
    if channel is Channel.SMS:
        _take_turns(session, sender)
        if _has_list(session, sender):
            reasons.add(_EXCLUSIVE, "handler")
    return {"url": spec.url}


def _play_message(
    session: Session, sender: Sender, spec: PlayMessage, reasons: Reasons
) -> dict[str, Any]:
    options = spec.model_dump(exclude={"handler", "recording"}, exclude_none=True)
    if spec.recording is None:
        return {"options": options}
    recording = reasons.get(
        named.require, session, Recording, sender.client_id, spec.recording, "recording"
    )
    return {"options": options, "recording_id": recording.id if recording else None}


def _forward_refusal(session: Session, sender: Sender, to: str) -> str | None:
    standing = reach.standing(
        session.get_one(Client, sender.client_id),
        sender,
        session.get_one(Credential, sender.credential_id),
    )
    refusal = reach.why_not(standing, to, Channel.VOICE, reach.own_numbers(session, [to]))
    return refusal.sentence if refusal else None


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
        Route.channel == Channel.SMS,
        Route.handler == Handler.HANDLE_YOURSELF,
    )
    return session.scalar(own.limit(1)) is not None


def _family(sender: Sender) -> ColumnElement[bool]:
    """Match a number and its messaging service, or a messaging service and its numbers."""
    service = aliased(Sender)
    its_service = select(service.service_id).where(service.id == sender.id).scalar_subquery()
    return or_(Sender.id == sender.id, Sender.id == its_service, Sender.service_id == sender.id)
