"""Populations: named lists of people, each with whatever attributes the client knows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import BigId, Created, Identified, Owned


class Population(Identified, Owned, Created, Base):
    """A named list of members."""

    __tablename__ = "population"
    __table_args__ = (UniqueConstraint("client_id", "name"),)

    name: Mapped[str] = mapped_column(String(100))


class Member(Base):
    """A person: ``toName``, ``toPhone``, ``toAddress`` and any other attributes: any JSON."""

    __tablename__ = "member"
    __table_args__ = (Index(None, "population_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    population_id: Mapped[str] = mapped_column(ForeignKey("population.id"))
    attributes: Mapped[dict[str, Any]] = mapped_column(JSON)
