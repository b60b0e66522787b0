"""History: who changed what, and when."""

from __future__ import annotations

from flask import g, render_template, request
from sqlalchemy import or_, select

from app.extensions import db
from app.models.house import AuditEntry
from app.staff import listing
from app.staff.access import client_blueprint

PAGE = 50


@client_blueprint.get("/history")
def history() -> str:
    """List the changes, newest first; those that mention what is searched for."""
    words = request.args.get("q", "").strip()[:100]
    columns = (AuditEntry.actor, AuditEntry.action, AuditEntry.target)
    mentioned = or_(*[one.icontains(words, autoescape=True) for one in columns])
    before = request.args.get("before", "")
    page = listing.page(
        db.session(),
        select(AuditEntry).where(AuditEntry.client_id == g.client.id),
        (AuditEntry.id,),
        (int(before),) if listing.is_small(before) else None,
        size=PAGE,
        wanted=[mentioned] if words else [],
    )
    return render_template("staff/history.html", page=page, q=words)
