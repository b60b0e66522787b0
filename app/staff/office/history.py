"""History: who changed what, and when."""

from __future__ import annotations

from flask import g, render_template, request
from sqlalchemy import ColumnElement, or_, select

from app.extensions import db
from app.models.house import AuditEntry
from app.staff import listing
from app.staff.access import blueprint, client_blueprint, require_support
from app.staff.office import history_words

PAGE = 50
FEWEST_DIGITS = 7


@client_blueprint.get("/history")
def history() -> str:
    """List the changes of a client, newest first; those that mention what is searched for."""
    return _page(AuditEntry.client_id == g.client.id, "client.history")


@blueprint.get("/history")
def house_history() -> str:
    """List what concerns no client: sign-ins and failures, accounts, and commands of support."""
    require_support()
    return _page(AuditEntry.client_id.is_(None), "staff.house_history")


def _page(whose: ColumnElement[bool], endpoint: str) -> str:
    words = request.args.get("q", "").strip()[:100]
    columns = (AuditEntry.actor, AuditEntry.action, AuditEntry.target)
    mentioned = or_(*[one.icontains(words, autoescape=True) for one in columns])
    digits = "".join(filter(str.isdecimal, words))
    if len(digits) >= FEWEST_DIGITS:  # phones are shown otherwise than they are kept
        mentioned = or_(mentioned, AuditEntry.target.contains(digits))
    before = request.args.get("before", "")
    page = listing.page(
        db.session(),
        select(AuditEntry).where(whose),
        (AuditEntry.id,),
        (int(before),) if listing.is_small(before) else None,
        size=PAGE,
        wanted=[mentioned] if words else [],
    )
    return render_template(
        "staff/history.html", page=page, q=words, endpoint=endpoint, said=history_words.said,
        who=history_words.who,
    )  # fmt: skip
