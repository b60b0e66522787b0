"""Rotas of a client, by name: whose phone rings depends on who is on duty."""

from __future__ import annotations

from datetime import date

from sqlalchemy import JSON, Date, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import Created, Identified, Owned


class Rota(Identified, Owned, Created, Base):
    """Who is on duty when, in the client's time zone; several weeks take turns."""

    __tablename__ = "rota"
    __table_args__ = (UniqueConstraint("client_id", "name"),)

    name: Mapped[str] = mapped_column(String(100))
    people: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    """``{"name", "phone"}`` of each; the phone in E.164."""
    weeks: Mapped[list[dict[str, list[str]]]] = mapped_column(JSON)
    """Of each week the turns by weekday, ``mon`` to ``sun``: ``08:00-17:00 Pat``."""
    begins: Mapped[date | None] = mapped_column(Date)
    """A day of a week that is the first of several; None where nobody has said."""
