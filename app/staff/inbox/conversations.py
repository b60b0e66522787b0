"""The inbox: the conversations, those first in which somebody waits for an answer."""

from __future__ import annotations

import hashlib

from flask import Response, abort, g, render_template, request
from flask_login import current_user
from sqlalchemy import select

from app.domain.audience import names
from app.domain.conversations import finding
from app.extensions import db
from app.models.conversation import Conversation
from app.models.sender import Sender
from app.models.user import User
from app.staff import listing
from app.staff.access import client_blueprint

PAGE = 30
SEARCH_LENGTH = 100
SHOWN = {
    finding.OPEN: "Open",
    "waiting": "Waiting for an answer",
    "answered": "Answered",
    "closed": "Closed",
    "all": "All",
}


LOOK_AGAIN = 10
"""Seconds between two looks of an open page: some nine statements each."""


@client_blueprint.get("/conversations")
def inbox_conversations() -> str | Response:
    """List conversations, the waiting ones first; by state, by who has taken them, by words."""
    state = request.args.get("state", finding.OPEN)
    wanted = request.args.get("q", "").strip()[:SEARCH_LENGTH]
    mine = request.args.get("mine") == "1"
    if state not in SHOWN:
        abort(404, "There is no such list of conversations.")
    session = db.session()
    query = finding.fitting(
        select(Conversation).where(
            Conversation.client_id == g.client.id,
            Conversation.last_at >= finding.retention_start(g.client),
        ),
        state=None if state == "all" else state,
        assigned_id=current_user.user.id if mine else None,
    )
    place: tuple[listing.Column, ...] = (Conversation.last_at, Conversation.id)
    if state == finding.OPEN:  # of their names, waiting is the last
        place = (Conversation.state, *place)
    page = listing.page(
        session, query, place, _after(request.args.get("before", ""), place), size=PAGE,
        wanted=[finding.fits(wanted)] if wanted else [],
    )  # fmt: skip
    seen = _mark(page.rows)
    if request.headers.get("HX-Request") and request.args.get("seen") == seen:
        return Response(status=204)
    return render_template(
        "staff/conversations.html",
        page=page,
        seen=seen,
        look_again=LOOK_AGAIN,
        known=names.of(session, g.client.id, {one.phone for one in page.rows}),
        numbers=_numbers(),
        takers=takers(page.rows),
        shown=SHOWN,
        state=state,
        q=wanted,
        mine=mine,
    )


def _mark(talks: list[Conversation]) -> str:
    """Return what changes whenever the list shows something else."""
    drawn = [(one.id, one.last_at, one.state, one.unread, one.assigned_id) for one in talks]
    return hashlib.sha256(repr((drawn, g.waiting)).encode()).hexdigest()[:16]


def takers(talks: list[Conversation]) -> dict[str | None, str]:
    """Return the addresses of those who have taken these conversations, by their ids."""
    ids = {one.assigned_id for one in talks if one.assigned_id}
    if not ids:
        return {}
    found = db.session.execute(select(User.id, User.email).where(User.id.in_(ids)))
    return {row.id: row.email for row in found}


def _after(before: str, place: tuple[listing.Column, ...]) -> tuple[object, ...] | None:
    if not before:
        return None
    last = db.session.get(Conversation, before)
    if last is None or last.client_id != g.client.id:
        abort(404, "That page is gone. Begin again at the top of the inbox.")
    return tuple(getattr(last, column.key) for column in place)


def _numbers() -> dict[str, Sender]:
    found = db.session.scalars(select(Sender).where(Sender.client_id == g.client.id))
    return {one.id: one for one in found}
