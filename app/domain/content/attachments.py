"""The media of outgoing texts: files that people upload, and links, checked as Twilio checks them.

What we keep ourselves is known exactly. What is served elsewhere is known when somebody has looked
at it (:mod:`app.outbound.send.media_links`); a link that nobody could look at is left to Twilio.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePath

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from app.domain import urls
from app.domain.content.file_types import accepted as accepted
from app.domain.content.file_types import type_of
from app.domain.mistakes import Mistake, Refused
from app.models.base import utcnow
from app.models.client import Client
from app.models.delivery import OPEN_STATES, Delivery
from app.models.media import Media, MediaSource

MAX_FILES = 10
"""Most media of one message (Twilio error 21623)."""
MAX_TOTAL = 5 * 1024 * 1024
"""Bytes of all media of a message together (Twilio error 11751)."""
ADVISED = 500 * 1024
"""Bytes of a file beyond which carriers may refuse it (Twilio error 30019). Twilio makes larger
JPEG, PNG and GIF files smaller for the phone, and no others."""
_RESIZED = frozenset({"image/jpeg", "image/jpg", "image/png", "image/gif"})
KINDS = "JPEG, PNG, GIF, MP4, MP3, PDF or vCard"
"""Of what Twilio accepts (“Accepted content types for media”), what people have."""


@dataclass(frozen=True)
class Look:
    """What a look at a link found: the file's type and bytes, as far as its server says so."""

    content_type: str | None = None
    size: int | None = None
    wrong: str | None = None
    """Why Twilio cannot use it, in a sentence."""
    doubt: str | None = None
    """Why nothing is known about it, in a sentence."""


@dataclass
class Findings:
    """What is wrong with the media of a message, and what to think about."""

    mistakes: list[Mistake] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)


def keep(session: Session, client: Client, filename: str, content: bytes) -> Media:
    """Keep a file that texts may show, until retention unless a template comes to show it.

    :raises Refused: when it is empty, too large, or of no kind that Twilio takes.
    """
    shown = PurePath(filename).name[-100:] or "The file"
    kind = type_of(filename, content)
    if not content:
        raise Refused.because(f"“{shown}” is empty.", "file", code="empty")
    if len(content) > MAX_TOTAL:
        raise Refused.because(
            f"“{shown}” has {_megabytes(len(content))}; all media of a text together can have"
            f" {_megabytes(MAX_TOTAL)}.", "file", code="too_large",
        )  # fmt: skip
    if kind is None:
        raise Refused.because(
            f"“{shown}” is of no kind that Twilio takes. Save it as {KINDS}.",
            "file", code="bad_type",
        )  # fmt: skip
    media = Media(
        client_id=client.id,
        source=MediaSource.STORED,
        content_type=kind,
        filename=shown,
        size=len(content),
        content=content,
        expires_at=utcnow() + timedelta(days=client.retention_days),
    )
    session.add(media)
    session.flush()
    return media


def pin(session: Session, client_id: str, media: Sequence[str]) -> None:
    """Keep the files of ours among ``media`` for as long as the template that shows them."""
    codes = [code for url in media if (code := urls.media_code(url)) is not None]
    session.execute(
        update(Media)
        .where(
            Media.code.in_(codes),
            Media.client_id == client_id,
            Media.incoming_id.is_(None),
            Media.expires_at > utcnow(),
        )
        .values(expires_at=None)
        .execution_options(synchronize_session=False)
    )


def keep_until(session: Session, client_id: str, media: Sequence[str], until: datetime) -> None:
    """Keep the files of ours among ``media`` at least until then: a text waits that shows them."""
    codes = [code for url in media if (code := urls.media_code(url)) is not None]
    if codes:
        session.execute(
            update(Media)
            .where(
                Media.code.in_(codes), Media.client_id == client_id,
                Media.expires_at > utcnow(), Media.expires_at < until,
            )
            .values(expires_at=until)
            .execution_options(synchronize_session=False)
        )  # fmt: skip


def are_on_their_way() -> ColumnElement[bool]:
    """Return the condition on Media that a delivery which names them has not ended.

    Until then they are served, whatever their time: who gets it must be able to fetch them.
    """
    names = Delivery.incoming_id == Media.incoming_id
    return exists().where(names, Delivery.state.in_(OPEN_STATES))


def inspect(
    session: Session,
    client_id: str,
    media: Sequence[str],
    looks: Mapping[str, Look] | None = None,
) -> Findings:
    """Check the media of one message as Twilio will; the number of them is checked elsewhere.

    :param looks: what is known of links that are served elsewhere.
    """
    known = {**(looks or {}), **_ours(session, client_id, media)}
    found = Findings()
    total = 0
    for index, url in enumerate(media):
        look = known.get(url, Look())
        if sentence := _wrong(url, look):
            found.mistakes.append(Mistake(("media", index), sentence, "bad_media"))
        found.advice += _advice(url, look)
        total += look.size or 0
    if total > MAX_TOTAL:
        sentence = (
            f"The media have {_megabytes(total)} together; Twilio takes {_megabytes(MAX_TOTAL)}."
        )
        found.mistakes.append(Mistake(("media",), sentence, "media_too_large"))
    return found


def _ours(session: Session, client_id: str, media: Sequence[str]) -> dict[str, Look]:
    """Return what is known of the files that we keep; another client's do not exist."""
    codes = {code: url for url in media if (code := urls.media_code(url)) is not None}
    if not codes:
        return {}
    gone = Look(wrong="There is no such file here any more. Upload it again.")
    found = dict.fromkeys(codes.values(), gone)
    rows = session.execute(
        select(Media.code, Media.content_type, Media.size).where(
            Media.code.in_(codes),
            Media.client_id == client_id,
            Media.expires_at.is_(None) | (Media.expires_at > utcnow()),
        )
    )
    for code, content_type, size in rows:
        found[codes[code]] = Look(content_type.lower(), size)
    return found


def _wrong(url: str, look: Look) -> str | None:
    if look.wrong is not None:
        return f"{_short(url)}: {look.wrong}"
    if look.content_type is not None and not accepted(look.content_type):
        return (
            f"{_short(url)} is served as {look.content_type}, which Twilio does not take. Use"
            f" {KINDS}, served with its own type."
        )
    return None


def _advice(url: str, look: Look) -> Iterator[str]:
    if look.doubt is not None:
        yield f"{_short(url)} could not be checked: {look.doubt}"
    if look.size is not None and look.size > ADVISED:
        why = (
            "phones get it in a smaller size."
            if look.content_type in _RESIZED
            else "Twilio makes only JPEG, PNG and GIF smaller, so many carriers will refuse it."
        )
        yield (
            f"{_short(url)} has {look.size / 1024:,.0f} KB; more than {ADVISED // 1024} KB is slow"
            f" and dear on phones: {why}"
        )


def _short(url: str) -> str:
    return url if len(url) <= 80 else f"{url[:50]}…{url[-25:]}"


def _megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MB".replace(".0 ", " ")
