"""What loops of ours have set aside, for support: why, since when, and the way back."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from app.domain import aside
from app.domain.wake import DRAINS, wake
from app.extensions import db, unit_of_work
from app.staff.access import blueprint, require_support, say


@blueprint.get("/set-aside")
def set_aside() -> str:
    """List what is left out, the oldest first."""
    require_support()
    return render_template(
        "staff/set_aside.html", found=aside.current(db.session()), loops=aside.LOOPS
    )


@blueprint.post("/set-aside/again")
def set_aside_again() -> Response:
    """Let a loop take something up again at once."""
    require_support()
    loop, name = request.form.get("loop", ""), request.form.get("name", "")
    with unit_of_work() as session:
        was = aside.try_again(session, loop[:32], name[: aside.NAME_LENGTH], current_user.email)
    for queue in DRAINS:
        wake(queue)
    say("It is tried again now." if was else "It is not set aside any more.")
    return redirect(url_for("staff.set_aside"))
