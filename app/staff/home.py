"""The first page of a client."""

from __future__ import annotations

from flask import g, render_template

from app.staff.access import client_blueprint


@client_blueprint.get("/")
def home() -> str:
    """Say what each number does, what came in today, and what needs attention."""
    return render_template("staff/home.html", client=g.client)
