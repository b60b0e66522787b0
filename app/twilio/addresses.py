"""How Twilio writes whom a text comes from: a phone, or a phone behind the name of a channel."""

from __future__ import annotations

import re
from typing import Final

from app.models.incoming import TextChannel

_CHANNEL: Final = re.compile(r"([a-z][a-z0-9]{1,20}):(.*)", re.DOTALL | re.IGNORECASE)
_PHONE: Final = re.compile(r"\+[0-9]{5,15}")


def plain(address: str) -> str:
    """Return the phone of ``rcs:+13195550100``; anything else as it is."""
    found = _CHANNEL.fullmatch(address)
    return found[2] if found and _PHONE.fullmatch(found[2]) else address


def channel(sender: str, called: str, media: int) -> TextChannel:
    """Return by what a text came from ``sender`` to ``called``, with so many ``media``.

    The channel is in one of the two addresses ("Channels", Twilio's Messages resource); of a text
    between plain phones only media tell MMS from SMS.
    """
    for address in (sender, called):
        if found := _CHANNEL.fullmatch(address):
            try:
                return TextChannel(found[1].lower())
            except ValueError:
                continue
    return TextChannel.MMS if media else TextChannel.SMS
