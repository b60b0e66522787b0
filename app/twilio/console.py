"""Where Twilio itself shows what it knows about a text or a call."""

from typing import Final

_LOGS: Final = {
    "SM": "https://www.twilio.com/console/sms/logs/{sid}",
    "MM": "https://www.twilio.com/console/sms/logs/{sid}",
    "CA": "https://www.twilio.com/console/voice/calls/logs/{sid}",
}


def log_url(sid: str | None) -> str | None:
    """Return the address of Twilio's log of one text (SM, MM) or call (CA), or None.

    It opens for people who may sign in to the Twilio account.
    """
    if sid is None or not sid.isalnum():
        return None
    pattern = _LOGS.get(sid[:2])
    return pattern.format(sid=sid) if pattern else None
