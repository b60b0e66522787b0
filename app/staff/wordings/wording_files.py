"""Files and contact cards that are put into a wording while it is written."""

from __future__ import annotations

from collections.abc import Sequence

from flask import g, request

from app.domain import urls
from app.domain.content import attachments, vcards
from app.domain.content.vcards import Contact
from app.domain.mistakes import Mistake, Refused
from app.extensions import unit_of_work
from app.models.client import Client
from app.staff.access import say

CARD = ("name", "phone", "email", "organization", "url")


def keep_files(present: Sequence[str]) -> list[str]:
    """Keep what was uploaded with the form, and the contact card that it describes.

    They stay even where the wording itself cannot be saved yet: a browser forgets files.

    :param present: what the wording shows already.
    :returns: their addresses.
    :raises Refused: with all that is wrong with them.
    """
    made, wrong = _files()
    if len(present) + len(made) > attachments.MAX_FILES:
        sentence = f"A message carries at most {attachments.MAX_FILES} media."
        raise Refused.because(sentence, "media")
    kept = []
    with unit_of_work() as session:
        client = session.get_one(Client, g.client.id)
        for filename, content in made:
            try:
                media = attachments.keep(session, client, filename, content)
            except Refused as refused:
                wrong += refused.mistakes
                continue
            kept.append(urls.of_media(media.code))
        if wrong:
            raise Refused([Mistake(("media",), one.message, one.code) for one in wrong])
        for sentence in attachments.inspect(session, client.id, kept).advice:
            say(sentence, "warn")
    return kept


def _files() -> tuple[list[tuple[str, bytes]], list[Mistake]]:
    uploaded = [one for one in request.files.getlist("files") if one.filename]
    made = [(one.filename or "", one.read(attachments.MAX_TOTAL + 1)) for one in uploaded]
    fields = {name: request.form.get(f"card_{name}", "").strip() for name in CARD}
    if not any(fields.values()):
        return made, []
    try:
        return [*made, ("contact.vcf", vcards.write(Contact(**fields)))], []
    except Refused as refused:
        return made, list(refused.mistakes)
