"""What a text means by itself: a reaction to one of ours, a word that asks for something, or none.

Twilio acts on its own words itself and calls us all the same ("Twilio support for opt-out
keywords"); we keep the client's list in step. On a word that is not exactly Twilio's (`Stop.`,
`PARAR`) nobody acts but us: the entry is binding, and the answer is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.domain import reactions
from app.domain.audience import in_force, suppression
from app.domain.keywords import YES, Asked, Vocabulary
from app.inbound.number import ClientFacts, Number
from app.inbound.parsing import Arrival
from app.models.incoming import Incoming, OptOut
from app.models.message import Message
from app.models.sender import Sender
from app.models.suppression import SuppressionSource

_RECENT = 100
"""How many of our latest texts to a phone a quotation is looked for in."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a text asked for by a keyword, and what came of it."""

    what: OptOut
    exact: bool
    """Twilio has acted and answered already."""
    changed: bool = False
    """The suppression list is another than before."""
    blocked: bool = False
    """Twilio goes on blocking the phone, whatever we do: only its own START ends that."""
    unkept: str | None = None
    """Why a STOP cannot be kept anywhere, though nobody else enforces it: a sentence."""


Reaction = dict[str, object]
"""``{"kind", "removed", "messageId"}``, as we store and tell it."""


def of(
    session: Session, arrival: Arrival, number: Number, asked: Asked | None
) -> tuple[Reaction | None, Wish | None]:
    """Return the reaction that a text is; else what it asks for, the suppression list in step.

    :param asked: what the text asks for by itself, as :func:`read` has found.
    """
    if reaction := _reaction(session, arrival, number):
        return reaction, None
    return None, _act(session, arrival, number, asked) if asked else None


def _act(session: Session, arrival: Arrival, number: Number, asked: Asked) -> Wish | None:
    """Keep the suppression list in step with the text; return what it asked for.

    A YES that lifts nothing is an ordinary message: somebody answered a question.
    """
    wish = Wish(asked.what, asked.exact)
    if asked.what is OptOut.STOP:
        changed = _suppress(session, arrival, number, binding=not wish.exact)
        return replace(wish, changed=changed, unkept=_unkept(wish, number))
    if asked.what is OptOut.START:
        wish = _lift(session, arrival, number, wish)
        if asked.word == YES and not (wish.changed or wish.blocked):
            return None
    return wish


def _unkept(stop: Wish, number: Number) -> str | None:
    if stop.exact and number.is_short_code and not number.suppression_list_id:
        return (
            "This short code has no suppression list, and Twilio does not enforce STOP for short"
            " codes. Choose a list for it and add this phone."
        )
    return None


def read(arrival: Arrival, client: ClientFacts) -> Asked | None:
    """Return what the text asks for by itself: Twilio's ``OptOutType`` wins over the words."""
    if arrival.opt_out_type:
        return Asked(arrival.opt_out_type, True, "")
    return _vocabulary(client.languages, client.opt_words).read(arrival.body)


@lru_cache(maxsize=1000)
def _vocabulary(
    languages: tuple[str, ...], own: tuple[tuple[str, tuple[str, ...]], ...]
) -> Vocabulary:
    return Vocabulary.of(languages, dict(own))


def _suppress(session: Session, arrival: Arrival, number: Number, *, binding: bool) -> bool:
    list_id = number.suppression_list_id
    if list_id is None and binding:
        list_id = suppression.list_for_opt_outs(session, number.client.id)
    if list_id is None or _asked_since(session, arrival, number, OptOut.START):
        return False
    return suppression.suppress(
        session,
        list_id,
        arrival.from_,
        scope=number.scope,
        source=SuppressionSource.KEYWORD,
        at=_said_at(session, arrival, number),
        binding=binding,
    )


def _lift(session: Session, arrival: Arrival, number: Number, wish: Wish) -> Wish:
    """Lift what this START may: an inexact one, only what Twilio does not block as well."""
    if _asked_since(session, arrival, number, OptOut.STOP):
        return wish
    scopes = in_force.scopes_of(number.id, number.service_id)
    list_id, phone = number.suppression_list_id, arrival.from_
    at = _said_at(session, arrival, number)
    lifted = suppression.opt_in(session, list_id, phone, scopes=scopes, at=at, exact=wish.exact)
    blocked = not wish.exact and suppression.is_blocked_by_twilio(session, list_id, phone, scopes)
    return replace(wish, changed=lifted > 0, blocked=blocked)


def _said_at(session: Session, arrival: Arrival, number: Number) -> datetime:
    """Return the time by which a word counts: never before one that came earlier.

    Words that come as they are said go in the order in which they come, whatever the clocks of then
    and now say. Twilio's times tell only those apart that we hear of late.
    """
    if arrival.recovered:
        return arrival.received_at
    last = suppression.last_change(session, number.client.id, arrival.from_)
    return arrival.received_at if last is None else max(arrival.received_at, last)


def _asked_since(session: Session, arrival: Arrival, number: Number, what: OptOut) -> bool:
    """Tell whether the person has asked for ``what`` after this text, which we hear of late."""
    if not arrival.recovered:
        return False
    later = select(Incoming.opt_out, Incoming.body).where(
        Incoming.sender_id == number.id,
        Incoming.client_id == number.client.id,
        Incoming.from_ == arrival.from_,
        Incoming.received_at > arrival.received_at,
    )
    vocabulary = _vocabulary(number.client.languages, number.client.opt_words)
    for opt_out, body in session.execute(later):
        read = None if opt_out else vocabulary.read(body or "")
        if what in (opt_out, read and read.what):
            return True
    return False


def _reaction(session: Session, arrival: Arrival, number: Number) -> Reaction | None:
    """Return the reaction that an incoming text is, as we store and tell it, or None.

    ``{"kind", "removed", "messageId"}``: the message is the newest of our texts to that phone, from
    the number or its service, that the phone quotes; null where it quotes none.
    """
    reaction = reactions.parse(arrival.body) if not arrival.media else None
    if reaction is None:
        return None
    found = _quoted(session, arrival, number, reaction.quotes) if reaction.quotes else None
    return {"kind": reaction.kind, "removed": reaction.removed, "messageId": found}


def _quoted(session: Session, arrival: Arrival, number: Number, quotes: str) -> str | None:
    senders = select(Sender.id).where(
        or_(
            Sender.id.in_([number.id, number.service_id]),
            Sender.service_id == number.service_id,
        )
        if number.service_id
        else Sender.id == number.id
    )
    sent = session.execute(
        select(Message.id, Message.body)
        .where(
            Message.client_id == number.client.id,
            Message.to == arrival.from_,
            Message.sender_id.in_(senders),
            Message.body.is_not(None),
        )
        .order_by(Message.created_at.desc())
        .limit(_RECENT)
    )
    return next((id_ for id_, body in sent if reactions.is_about(quotes, body or "")), None)
