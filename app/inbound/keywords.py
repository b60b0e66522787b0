"""The words by which people opt out and in, and ask for help.

Twilio acts on them itself and calls us all the same ("Twilio support for opt-out keywords"): only
the whole text counts, in any case. We keep the client's suppression list in step.
"""

from __future__ import annotations

import re

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.audience import suppression
from app.inbound.lookup import Number
from app.inbound.parsing import Arrival
from app.models.incoming import Incoming, OptOut
from app.models.suppression import SuppressionSource

YES = "YES"
WORDS: dict[str, OptOut] = {
    **dict.fromkeys(
        ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"), OptOut.STOP
    ),
    **dict.fromkeys(("START", YES, "UNSTOP"), OptOut.START),
    **dict.fromkeys(("HELP", "INFO"), OptOut.HELP),
}
_WISHES = re.compile(
    r"\bplease\s+stop\b|^\W*stop\b|\bstop\W*$"
    r"|\bstop\s+(?:all|any|it|now|please|pls|this|that|these|those|the|your|text\w*|messag\w*"
    r"|send\w*|contact\w*|call\w*|spam\w*|bother\w*|harass\w*)\b"
    r"|\bunsubscrib\w*|\bopt(?:ing|ed)?[\s-]*out\b|\bquit\s+(?:text|messag|send|contact)\w*"
    r"|\b(?:remove|delete|unenroll)\s+(?:me|my\s+(?:number|name|phone))\b"
    r"|\btake\s+(?:me|my\s+number)\s+off\b|\bleave\s+me\s+alone\b"
    r"|\b(?:do\s*not|don.?t|never|no\s+longer)\s+(?:ever\s+)?(?:text|messag|contact|call|send)\w*"
    r"|\bno\s+more\s+(?:text|messag|sms|call)\w*|\brevoke\s+(?:my\s+)?consent\b"
    r"|^\W*(?:cancel|end|quit|revoke|arr[eê]te?|arrett)\W*$",
    re.IGNORECASE,
)


def recognise(arrival: Arrival) -> OptOut | None:
    """Return what the text asks for: Twilio's ``OptOutType`` wins over the words."""
    return arrival.opt_out_type or WORDS.get(arrival.word)


def sounds_like_stop(body: str) -> bool:
    """Tell whether somebody may want no more texts, in words on which nobody acts by itself.

    The FCC lets people revoke consent "by any reasonable means": a person has to read these.
    """
    return bool(_WISHES.search(body))


def act(session: Session, arrival: Arrival, number: Number) -> OptOut | None:
    """Keep the suppression list in step with the text; return what it asked for.

    A YES that lifts nothing is an ordinary message: somebody answered a question.
    """
    asked = recognise(arrival)
    list_id = number.suppression_list_id
    if asked is OptOut.STOP and list_id:
        if not _asked_since(session, arrival, number, OptOut.START):
            suppression.suppress(
                session,
                list_id,
                arrival.from_,
                scope=number.scope,
                source=SuppressionSource.KEYWORD,
                at=arrival.received_at,
            )
    elif asked is OptOut.START:
        lifted = (
            list_id
            and not _asked_since(session, arrival, number, OptOut.STOP)
            and suppression.lift(
                session,
                list_id,
                arrival.from_,
                scopes=suppression.scopes_of(number.id, number.service_id),
                at=arrival.received_at,
            )
        )
        if not lifted and not arrival.opt_out_type and arrival.word == YES:
            return None
    return asked


def _asked_since(session: Session, arrival: Arrival, number: Number, what: OptOut) -> bool:
    """Tell whether the person has asked for ``what`` after this text, which we hear of late."""
    if not arrival.recovered:
        return False
    later = select(Incoming.opt_out, Incoming.body).where(
        Incoming.sender_id == number.id,
        Incoming.client_id == number.client.id,
        Incoming.from_ == arrival.from_,
        Incoming.received_at > arrival.received_at,
    )
    return any(
        what in (opt_out, WORDS.get((body or "").strip().upper()))
        for opt_out, body in session.execute(later)
    )


def unrecorded(asked: OptOut | None, number: Number) -> str | None:
    """Say what is wrong when a STOP cannot be kept anywhere: nobody else enforces it."""
    if asked is OptOut.STOP and number.is_short_code and not number.suppression_list_id:
        return (
            "This short code has no suppression list, and Twilio does not enforce STOP for short"
            " codes. Choose a list for it and add this phone."
        )
    return None
