"""Templates: text with placeholders, kept in versions."""

from __future__ import annotations

import enum

from sqlalchemy import JSON, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Base
from app.models.base import ID_LENGTH, Created, Identified, Owned, choice


class TemplateKind(enum.StrEnum):
    """A canned reply, a text to be sent, or the TwiML of a call."""

    REPLY = "reply"
    SMS = "sms"
    VOICE = "voice"


class Template(Identified, Owned, Created, Base):
    """A named text; what it says is its current version."""

    __tablename__ = "template"
    __table_args__ = (UniqueConstraint("client_id", "name"),)

    name: Mapped[str] = mapped_column(String(100))
    kind: Mapped[TemplateKind] = mapped_column(choice(TemplateKind))
    current_version: Mapped[int] = mapped_column(default=1)
    """The number of the version in use; written in the same transaction as that version."""

    versions: Mapped[list[TemplateVersion]] = relationship(
        order_by="TemplateVersion.number", lazy="raise_on_sql", cascade="all, delete-orphan"
    )


class TemplateVersion(Identified, Created, Base):
    """One state of a template, never changed afterwards: batches and messages point to it."""

    __tablename__ = "template_version"
    __table_args__ = (UniqueConstraint("template_id", "number"),)

    template_id: Mapped[str] = mapped_column(ForeignKey("template.id"))
    number: Mapped[int]
    body: Mapped[str] = mapped_column(Text)
    media: Mapped[list[str]] = mapped_column(JSON, default=list)
    """URLs of pictures and the like, at most ten."""
    created_by: Mapped[str] = mapped_column(String(254))
    """The person's e-mail address, or ``flask apply``."""


class TemplateDraft(Created, Base):
    """What a template is to say once somebody puts it into use; nothing uses it before."""

    __tablename__ = "template_draft"

    template_id: Mapped[str] = mapped_column(ForeignKey("template.id"), primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    media: Mapped[list[str]] = mapped_column(JSON, default=list)
    based_on: Mapped[int]
    """The number of the version in use when it was written."""
    created_by: Mapped[str] = mapped_column(String(254))
    mark: Mapped[str] = mapped_column(String(ID_LENGTH))
    """Another one with each change: so nobody puts into use what they have not seen."""
