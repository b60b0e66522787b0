"""A number's settings at Twilio: asked about, and written there."""

from __future__ import annotations

from dataclasses import dataclass

from flask_login import current_user

from app.domain.provisioning import differences, number_audit
from app.domain.provisioning.differences import Difference
from app.models.sender import Sender
from app.staff.access import say

BY_HAND = "Short codes are set up in Twilio's console: set its web address there as well."
HOPELESS = {differences.MISSING, differences.CALLER_ID, differences.UNCHECKED}


@dataclass(frozen=True)
class AtTwilio:
    """What was found when Twilio was asked about a number; no differences is good."""

    differences: list[Difference]
    note: str = ""

    @property
    def can_be_mended(self) -> bool:
        """Whether setting something at Twilio helps."""
        return any(one.setting not in HOPELESS for one in self.differences)


def ask(sender: Sender) -> AtTwilio:
    """Compare how a number is set up at Twilio with what its routes need."""
    return AtTwilio(number_audit.run(sender_id=sender.id), _by_hand(sender))


def write(sender: Sender, done: str) -> None:
    """Set a number at Twilio as its routes need, and tell the person what became of that.

    :param done: what to say when it is so.
    """
    left = number_audit.repair(current_user.email, sender_id=sender.id)
    if left:
        reasons = " ".join(one.sentence for one in left)
        say(f"Twilio does not know of it yet. {reasons}", "warn")
        return
    say(_by_hand(sender) or done)


def _by_hand(sender: Sender) -> str:
    return BY_HAND if sender.is_short_code else ""
