"""Twilio's error codes: what each means for people, and what to do about the message.

Written down from Twilio's error dictionary (https://www.twilio.com/docs/api/errors). Twilio says
of its message texts that they may change, so only codes decide; a code that is not in the table
fails the message, says so, and alerts: the dictionary grows.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from app.twilio.error_table import ROWS

_CARRIER_DAY: Final = ZoneInfo("America/Los_Angeles")
_AFTER_MIDNIGHT: Final = timedelta(minutes=5)


class Action(StrEnum):
    """What is done about a message that ended with an error code."""

    RETRY = "retry"
    """It may go again after the rule's delay.

    Where Twilio refused the request, and so surely has nothing, it does so by itself; when its
    delays are used up, it has failed. What Twilio took and then reports as failed is final, and a
    person may send it again after the first delay: a machine that did could text somebody twice,
    since the department's own systems have been told and may have done the same.
    """
    FAIL = "fail"
    """This message cannot be sent; others may be."""
    SUPPRESS = "suppress"
    """It failed, and the phone goes on the suppression list: further texts are refused as well,
    because the person has opted out, or for a time because the phone cannot be reached."""
    STOP_SENDER = "stop_sender"
    """It failed, and so would every other text of this sender: stop it and tell its owner."""
    STOP_CREDENTIAL = "stop_credential"
    """It failed, and so would everything of this Twilio account: stop it and tell its owner."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one code means and what follows.

    `delays` are the seconds to wait before each further try; of SUPPRESS, until the phone may be
    tried again at all (none where it is a person's wish); else empty.
    `next_day` waits for the carriers' new day instead, midnight in California, as often as there
    are delays. `alert` asks for a word to the owner although nothing is stopped. `opted_out` tells
    a person's wish (which START undoes) from a phone that cannot be reached. `recipient` marks what
    says something about this one phone only, and so nothing about the sender. `hold` has the sender
    wait for an hour: what is wrong heals by itself.
    """

    code: int | None
    meaning: str
    action: Action
    delays: tuple[int, ...] = ()
    next_day: bool = False
    alert: bool = False
    opted_out: bool = False
    recipient: bool = False
    hold: bool = False

    @property
    def max_tries(self) -> int:
        """How often the message may be tried in all, the first time included."""
        return 1 + len(self.delays)

    def unreachable_until(self, at: datetime) -> datetime | None:
        """Return when a phone that could not be reached at `at` may be tried again."""
        if self.action is not Action.SUPPRESS or not self.delays:
            return None
        return at + timedelta(seconds=self.delays[0])

    def retry_at(self, tries: int, now: datetime) -> datetime | None:
        """Return when to try again after `tries` tries have failed, or None: it has failed.

        `now` is aware; so is the answer, in UTC.
        """
        if self.action is not Action.RETRY or not 1 <= tries <= len(self.delays):
            return None
        if not self.next_day:
            return now.astimezone(UTC) + timedelta(seconds=self.delays[tries - 1])
        tomorrow = now.astimezone(_CARRIER_DAY).date() + timedelta(days=1)
        midnight = datetime.combine(tomorrow, time(), _CARRIER_DAY)
        return (midnight + _AFTER_MIDNIGHT).astimezone(UTC)


RULES: Final[dict[int, Rule]] = {
    code: Rule(
        code=code,
        meaning=meaning,
        action=Action(action),
        delays=delays,
        next_day="next_day" in marks,
        alert="alert" in marks,
        opted_out="opted_out" in marks,
        recipient="recipient" in marks,
        hold="hold" in marks,
    )
    for codes, action, delays, marks, meaning in ROWS
    for code in codes
}
"""The table, by code."""


def rule(code: int | None) -> Rule:
    """Return what to do about `code`; an unknown one, or none at all, fails the message.

    An unknown one alerts as well: nobody has thought about what it means.
    """
    if code is None:
        return Rule(None, "Twilio gave no reason for the failure.", Action.FAIL)
    if code in RULES:
        return RULES[code]
    return Rule(
        code,
        f"Twilio reports error {code}, which Dispatch does not know; see {docs_url(code)}.",
        Action.FAIL,
        alert=True,
    )


def is_wish(code: int | None) -> bool:
    """Tell whether a text that was not sent, with this code or none, is one nobody wanted."""
    return code is None or rule(code).opted_out


def explain(code: int | None) -> str:
    """Return the sentence for people about `code`."""
    return rule(code).meaning


def docs_url(code: int) -> str:
    """Return the address of Twilio's page about `code`."""
    return f"https://www.twilio.com/docs/api/errors/{code}"
