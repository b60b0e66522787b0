"""Populations: named lists of people, each with whatever attributes the client knows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, Index, String, UniqueConstraint, event, select
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import ID_LENGTH, BigId, Created, Identified, Owned, UtcDateTime, new_id


class Population(Identified, Owned, Created, Base):
    """A named list of members."""

    __tablename__ = "population"
    __table_args__ = (UniqueConstraint("client_id", "name"),)

    name: Mapped[str] = mapped_column(String(100))
    columns: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    """The attribute that each column of the last file became, by the column's name."""
    revision: Mapped[int] = mapped_column(default=0, server_default="0")
    """Moves with every change of its members."""
    roll: Mapped[str] = mapped_column(String(ID_LENGTH), unique=True)
    """Which members are its people now (`Member.roll`): a large file is written to a roll of its
    own, some at a time, which then takes the place of the one before in one moment."""
    reserved_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Until then a file is being put in place that others' changes got in the way of before."""


@event.listens_for(Population, "before_insert")
def _begin_with_its_own(_mapper: object, _connection: object, made: Population) -> None:
    """Name the first roll like the population."""
    made.id = made.id or new_id()
    made.roll = made.roll or made.id


PHONE_KEY_LENGTH = 20


def phone_key(phone: object) -> str | None:
    """Return the digits by which a phone is found, however it is written; None without any.

    Ten digits without a plus sign are a number of +1. That two phones have one key does not make
    them the same: who looks people up by it compares what they find.
    """
    if not isinstance(phone, str):
        return None
    digits = "".join(one for one in phone[:64] if one in "0123456789")
    if not phone.lstrip().startswith("+") and len(digits) == 10:
        digits = f"1{digits}"
    if digits.startswith("549") and len(digits) == 13:  # Argentina's 9 is left out as often
        digits = f"54{digits[3:]}"
    return digits[:PHONE_KEY_LENGTH] or None


def _phone_key(context: DefaultExecutionContext) -> str | None:
    attributes = context.get_current_parameters()["attributes"]  # type: ignore[no-untyped-call]
    return phone_key(attributes.get("toPhone"))


class Member(Base):
    """A person: ``toName``, ``toPhone``, ``toAddress`` and any other attributes: any JSON.

    Only those are people of a population whose roll is the population's. Others are on their way
    there, or on their way out (`app.models.chore`).
    """

    __tablename__ = "member"
    __table_args__ = (Index(None, "roll", "id"), Index(None, "phone_key"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    roll: Mapped[str] = mapped_column(String(ID_LENGTH))
    """`Population.roll`."""
    attributes: Mapped[dict[str, Any]] = mapped_column(JSON)
    phone_key: Mapped[str | None] = mapped_column(
        String(PHONE_KEY_LENGTH), default=_phone_key, onupdate=_phone_key
    )
    """Follows ``attributes``; see :func:`phone_key`."""


def people_of(population_id: str | None) -> ColumnElement[bool]:
    """Return the condition that a member is one of a population's people now."""
    roll = select(Population.roll).where(Population.id == population_id)
    return Member.roll == roll.scalar_subquery()
