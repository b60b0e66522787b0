"""Runs of communications: looked at before they start, started, watched, paused and stopped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import g, make_response, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain import chores
from app.domain.mistakes import Refused
from app.domain.reach import Refusal
from app.domain.sending import approval, better_senders, communications, running
from app.domain.sending.forecast import Forecast
from app.domain.sending.preflight import media_of, of_batch, preflight
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.audience import Population
from app.models.base import utcnow
from app.models.batch import Batch, BatchState
from app.models.chore import ChoreKind
from app.models.communication import Communication
from app.outbound.send import media_links
from app.staff import own, words
from app.staff.access import client_blueprint, say
from app.staff.sending import advice, batch_results
from app.staff.sending.batch_shown import STATES, shown_batch
from app.staff.sending.communications import NOUNS
from app.staff.sending.communications import find as find_communication
from app.staff.wordings.wording_preview import HEARD_BY

EXAMINED = 500
"""Members of a batch that are looked at whenever somebody opens its page to approve it."""
REASONS = {
    "invalid_phone": "no valid phone",
    "not_allowed": "a phone that may not be reached",
    "template_error": "something the template needs is missing",
    "landline": "a landline, which gets no texts",
    "duplicate": "the same text goes to this phone already",
    "too_long": "a text that is too long",
    "empty": "an empty text",
    "refused": "refused",
}


@client_blueprint.get("/communications/<communication_id>/check")
def communication_check(communication_id: str) -> str:
    """Show what starting a communication would do, with the form that starts it."""
    return _check_page(find_communication(communication_id), [])


def _check_page(found: Communication, wrong: list[str]) -> str:
    session = db.session()
    media = media_of(session, found)
    shown: Forecast = preflight(session, found, looks=media_links.look_now(media, g.client.id))
    return render_template(
        "staff/preflight.html",
        shown=shown,
        reasons=REASONS,
        offered=better_senders.offered(session, found, shown.recipients),
        **advice.person(session, found, 1),
        duration=words.duration(shown.seconds),
        population=session.get(Population, found.population_id or ""),
        runs=_runs(session, found),
        looking_up=chores.is_under_way(session, ChoreKind.LINE_TYPES, found.id),
        wrong=wrong,
        typed=request.form,
    )


@client_blueprint.post("/communications/<communication_id>/start")
def communication_start(communication_id: str) -> str | Response | tuple[str, int]:
    """Start a batch now or later."""
    found = find_communication(communication_id)
    try:
        at = _chosen_time()
        with unit_of_work() as session:
            _only_once(session, found)
            fresh = session.get_one(Communication, found.id)
            batch = communications.start_batch(session, fresh, current_user.email, at)
    except Refusal as refusal:
        return _check_page(found, [refusal.sentence]), 422
    wake("house")
    later = f"It is scheduled for {words.when(batch.scheduled_at)}."
    if batch.state is BatchState.AWAITING_APPROVAL:
        say("It waits until somebody else has approved it. They have been told.", "warn")
    else:
        say("It is on its way." if at is None else later)
    return redirect(url_for("client.communication_batch", batch_id=batch.id))


def _chosen_time() -> datetime | None:
    """Return when to start, which was typed in the client's zone; None for now.

    :raises Refusal: when there is no such time, or it has passed.
    """
    if request.form.get("when") != "later":
        return None
    try:
        at = own.typed_time(
            request.form.get("at", ""), "at", "Choose the day and time to start at."
        )
    except Refused as refused:
        raise Refusal("bad_time", str(refused), "at") from None
    if at <= utcnow():
        raise Refusal("bad_time", "That time has passed; choose a later one.", "at")
    return at


def _only_once(session: Session, found: Communication) -> None:
    """Refuse a start that was sent twice, or that somebody else was quicker with.

    :raises Refusal: when there are more runs than the page showed that was sent.
    """
    session.execute(select(Communication.id).filter_by(id=found.id).with_for_update())
    if request.form.get("runs") != str(_runs(session, found)):
        raise Refusal(
            "started", "This was started since you opened the page. Look below before you start"
            " it once more.", "runs",
        )  # fmt: skip


def _runs(session: Session, found: Communication) -> int:
    query = select(func.count()).where(Batch.communication_id == found.id)
    return session.scalar(query) or 0


@client_blueprint.get("/batches/<batch_id>")
def communication_batch(batch_id: str) -> str:
    """Show a batch with its messages."""
    batch = _find(batch_id)
    session = db.session()
    found = session.get_one(Communication, batch.communication_id)
    shown = shown_batch(session, batch)
    return render_template(
        "staff/batch.html",
        found=found,
        **_forecast(session, batch, found),
        **batch_results.results(session, shown),
        states=STATES,
    )


@client_blueprint.get("/batches/<batch_id>/cancel")
def communication_batch_cancel(batch_id: str) -> str:
    """Ask before a batch is canceled, which cannot be undone."""
    batch = _find(batch_id)
    session = db.session()
    shown = shown_batch(session, batch)
    return render_template(
        "staff/batch_cancel.html",
        shown=shown,
        found=session.get_one(Communication, batch.communication_id),
        left=max(shown.whole - shown.gone, 0) if batch.total else 0,
    )


def _forecast(session: Session, batch: Batch, found: Communication) -> dict[str, Any]:
    """Return what whoever is to approve a batch has to see; nothing for any other."""
    if batch.state is not BatchState.AWAITING_APPROVAL:
        return {}
    forecast = of_batch(session, batch, examined=EXAMINED)
    return {
        "forecast": forecast, "noun": NOUNS[found.destination], "reasons": REASONS,
        "heard_by": HEARD_BY, "duration": words.duration(forecast.seconds),
    }  # fmt: skip


@client_blueprint.get("/batches/<batch_id>/progress")
def communication_progress(batch_id: str) -> Response:
    """Show only how far a batch is, for the page that looks again by itself.

    When nothing moves any more, the whole page is loaded once, with the last word on everybody.
    """
    shown = shown_batch(db.session(), _find(batch_id))
    page = make_response(render_template("staff/batch_progress.html", shown=shown, states=STATES))
    if not shown.look_again:
        page.headers["HX-Refresh"] = "true"
    return page


@client_blueprint.post("/batches/<batch_id>/<action>")
def communication_batch_act(batch_id: str, action: str) -> Response:
    """Approve or reject a batch, pause, resume or cancel it."""
    batch = _find(batch_id)
    act = ACTIONS.get(action)
    try:
        if act is None:
            raise Refusal("unknown", "There is no such thing to do with a batch.", "action")
        with unit_of_work() as session:
            act[0](session, session.get_one(Batch, batch.id), current_user.email)
    except Refusal as refusal:
        said, category = "Nothing was changed: the batch is past that already.", "warn"
        if refusal.code in TOLD:
            said = refusal.sentence
    else:
        said, category = act[1], "good"
        wake("house")
        wake("send")
    say(said, category)
    return redirect(url_for("client.communication_batch", batch_id=batch.id))


def _reject(session: Session, batch: Batch, actor: str) -> None:
    reason = request.form.get("reason", "").strip()
    if not reason:
        raise Refusal("no_reason", "Nothing was changed: say why it must not go out.", "reason")
    approval.reject(session, batch, actor, reason)


TOLD = ("no_reason", approval.OWN)
"""Refusals whose own sentence is shown."""
ACTIONS: dict[str, tuple[Callable[[Session, Batch, str], None], str]] = {
    "try-one": (running.try_one, "One goes out now; if Twilio takes it, the others follow."),
    "approve": (approval.approve, "Approved. It goes out at its time."),
    "reject": (_reject, "Rejected. It does not go out, and who started it is told."),
    "pause": (running.pause, "Paused. Nothing more goes out until you resume it."),
    "resume": (running.resume, "It goes on."),
    "cancel": (running.cancel, "Canceled. What had not gone out yet stays here."),
}


def _find(batch_id: str) -> Batch:
    return own.find(Batch, batch_id, "batch")
