"""What is due about voice messages, one after the other, beside the chores of the house."""

from __future__ import annotations

import time

import structlog
from flask import Flask, current_app

from app.domain import aside, wake
from app.domain.voicemails import steps
from app.domain.voicemails.steps import LOOP, Step
from app.domain.wake import DRAIN_SECONDS
from app.extensions import db, redis_client, unit_of_work
from app.outbound.background import background
from app.outbound.voicemails import asking
from app.outbound.voicemails.outcome import Outcome, Work

log = structlog.get_logger(__name__)

TOGETHER = 50


def _transcribe(work: Work) -> Outcome:
    # Not above: the commands, and so the web process, import this module and need not pay for the
    # HTTP library.
    from app.outbound.voicemails import engine

    return engine.transcribe(work)


DONE_BY = {
    Step.ASK: asking.ask,
    Step.FETCH: asking.fetch,
    Step.ASK_FOR_WORDS: asking.ask_for_words,
    Step.DELETE: asking.delete,
    Step.TRANSCRIBE: _transcribe,
}
"""Who does each step: outside of any transaction."""


def start() -> None:
    """Have the steps taken that are due; a job of the queue ``house``.

    A slow engine keeps nobody's message from being fetched: its steps have a thread of their own.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    background(app, "voicemails", drain).start()
    background(app, "transcriptions", drain_engine).start()


def wake_due() -> None:
    """Have due steps taken of which nobody was told; for the clock."""
    found = steps.due(db.session(), 1)
    db.session.rollback()
    if found:
        wake.enqueue_drain("voicemails", redis_client())


def drain() -> None:
    """Take the steps that Twilio is asked for, until none is due or the time is up."""
    _drain(by_engine=False)


def drain_engine() -> None:
    """Take the steps of the operator's engine."""
    _drain(by_engine=True)


def _drain(by_engine: bool) -> None:
    end = time.monotonic() + DRAIN_SECONDS
    while not wake.stopping.is_set() and time.monotonic() < end:
        found = steps.due(db.session(), TOGETHER, by_engine)
        db.session.rollback()
        taken = aside.one_by_one(LOOP, found, str, _turn)
        if not any(taken):
            return


def _turn(voicemail_id: str) -> bool:
    """Take one message's step, do it, and write down what came of it; tell whether it was ours."""
    with unit_of_work() as session:
        taken = steps.take(session, voicemail_id)
        work = Work.of(session, *taken) if taken else None
    if work is None:
        return False
    outcome = DONE_BY[work.step](work)
    _settle(work, outcome)
    return True


def _settle(work: Work, outcome: Outcome) -> None:
    """Write down what came of a step, unless Twilio has told it meanwhile."""
    with unit_of_work() as session:
        voicemail = steps.hold(session, work.voicemail_id, work.step)
        if voicemail is not None:
            outcome(session, voicemail)
    log.info("voicemail", voicemail=work.voicemail_id, step=work.step.value)
