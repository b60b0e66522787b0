"""What became of a batch, as a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flask import Response

from app.extensions import db
from app.models.batch import Batch
from app.models.communication import Communication
from app.models.message import Message
from app.staff import downloads, own, words
from app.staff.access import client_blueprint
from app.staff.sending.messages import clicks_of, explanation, of_batch

COLUMNS = ("Name", "Phone", "Text or call", "State", "Why", "Opened", "When")


@client_blueprint.get(f"/batches/<batch_id>.{downloads.FILE}")
def communication_batch_file(batch_id: str, ending: str) -> Response:
    """Hand out what became of each person's message, as the page is filtered."""
    batch = own.find(Batch, batch_id, "batch")
    name = db.session.get_one(Communication, batch.communication_id).name
    place = (Message.position, Message.step)
    return downloads.table(ending, name, COLUMNS, of_batch(batch.id), place, _lines)


def _lines(rows: Sequence[Message]) -> Iterator[Sequence[object]]:
    opened = clicks_of(db.session(), rows)
    for one in rows:
        yield (
            (one.member or {}).get("toName") or "", one.to, one.step + 1, words.status(one)[0],
            explanation(one), opened.get(one.id, 0), downloads.there(one.updated_at),
        )  # fmt: skip
