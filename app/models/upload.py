"""Files that people upload: kept for a day, looked at, and only then taken in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import ID_LENGTH, Created, Identified, Owned, UtcDateTime

FILENAME_LENGTH = 200


class Upload(Identified, Owned, Created, Base):
    """A file with the people of a population, as it was uploaded."""

    __tablename__ = "upload"

    population_id: Mapped[str] = mapped_column(ForeignKey("population.id"), index=True)
    filename: Mapped[str] = mapped_column(String(FILENAME_LENGTH))
    size: Mapped[int]
    """Bytes."""
    choices: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """How it is to be read; see :class:`app.domain.audience.uploads.Wanted`."""
    saved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When its people were taken in; a file is taken in once."""
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What became of them, by :class:`app.domain.audience.arrivals.TakenIn`, and ``left_out``."""


class UploadPart(Base):
    """A piece of an uploaded file."""

    __tablename__ = "upload_part"

    upload_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    """The file; no foreign key: what is left of one that is deleted goes after it."""
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(LargeBinary)
