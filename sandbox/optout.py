"""STOP, START and HELP, by Twilio's help page on opt-out keywords (US and Canada)."""

from __future__ import annotations

from dataclasses import dataclass

from .records import Number, Service
from .store import Store

STOP = {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
START = {"START", "YES", "UNSTOP"}
HELP = {"HELP", "INFO"}

_STOPPED = (
    "You have successfully been unsubscribed. You will not receive any more messages from this "
    "number. Reply START to resubscribe."
)
_STARTED = (
    "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
    "Reply STOP to unsubscribe. Msg&Data Rates May Apply."
)
_HELPED = "Reply STOP to unsubscribe. Msg&Data Rates May Apply."
_TOLL_FREE_STOPPED = (
    'NETWORK MSG: You replied with the word "stop" which blocks all texts sent from this number. '
    'Text back "unstop" to receive messages again.'
)
_TOLL_FREE_STARTED = (
    'NETWORK MSG: You have replied "unstop" and will begin receiving messages again from this '
    "number."
)


@dataclass(frozen=True)
class Handled:
    """What Twilio did by itself: its free reply, and OptOutType for the webhook if it is sent."""

    reply: str | None = None
    opt_out_type: str | None = None


def keyword(body: str) -> str | None:
    """STOP, START or HELP if the whole text is one such word, in any case; else None."""
    word = body.strip().upper()
    for name, words in (("STOP", STOP), ("START", START), ("HELP", HELP)):
        if word in words:
            return name
    return None


def handle(store: Store, phone: str, number: Number, service: Service | None, body: str) -> Handled:
    """Block or unblock as the text asks. Short codes have no default handling."""
    word = keyword(body)
    advanced = service is not None and service.advanced_opt_out
    if word is None or (number.kind == "short_code" and not advanced):
        return Handled()
    scope = (service.sid if service else number.phone, phone)
    was_out = scope in store.opted_out
    if word == "STOP":
        store.opted_out.add(scope)
    elif word == "START":
        store.opted_out.discard(scope)
    reply = _reply(number, word, was_out)
    return Handled(reply, word if advanced else None)


def _reply(number: Number, word: str, was_out: bool) -> str | None:
    if number.kind == "toll_free":
        if word == "STOP":
            return None if was_out else _TOLL_FREE_STOPPED
        if word == "START":
            return _TOLL_FREE_STARTED if was_out else None
        return None if was_out else _HELPED
    if word == "STOP":
        return None if was_out else _STOPPED
    return _STARTED if word == "START" else _HELPED
