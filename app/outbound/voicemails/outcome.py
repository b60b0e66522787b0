"""What a step needs to know, read before it; and what is to be written down after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

from sqlalchemy.orm import Session

from app.domain.voicemails import progress
from app.domain.voicemails.steps import Step
from app.models.incoming import Incoming
from app.models.sender import Sender
from app.models.voicemail import Voicemail

Outcome = Callable[[Session, Voicemail], None]


@dataclass(frozen=True)
class Work:
    """A step that was taken, with all that it needs."""

    step: Step
    voicemail_id: str
    recording_sid: str
    """Empty while it is not known."""
    call_sid: str
    credential_id: str
    media_code: str

    @classmethod
    def of(cls, session: Session, step: Step, voicemail: Voicemail) -> Self:
        """Return what the step of a message needs."""
        call = session.get_one(Incoming, voicemail.incoming_id)
        return cls(
            step,
            voicemail.id,
            voicemail.recording_sid or "",
            call.sid,
            session.get_one(Sender, call.sender_id).credential_id,
            voicemail.media_code or "",
        )

    def nothing(self, why: str) -> Outcome:
        """Return the outcome of a step that brought nothing.

        :param why: a sentence for staff.
        """
        return partial(progress.nothing, step=self.step, why=why)

    def unheard(self, why: str) -> Outcome:
        """Return the outcome of a step for which nobody could be asked.

        :param why: a sentence for staff.
        """
        return partial(progress.unheard, step=self.step, why=why)
