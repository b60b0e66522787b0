"""One search over people, phones, words and lists; each part looks a bounded way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, aliased

from app.domain.attributes import ADDRESS, NAME
from app.domain.conversations import mass, saying
from app.domain.conversations.mass import Told
from app.domain.conversations.saying import LOOK, MOST, Saying
from app.models.audience import Member, Population, phone_key
from app.models.client import Client
from app.models.conversation import Conversation
from app.models.template import Template

Named = TypeVar("Named", Population, Template)
SHORTEST = 2
FEWEST_DIGITS = 4


@dataclass(frozen=True)
class Person:
    """Somebody of a list."""

    population: Population
    member: Member

    @property
    def name(self) -> str:
        """Return what they are called, as far as that is known."""
        return str(self.member.attributes.get(NAME) or "").strip()

    @property
    def phone(self) -> str | None:
        """Return their phone as their list has it."""
        phone = self.member.attributes.get("toPhone")
        return phone if isinstance(phone, str) else None


@dataclass(frozen=True)
class Found:
    """What fits."""

    people: Sequence[Person] = ()
    conversations: Sequence[Conversation] = ()
    words: Sequence[Saying] = ()
    batches: Sequence[Told] = ()
    populations: Sequence[Population] = ()
    templates: Sequence[Template] = ()

    def __bool__(self) -> bool:
        return any(vars(self).values())


def search(session: Session, client: Client, wanted: str) -> Found:
    """Return what of a client fits ``wanted``: a name, a phone or a part of one, or words."""
    if len(wanted) < SHORTEST:
        return Found()
    digits = "".join(filter(str.isdecimal, wanted))
    is_phone = len(digits) >= FEWEST_DIGITS and not any(map(str.isalpha, wanted))
    return Found(
        people=_people(session, client, wanted, digits if is_phone else ""),
        conversations=_conversations(session, client, digits) if is_phone else (),
        words=() if is_phone else saying.find(session, client, wanted),
        batches=(
            mass.to_phone(session, client, digits)
            if is_phone
            else mass.find(session, client, wanted)
        ),
        populations=_named(session, Population, client, wanted),
        templates=_named(session, Template, client, wanted),
    )


def _people(session: Session, client: Client, wanted: str, digits: str) -> list[Person]:
    lists = select(Population.roll).where(Population.client_id == client.id)
    rows = select(Member)
    if digits:
        keys = {digits, phone_key(digits) or digits}
        rows = rows.where(Member.phone_key.in_(keys), Member.roll.in_(lists))
    else:
        newest = (
            select(Member)
            .where(Member.roll.in_(lists))
            .order_by(Member.id.desc())
            .limit(LOOK)
            .subquery()
        )
        some = aliased(Member, newest)
        names = (some.attributes[name].as_string() for name in (NAME, ADDRESS))
        rows = select(some).where(or_(*(one.icontains(wanted, autoescape=True) for one in names)))
    members = session.scalars(rows.limit(MOST)).all()
    wanted_lists = {one.roll for one in members}
    found = session.scalars(select(Population).where(Population.roll.in_(wanted_lists)))
    populations = {one.roll: one for one in found}
    return [Person(populations[one.roll], one) for one in members]


def _conversations(session: Session, client: Client, digits: str) -> Sequence[Conversation]:
    return session.scalars(
        select(Conversation)
        .where(
            Conversation.client_id == client.id,
            Conversation.phone.contains(digits, autoescape=True),
        )
        .order_by(Conversation.last_at.desc())
        .limit(MOST)
    ).all()


def _named(session: Session, model: type[Named], client: Client, wanted: str) -> Sequence[Named]:
    return session.scalars(
        select(model)
        .where(model.client_id == client.id, model.name.icontains(wanted, autoescape=True))
        .order_by(model.name)
        .limit(MOST)
    ).all()
