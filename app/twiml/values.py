"""What may stand in an attribute or an element of TwiML, and where it leads.

`Leads` is what the rules about a client's TwiML go by: each attribute and each content has one.
"""

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.twiml.addresses import sip_domain, web_origin


class Leads(enum.StrEnum):
    """Where a value leads, which decides who may write it."""

    NOWHERE = "nowhere"
    """It changes how something sounds, or how long it lasts."""
    SOUND = "sound"
    """A file that is played or attached; anybody's."""
    PHONE = "phone"
    """A phone that is called or texted."""
    CALLER_ID = "caller_id"
    """The number that the called party sees."""
    HOST = "host"
    """A web address that Twilio asks for TwiML, reports to, or streams a call to."""
    SIP = "sip"
    """A SIP address that is called."""
    NAME = "name"
    """A name that all of a Twilio account share: whoever says it gets the same thing."""
    ACCOUNT = "account"
    """Something of the Twilio account by its SID: nobody can tell whose it is, so nobody may."""


Check = Callable[[str], str | None]
"""Takes a value; returns what it should be, or None if it is right."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a value has to look like, and where it leads."""

    check: Check
    leads: Leads = Leads.NOWHERE

    def __call__(self, value: str) -> str | None:
        """Return what the value should be, or None if it is right."""
        return self.check(value)


def one_of(*words: str) -> Value:
    """Allow one of `words`."""
    return Value(lambda value: None if value in words else f"one of {', '.join(words)}")


def some_of(*words: str) -> Value:
    """Allow some of `words`, separated by spaces."""

    def check(value: str) -> str | None:
        given = value.split()
        good = bool(given) and set(given) <= set(words)
        return None if good else f"one or more of {', '.join(words)}, separated by spaces"

    return Value(check)


def number(least: int, most: int, *also: str) -> Value:
    """Allow a whole number from `least` to `most`, or one of the words `also`."""

    def check(value: str) -> str | None:
        if value in also:
            return None
        good = re.fullmatch(r"[0-9]{1,10}", value) and least <= int(value) <= most
        return None if good else f"a whole number from {least} to {most}"

    return Value(check)


def like(pattern: str, description: str, leads: Leads = Leads.NOWHERE) -> Value:
    """Allow what matches `pattern` as a whole."""
    compiled = re.compile(pattern)
    return Value(lambda value: None if compiled.fullmatch(value) else description, leads)


def text(most: int = 4000) -> Value:
    """Allow any text of at most `most` characters."""
    return Value(lambda value: None if len(value) <= most else f"at most {most} characters long")


def name(most: int) -> Value:
    """Allow a name that an account shares, of 1 to `most` characters."""

    def check(value: str) -> str | None:
        return None if value.strip() and len(value) <= most else f"a name of 1 to {most} characters"

    return Value(check, Leads.NAME)


def _web(value: str) -> str | None:
    good = value.startswith(("https://", "http://")) and web_origin(value)
    return None if good else "an address that begins with https:// or http://"


def _stream(value: str) -> str | None:
    good = value.startswith("wss://") and web_origin(value)
    return None if good else "an address that begins with wss://"


def _sip(value: str) -> str | None:
    return None if sip_domain(value) else "a SIP address such as sip:desk@example.edu"


ANY: Final = text(64_000)
BOOL: Final = one_of("true", "false")
METHOD: Final = one_of("GET", "POST")
SOUND: Final = like(
    r"https?://[^\s/?#]+\S*", "an address that begins with https:// or http://", Leads.SOUND
)
WEB: Final = Value(_web, Leads.HOST)
WEB_OR_NONE: Final = Value(lambda value: _web(value) if value else None, Leads.HOST)
"""Where an empty address means none at all (waitUrl: silence instead of music)."""
STREAM: Final = Value(_stream, Leads.HOST)
SIP: Final = Value(_sip, Leads.SIP)
KEYS: Final = like(r"[0-9*#]*", "keys out of 0-9, * and #")
LANGUAGE: Final = like(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", "a language such as en-US")
VOICE: Final = like(
    r"man|woman|alice|(Polly|Google)\.[A-Za-z0-9-]+", "man, woman, Polly.… or Google.…"
)
_PHONE: Final = (r"\+?[0-9]{5,15}", "a phone number such as +13195550100")
CALLER_ID: Final = like(*_PHONE, Leads.CALLER_ID)
PHONE: Final = Value(lambda _value: None, Leads.PHONE)
"""A phone as people write it: the rules of phones say what is wrong with it."""
OF_THE_ACCOUNT: Final = Value(lambda _value: None, Leads.ACCOUNT)
