"""One search: people, phones, words that were said, lists and wordings."""

from __future__ import annotations

from flask import g, render_template, request

from app.domain.audience import names
from app.domain.conversations import saying, searching
from app.domain.conversations.searching import Found
from app.extensions import db
from app.staff.access import client_blueprint

SEARCH_LENGTH = 100


@client_blueprint.get("/search")
def search() -> str:
    """Show what fits what was typed."""
    wanted = request.args.get("q", "").strip()[:SEARCH_LENGTH]
    session = db.session()
    found = searching.search(session, g.client, wanted) if wanted else Found()
    phones = {one.phone for one in found.conversations} | {one.phone for one in found.words}
    phones |= {one.phone for one in found.batches}
    return render_template(
        "staff/search.html",
        q=wanted,
        found=found,
        known=names.of(session, g.client.id, phones),
        look=saying.LOOK,
        shortest=searching.SHORTEST,
        most=saying.MOST,
    )
