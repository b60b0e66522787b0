"""The steps that Twilio is asked for: what came of a call, the sound, the words, and to forget."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sqlalchemy.orm import Session

from app.domain.clients.accounts import client_by_id
from app.domain.content import file_types
from app.domain.voicemails import progress, reports
from app.extensions import db
from app.models.voicemail import Voicemail
from app.outbound.voicemails.outcome import Outcome, Work
from app.twilio.client import MediaUnavailable, TwilioClient, TwilioFailure
from app.twilio.results import Recording

MAX_BYTES = 10 * 1024 * 1024
"""Largest recording that is fetched: ten minutes of Twilio's MP3 are half of that."""
FETCH_SECONDS = 60.0
FINISHED = "completed"
LANGUAGE = "en-US"
"""Twilio writes down English (Twilio, <Record transcribe>)."""
NO_ACCOUNT = "The Twilio account of this number cannot be asked; look at its credential."


def ask(work: Work) -> Outcome:
    """Ask what came of the call; what it has recorded is then as if Twilio had told it."""
    return _asking(work, _ask)


def fetch(work: Work) -> Outcome:
    """Fetch the sound."""
    return _asking(work, _fetch)


def ask_for_words(work: Work) -> Outcome:
    """Ask for what Twilio has written down."""
    return _asking(work, _ask_for_words)


def delete(work: Work) -> Outcome:
    """Delete Twilio's copy."""
    return _asking(work, _delete)


def _asking(work: Work, do: Callable[[TwilioClient, Work], Outcome]) -> Outcome:
    """Ask with the credentials of the call's account, while nothing is held open."""
    twilio = client_by_id(work.credential_id)
    db.session.rollback()
    if twilio is None:
        return work.unheard(NO_ACCOUNT)
    try:
        return do(twilio, work)
    except (TwilioFailure, MediaUnavailable) as failure:
        return work.unheard(str(failure))


def _ask(twilio: TwilioClient, work: Work) -> Outcome:
    ready = [one for one in twilio.list_recordings(work.call_sid) if one.status == FINISHED]
    if not ready:
        return work.nothing("Twilio has no recording of the call yet.")
    return partial(_found, recordings=tuple(reversed(ready)))


def _found(session: Session, voicemail: Voicemail, *, recordings: tuple[Recording, ...]) -> None:
    for one in recordings:
        reports.recorded(session, voicemail.incoming_id, one.sid, one.duration)


def _fetch(twilio: TwilioClient, work: Work) -> Outcome:
    found = twilio.fetch_recording(
        work.recording_sid, max_bytes=MAX_BYTES, deadline_seconds=FETCH_SECONDS
    )
    kind = file_types.identify(found.content, found.content_type)
    if not found.content or not kind.startswith("audio/"):
        return work.nothing(f"Twilio's recording is {kind}, which is no sound.")
    return partial(progress.kept, content=found.content, content_type=kind)


def _ask_for_words(twilio: TwilioClient, work: Work) -> Outcome:
    found = [one for one in twilio.list_transcriptions(work.recording_sid) if one.status]
    done = next((one for one in found if one.status == FINISHED), None)
    if done is not None:
        return partial(reports.transcribed, text=done.text, language=LANGUAGE)
    if found and all(one.status == "failed" for one in found):
        return partial(reports.transcribed, text=None, language=None)
    return work.nothing("Twilio has not written down the message yet.")


def _delete(twilio: TwilioClient, work: Work) -> Outcome:
    twilio.delete_recording(work.recording_sid)
    return progress.deleted
