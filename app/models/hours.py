"""Office hours of a client, by name: which route a text or call takes depends on them."""

from __future__ import annotations

from datetime import date

from sqlalchemy import JSON, Date, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import Created, Identified, Owned


class Hours(Identified, Owned, Created, Base):
    """When somebody is there, in the client's time zone. Spans are written ``08:00-12:00``."""

    __tablename__ = "hours"
    __table_args__ = (UniqueConstraint("client_id", "name"),)

    name: Mapped[str] = mapped_column(String(100))
    week: Mapped[dict[str, list[str]]] = mapped_column(JSON, default=dict)
    """Spans by weekday, ``mon`` to ``sun``; a day left out is closed."""
    dates: Mapped[dict[str, list[str]]] = mapped_column(JSON, default=dict)
    """Spans by date (ISO 8601) in place of the weekday's; none is a holiday."""
    calendar: Mapped[str | None] = mapped_column(Text, deferred=True)
    """An iCalendar file whose all-day events are holidays, as it was given."""
    holidays: Mapped[list[str]] = mapped_column(JSON, default=list)
    """The dates of those events, until ``holidays_until``."""
    holidays_until: Mapped[date | None] = mapped_column(Date)
    """Up to where the calendar has been read; later dates are read in time."""
