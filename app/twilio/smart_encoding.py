"""The characters that Twilio's smart encoding replaces by plain ones of the GSM-7 alphabet.

Written down from Twilio's "Smart Encoding" page. Kept as Twilio ships it, oddities included, so
that an estimate equals the bill: a no-break space becomes two spaces, a tab seven, and the single
angle quotes point the wrong way round.
"""

from typing import Final

_TWINS: Final = {
    '"': "«»“”„‟ʺˮ❝❞〝〞",
    "'": "‘’‛‗`´ʹʻʼʽˈˊˋ❛❜\u0313\u0314\ufe10\ufe11",
    "/": "÷⁄∕⧸\u0337\u0338",
    "\\": "⧵⧹\u20e5\ufe68",
    "_": "\u0332",
    "|": "∣⎸⎹⏐⎜⎟\u20d2\u20d3",
    "-": "‐–—―•⁃⎼⎽\ufe63",
    "@": "\ufe6b",
    "$": "\ufe69",
    "!": "ǃ\ufe15\ufe57",
    "#": "\ufe5f",
    "%": "\ufe6a",
    "&": "\ufe60",
    ",": "‚、､\u0326\ufe50\ufe51",
    "(": "❨❪⟮⦅\ufe59",
    ")": "❩❫⟯⦆\ufe5a",
    "*": "⁎∗⊛✢✣✤✥✱✲✳✺✻✼✽❃❉❊❋⧆\ufe61",
    "+": "˖\ufe62",
    ".": "。｡\ufe52",
    ":": "ː˸⦂꞉\ufe13",
    ";": "⁏\ufe14\ufe54",
    "<": "›\ufe64",
    ">": "‹\ufe65",
    "=": "꞊\u0347\ufe66",
    "?": "\ufe16\ufe56",
    "^": "ˆ\u0302\u1dcd",
    "{": "❴\ufe5b",
    "}": "❵\ufe5c",
    "~": "˜˷∼\u0303\u0330\u0334",
    "...": "…",
    "!!": "‼",
    "1/4": "¼",
    "1/2": "½",
    "3/4": "¾",
    " ": "\u2001\u2028\u2029",
    "  ": "\u00a0\u2000\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
    "\x80\x8d\x90\x9b\x9f",
    "       ": "\t",
    "": "\u200b\u2060\ufeff\x00\x03\x04\x10\x11\x12\x13\x14\x17\x19",
}
_SMALL_CAPITALS: Final = dict(
    zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "ABCDEFGHIJKLMNOPRSTUVWYZ", strict=True)
)
# Full-width forms mirror ASCII at a fixed distance. Twilio replaces the signs, digits and capital
# letters, but not the small letters.
_FULL_WIDTH: Final = {
    chr(code + 0xFEE0): chr(code)
    for code in range(0x21, 0x7F)
    if not chr(code).islower() and chr(code) != "`"
}

REPLACEMENTS: Final[dict[str, str]] = {
    **_FULL_WIDTH,
    **_SMALL_CAPITALS,
    **{twin: plain for plain, twins in _TWINS.items() for twin in twins},
}
"""Character → what is sent in its place."""
