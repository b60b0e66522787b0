"""Runs of communications: looked at before they start, started, watched, paused and stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import g, make_response, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain.mistakes import Refused
from app.domain.reach import Refusal
from app.domain.sending import communications, quiet, running
from app.domain.sending.forecast import Forecast
from app.domain.sending.preflight import media_of, preflight
from app.domain.sending.running import Progress
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.audience import Population
from app.models.base import utcnow
from app.models.batch import BATCH_TRANSITIONS, Batch, BatchState
from app.models.communication import Communication
from app.models.link import Click
from app.outbound.send import media_links
from app.staff import own, words
from app.staff.access import client_blueprint, say
from app.staff.sending.communications import NOUNS
from app.staff.sending.communications import find as find_communication
from app.staff.sending.messages import message_rows
from app.staff.wordings.wording_preview import HEARD_BY

STATES: dict[BatchState, tuple[str, str]] = {
    BatchState.SCHEDULED: ("Scheduled", ""),
    BatchState.PREPARING: ("Being prepared", ""),
    BatchState.RUNNING: ("Running", ""),
    BatchState.PAUSED: ("Paused", "warn"),
    BatchState.COMPLETE: ("Complete", "good"),
    BatchState.CANCELED: ("Canceled", "warn"),
    BatchState.REFUSED: ("Refused", "bad"),
}
NOT_FINAL = ("queued", "accepted", "scheduled", "sending", "sent", "initiated", "ringing",
             "in-progress", "unknown")  # fmt: skip
SETTLING = timedelta(minutes=10)
"""How long after a batch its page waits for Twilio's last words: some carriers never send one."""
REASONS = {
    "invalid_phone": "no valid phone",
    "not_allowed": "a phone that may not be reached",
    "template_error": "something the template needs is missing",
    "duplicate": "the same text goes to this phone already",
    "too_long": "a text that is too long",
    "empty": "an empty text",
    "refused": "refused",
}


@dataclass(frozen=True)
class Shown:
    """A batch as its page shows it: where it stands and what may be done about it."""

    batch: Batch
    progress: Progress
    counts: list[tuple[str, str, str, int]]
    """Status, its words, its colour, and how many."""
    quiet_until: datetime | None
    people: int = 0
    previews: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more happens."""
        return not BATCH_TRANSITIONS[self.batch.state]

    @property
    def moving(self) -> bool:
        """Whether texts or calls still go out."""
        return not self.ended or self.progress.waiting > 0

    @property
    def settling(self) -> bool:
        """Whether all are out, but Twilio's word on what became of some is still on its way."""
        ended_at = self.batch.ended_at
        open_ones = any(status in NOT_FINAL for status, *_ in self.counts)
        return open_ones and ended_at is not None and utcnow() < ended_at + SETTLING

    @property
    def look_again(self) -> int:
        """Seconds after which the page looks again by itself; 0 for never."""
        if self.moving:
            return 2
        return 5 if self.settling else 0

    @property
    def gone(self) -> int:
        """How many members need nothing more from us."""
        if self.ended:
            return self.whole
        return max(sum(self.progress.counts.values()) - self.progress.waiting, 0)

    @property
    def whole(self) -> int:
        """How many members, or messages where each member gets several, there are."""
        return max(self.progress.total, sum(self.progress.counts.values()), 1)


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
        found=found,
        noun=NOUNS[found.destination],
        shown=shown,
        reasons=REASONS,
        heard_by=HEARD_BY,
        duration=words.duration(shown.seconds),
        population=session.get(Population, found.population_id or ""),
        runs=_runs(session, found),
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
    rows = message_rows(session, batch.id)
    return render_template(
        "staff/batch.html",
        shown=_shown(session, batch),
        found=session.get_one(Communication, batch.communication_id),
        states=STATES,
        status=request.args.get("status", ""),
        rows=rows,
    )


@client_blueprint.get("/batches/<batch_id>/progress")
def communication_progress(batch_id: str) -> Response:
    """Show only how far a batch is, for the page that looks again by itself.

    When nothing moves any more, the whole page is loaded once, with the last word on everybody.
    """
    shown = _shown(db.session(), _find(batch_id))
    page = make_response(render_template("staff/batch_progress.html", shown=shown, states=STATES))
    if not shown.look_again:
        page.headers["HX-Refresh"] = "true"
    return page


@client_blueprint.post("/batches/<batch_id>/<action>")
def communication_batch_act(batch_id: str, action: str) -> Response:
    """Pause, resume or cancel a batch."""
    batch = _find(batch_id)
    act = ACTIONS.get(action)
    try:
        if act is None:
            raise Refusal("unknown", "There is no such thing to do with a batch.", "action")
        with unit_of_work() as session:
            act[0](session, session.get_one(Batch, batch.id), current_user.email)
    except Refusal:
        said, category = "Nothing was changed: the batch is past that already.", "warn"
    else:
        said, category = act[1], "good"
        wake("house")
        wake("send")
    say(said, category)
    return redirect(url_for("client.communication_batch", batch_id=batch.id))


ACTIONS: dict[str, tuple[Callable[[Session, Batch, str], None], str]] = {
    "try-one": (running.try_one, "One goes out now; if Twilio takes it, the others follow."),
    "pause": (running.pause, "Paused. Nothing more goes out until you resume it."),
    "resume": (running.resume, "It goes on."),
    "cancel": (running.cancel, "Canceled. What had not gone out yet stays here."),
}


def _find(batch_id: str) -> Batch:
    return own.find(Batch, batch_id, "batch")


def _shown(session: Session, batch: Batch) -> Shown:
    progress = running.progress(session, batch)
    order = list(words.STATUSES)
    counts = [
        (status, *words.STATUSES.get(status, (status, "")), count)
        for status, count in sorted(
            progress.counts.items(),
            key=lambda one: order.index(one[0]) if one[0] in order else len(order),
        )
    ]
    people, previews = _clicks(session, batch)
    return Shown(batch, progress, counts, _quiet_until(batch), people, previews)


def _quiet_until(batch: Batch) -> datetime | None:
    """Return when the quiet hours that hold this batch are over, None when none do."""
    client = g.client
    if batch.state is BatchState.SCHEDULED:
        at = batch.scheduled_at
    elif batch.state in (BatchState.RUNNING, BatchState.PREPARING):
        at = utcnow()
    else:
        return None
    return quiet.until(at, client.time_zone, client.quiet_from, client.quiet_to)


def _clicks(session: Session, batch: Batch) -> tuple[int, int]:
    """Return how often people, and previews or robots, opened the links of a batch."""
    if not batch.plan.get("link_tracking"):
        return 0, 0
    rows = session.execute(
        select(Click.is_preview, func.count())
        .where(Click.batch_id == batch.id)
        .group_by(Click.is_preview)
    )
    found = {row[0]: row[1] for row in rows}
    return found.get(False, 0), found.get(True, 0)
