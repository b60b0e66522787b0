"""Populations: named lists of people, each with whatever attributes the client knows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import BigId, Created, Identified, Owned


class Population(Identified, Owned, Created, Base):
    """A named list of members."""

    __tablename__ = "population"
    __table_args__ = (UniqueConstraint("client_id", "name"),)

    name: Mapped[str] = mapped_column(String(100))
    columns: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    """The attribute that each column of the last file became, by the column's name."""
    revision: Mapped[int] = mapped_column(default=0, server_default="0")
    """Moves with every change of its members."""


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
    """A person: ``toName``, ``toPhone``, ``toAddress`` and any other attributes: any JSON."""

    __tablename__ = "member"
    __table_args__ = (Index(None, "population_id", "id"), Index(None, "phone_key"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    population_id: Mapped[str] = mapped_column(ForeignKey("population.id"))
    attributes: Mapped[dict[str, Any]] = mapped_column(JSON)
    phone_key: Mapped[str | None] = mapped_column(
        String(PHONE_KEY_LENGTH), default=_phone_key, onupdate=_phone_key
    )
    """Follows ``attributes``; see :func:`phone_key`."""
