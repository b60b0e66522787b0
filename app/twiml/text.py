"""Text made fit for XML and for Twilio's limits.

A control character in a document makes it unparseable for Twilio (error 12100), and the
twilio library escapes only ``& < >``; so every text passes through `clean` first.
"""

import re

MAX_BODY = 1600
"""Longest body of a text, in UTF-16 units (Twilio error 21617; of a reply warning 14103)."""

# XML 1.0 allows tab, line feed, carriage return and everything from the space on, except
# surrogates and U+FFFE/U+FFFF. The C1 controls (U+007F to U+009F) are legal there but nobody can
# read or hear them, so they go as well.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_LINE_END = re.compile("\r\n?|\x85|\u2028|\u2029")


def clean(text: str) -> str:
    """Return `text` without characters that XML 1.0 forbids, each line end one line feed."""
    return _UNFIT.sub("", _LINE_END.sub("\n", text))


def utf16_units(text: str) -> int:
    """Count `text` in UTF-16 code units, as Twilio counts the length of a message body."""
    if text.isascii():
        return len(text)
    return len(text) + sum(character > "\uffff" for character in text)


def trim(text: str, limit: int, mark: str = "...") -> str:
    """Return `text` cut to at most `limit` UTF-16 units, ending in `mark` if anything was cut.

    A surrogate pair is never halved. The mark is plain ASCII by default, because the single
    character for an ellipsis would turn a GSM-7 message into UCS-2.
    """
    if utf16_units(text) <= limit:
        return text
    room = limit - utf16_units(mark)
    if room < 0:
        room, mark = limit, ""
    return (
        text.encode("utf-16-le", "surrogatepass")[: room * 2].decode("utf-16-le", "ignore") + mark
    )


def split(text: str, limit: int, encoded_limit: int | None = None) -> list[str]:
    """Split `text` into pieces of at most `limit` characters, at sentence ends where possible.

    Otherwise it splits at spaces, and inside a word only where one word is longer than a piece.
    `encoded_limit`, if given, also bounds each piece in bytes of its URL-encoded form.
    Blank text gives no pieces; the pieces, joined by spaces, read like the text.
    """
    pieces: list[str] = []
    rest = text.strip()
    while rest:
        window = _longest_prefix(rest, limit, encoded_limit)
        if window == len(rest):
            pieces.append(rest)
            break
        cut = _sentence_end(rest, window) or _space(rest, window) or window
        pieces.append(rest[:cut].strip())
        rest = rest[cut:].strip()
    return pieces


def _longest_prefix(text: str, limit: int, encoded_limit: int | None) -> int:
    window = min(limit, len(text))
    if encoded_limit is None:
        return window
    used = 0
    for index, character in enumerate(text[:window]):
        used += _encoded_size(character)
        if used > encoded_limit:
            return max(index, 1)
    return window


def _encoded_size(character: str) -> int:
    if character.isascii() and (character.isalnum() or character in "-_.~"):
        return 1
    return 3 * len(character.encode("utf-8", "surrogatepass"))


def _sentence_end(text: str, window: int) -> int:
    """Return the index after the last sentence end in the second half of the window, or 0."""
    ends = [found.end() for found in re.finditer(r"[.!?](?=\s)", text[: window + 1])]
    return ends[-1] if ends and window // 2 <= ends[-1] <= window else 0


def _space(text: str, window: int) -> int:
    return max((text.rfind(space, 0, window + 1) for space in " \n\t"), default=-1) + 1 or 0
