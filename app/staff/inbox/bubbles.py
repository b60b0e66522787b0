"""How the entries of a conversation are shown: reactions beside what they are about, files seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import url_for
from sqlalchemy.orm import Session

from app.domain import urls
from app.domain.content import file_types
from app.domain.conversations import entries
from app.domain.conversations.entries import Entry, File
from app.models.conversation import EntryKind
from app.models.incoming import Incoming
from app.models.message import Message

REACTIONS = {
    "like": "👍", "love": "❤️", "dislike": "👎", "laugh": "😂", "emphasize": "‼️", "question": "❓",
    "other": "💬",
}  # fmt: skip
_PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")


@dataclass(frozen=True)
class Shown:
    """A file of a text."""

    url: str
    is_picture: bool


@dataclass(frozen=True)
class Bubble:
    """An entry as it is shown."""

    entry: Entry
    files: tuple[Shown, ...] = ()
    reactions: tuple[str, ...] = ()
    """Pictures of what people showed about our text, as they stand now."""


def bubbles(said: Sequence[Entry]) -> list[Bubble]:
    """Put each reaction beside the text that it is about; others stay bubbles of their own."""
    about = beside(
        [one.message.id for one in said if one.message],
        [one.incoming.reaction for one in said if one.incoming and one.incoming.reaction],
    )
    return [
        Bubble(one, tuple(map(_shown, one.media)), about.get(one.id, ()) if one.message else ())
        for one in said
        if not (one.kind is EntryKind.REACTION and _is_beside(one, about))
    ]


def beside(
    ids: Iterable[str], reactions: Iterable[dict[str, Any]]
) -> dict[str, tuple[str, ...]]:  # fmt: skip
    """Return what stands beside each of our texts after all reactions, oldest first, to it."""
    shown: dict[str, dict[str, None]] = {one: {} for one in ids}
    for reaction in reactions:
        kinds = shown.get(reaction["messageId"] or "")
        if kinds is None:
            continue
        if reaction["removed"]:
            kinds.pop(reaction["kind"], None)
        else:
            kinds[reaction["kind"]] = None
    return {one: tuple(REACTIONS[kind] for kind in kinds) for one, kinds in shown.items()}


def files_beside(
    session: Session, client_id: str, came: Iterable[Incoming], went: Sequence[Message]
) -> dict[str, tuple[Shown, ...]]:
    """Return the files of these texts, of both sides, by the texts' ids."""
    found = {
        one.id: tuple(
            _shown(File(urls.of_media(item["code"]), file_types.plain(item["contentType"])))
            for item in one.media
            if "code" in item
        )
        for one in came
    }
    kinds = entries.kinds_of(session, client_id, [url for one in went for url in one.media])
    for one in went:
        shown = (_shown(File(url, kinds.get(urls.media_code(url)))) for url in one.media)
        found[one.id] = tuple(shown)
    return found


def _is_beside(entry: Entry, about: dict[str, tuple[str, ...]]) -> bool:
    reaction = entry.incoming.reaction if entry.incoming else None
    return reaction is not None and (reaction["messageId"] or "") in about


def _shown(file: File) -> Shown:
    """Show our own files from this host; what is served elsewhere is led to."""
    code = urls.media_code(file.url)
    if code is None:
        return Shown(file.url, False)
    return Shown(url_for("media.serve", code=code), file.content_type in _PICTURES)
