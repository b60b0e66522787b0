"""History: who changed what, and when."""

from __future__ import annotations

from flask import g, render_template, request
from sqlalchemy import or_, select

from app.extensions import db
from app.models.house import AuditEntry
from app.staff.access import client_blueprint

PAGE = 50
MAX_ID = 2**63 - 1


@client_blueprint.get("/history")
def history() -> str:
    """List the changes, newest first; those that mention what is searched for."""
    query = select(AuditEntry).where(AuditEntry.client_id == g.client.id)
    wanted = request.args.get("q", "").strip()[:100]
    if wanted:
        columns = (AuditEntry.actor, AuditEntry.action, AuditEntry.target)
        query = query.where(or_(*[one.icontains(wanted, autoescape=True) for one in columns]))
    before = request.args.get("before", "")
    if before.isdecimal() and int(before) <= MAX_ID:
        query = query.where(AuditEntry.id < int(before))
    rows = list(db.session.scalars(query.order_by(AuditEntry.id.desc()).limit(PAGE + 1)))
    older = rows[PAGE - 1].id if len(rows) > PAGE else None
    return render_template("staff/history.html", rows=rows[:PAGE], older=older, q=wanted)
