"""Sending again to those whom a batch has not reached and who can still be."""

from __future__ import annotations

from collections import Counter

from flask import redirect, render_template, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from app.domain.clients import prices
from app.domain.clients.spending import Limited
from app.domain.reach import Refusal
from app.domain.sending import resending
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.batch import Batch
from app.models.communication import Communication
from app.models.message import Message
from app.models.route import Destination
from app.staff import own
from app.staff.access import client_blueprint, say
from app.staff.sending.messages import explanation
from app.twilio import segments

SHOWN = 25


@client_blueprint.get("/batches/<batch_id>/again")
def communication_batch_again(batch_id: str) -> str:
    """Show to whom it would be sent again, and what that costs, before it is."""
    batch = _ended(batch_id)
    session = db.session()
    found = resending.reachable(session, batch.id)
    people = [session.get_one(Message, one) for one in found.now[:SHOWN]]
    is_call = batch.plan.get("destination") == Destination.VOICE
    texts = segments.estimate_cost(found.segments, 0, prices.PRICES)
    return render_template(
        "staff/batch_again.html",
        batch=batch,
        found=session.get_one(Communication, batch.communication_id),
        again=found,
        people=[(one, explanation(one)) for one in people],
        is_call=is_call,
        cost=f"{prices.CALL_MINUTE * len(found.now) if is_call else texts:,.2f}",
    )


@client_blueprint.post("/batches/<batch_id>/again")
def communication_batch_again_now(batch_id: str) -> Response:
    """Send it again to them, each by itself: whoever may not get it any more is left out."""
    batch = _ended(batch_id)
    chosen = resending.reachable(db.session(), batch.id).now
    refused: Counter[str] = Counter()
    sent = 0
    for message_id in chosen:
        try:
            with unit_of_work() as session:
                resending.send_again(session, message_id, current_user.email)
            sent += 1
        except Limited as limited:
            refused[limited.sentence] += len(chosen) - sent - refused.total()
            break
        except Refusal as refusal:
            refused[refusal.sentence] += 1
    wake("send")
    if sent or not refused:
        said = f"{sent:,} {'is' if sent == 1 else 'are'} on the way again." if sent else NOBODY
        say(said, "good" if sent else "warn")
    for sentence, count in refused.most_common(5):
        say(f"Not sent to {count:,}: {sentence}", "warn")
    return redirect(url_for("client.communication_batch", batch_id=batch.id))


NOBODY = "Nobody is left to whom it could be sent again just now."


def _ended(batch_id: str) -> Batch:
    return own.find(Batch, batch_id, "batch")
