"""Files that people upload: kept for a day, looked at, and only then taken in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.audience import PHONE_KEY_LENGTH
from app.models.base import ID_LENGTH, BigId, Created, Identified, Owned, UtcDateTime

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

    upload_id: Mapped[str] = mapped_column(ForeignKey("upload.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class StagedMember(Base):
    """Somebody of a file on the way into a population, whom nobody sees there yet.

    A new member, a member (``member_id``) with other attributes, or one without any who goes.
    """

    __tablename__ = "staged_member"

    run: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    """A ULID: one try to take a file in; its time tells when that was begun."""
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    member_id: Mapped[int | None] = mapped_column(BigId)
    attributes: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    phone_key: Mapped[str | None] = mapped_column(String(PHONE_KEY_LENGTH))
