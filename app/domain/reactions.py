"""Reactions: what a phone sends as a text when somebody taps a heart or a thumb beside ours.

Messages (Apple) and Messages (Google) turn a reaction into a sentence that quotes the text it is
about: ``Liked “…”``, ``👍 to “…”``. Such a sentence is nobody's message, and the words
that it quotes are our own. The forms are those of public reports, in English, Spanish and French.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import regex

KINDS: Final = ("like", "love", "dislike", "laugh", "emphasize", "question", "other")


@dataclass(frozen=True, slots=True)
class Reaction:
    """What somebody showed, about which text."""

    kind: str
    """One of :data:`KINDS`."""
    removed: bool = False
    """It was taken back."""
    quotes: str | None = None
    """The text it is about as the phone quotes it, perhaps cut short (``…``); None for a picture
    and the like."""


_GAVE: Final = "[AÀ] (?:attribué la mention|ajouté un)"
_SAID: Final = {
    # What Apple's phones write, by kind; for a removal the noun that stands behind “Removed a”.
    "like": r"Liked|(?:Le|Me) (?:ha )?gust(?:[óo]|ado)"
    rf"|(?:[AÀ] aim[ée]|{_GAVE} « ?J[’']aime ?» à)",
    "love": r"Loved|(?:Le|Me) (?:ha )?encant(?:[óo]|ado)"
    rf"|(?:[AÀ] ador[ée]|{_GAVE} « ?(?:J[’'])?Adore ?» à)",
    "dislike": r"Disliked|No (?:le|me) (?:ha )?gust(?:[óo]|ado)"
    rf"|(?:N[’']a pas aim[ée]|{_GAVE} « ?Je n[’']aime pas ?» à)",
    "laugh": r"Laughed at|(?:Le|Me) dio risa|Se ri[óo] (?:de|con)"
    r"|[AÀ] (?:ri (?:de|à)|trouvé drôle)",
    "emphasize": r"Emphasi[sz]ed|Exclam[óo] (?:por|ante)|Enfatiz[óo]|Destac[óo]"
    r"|[AÀ] (?:insisté sur|mis l[’']accent sur|mis en évidence|accentué|souligné)",
    "question": r"Questioned|Dud[óo] (?:sobre|de)|Cuestion[óo]|Pregunt[óo] por"
    r"|[AÀ] (?:remis en question|posé une question sur|questionné)"
    r"|S[’']est interrogé(?:e|\(e\))? sur",
    "other": r"Reacted with a sticker to|Reaccion[óo] con una? (?:sticker|pegatina) a"
    r"|[AÀ] réagi avec un (?:sticker|autocollant) à",
}
_TAKEN_BACK: Final = {
    "like": r"a like|un me gusta|(?:un|la mention)(?: « ?J[’']aime ?»| J[’']aime)",
    "love": r"a heart|un coraz[óo]n|un me encanta|un cœur|un coeur",
    "dislike": r"a dislike|un no me gusta|(?:un|la mention) « ?Je n[’']aime pas ?»",
    "laugh": r"a laugh|una risa|un rire",
    "emphasize": r"an exclamation(?: mark)?|una exclamaci[óo]n|un point d[’']exclamation",
    "question": r"a question mark|un signo de interrogaci[óo]n|una interrogaci[óo]n"
    r"|un point d[’']interrogation",
    "other": r"a sticker|a reaction|una? (?:sticker|pegatina|reacción)|un autocollant|une réaction",
}
_EMOJI: Final = (
    r"(?:(?:[\p{Extended_Pictographic}\U0001F1E6-\U0001F1FF]|[#*0-9](?=\ufe0f?\u20e3))\p{M}*"
    r"(?:\u200d|[\U0001F3FB-\U0001F3FF\U000E0020-\U000E007F\u20e3])*){1,12}"
)
_PICTURES: Final = (
    ("like", "👍"), ("love", "❤♥💕💖💗💘💙💚💛💜🖤🤍🤎🧡😍🥰😘"), ("dislike", "👎"),
    ("laugh", "😂🤣😆😄😁😹"), ("emphasize", "‼❗❕"), ("question", "❓❔⁉"),
)  # fmt: skip
_CLOSED_BY: Final = {"“": "”", '"': '"', "«": "»", "‘": "’", "'": "'"}
_QUOTE: Final = rf"(?P<quotation>[{''.join(_CLOSED_BY)}].+)"
_THING: Final = (
    r"(?:an?|un|une|una|\d{1,3}) (?:image|photo|live photo|picture|movie|video|audio message"
    r"|voice message|sticker|GIF|Memoji|message|file|attachment|link|contact|contact card|location"
    r"|imagen|foto|película|v[íi]deo|mensaje(?: de (?:audio|voz))?|adjunto|archivo(?: adjunto)?"
    r"|enlace|ubicación|message (?:audio|vocal)|pièce jointe|lien|vidéo|autocollant|contacto)"
    r"(?:e?s)?"
)
_ABOUT: Final = rf"\s*(?:{_QUOTE}|{_THING})"


def _forms() -> list[tuple[str | None, bool, regex.Pattern[str]]]:
    forms: list[tuple[str | None, bool, str]] = []
    for kind, verb in _SAID.items():
        forms.append((kind, False, rf"(?:{verb}){_ABOUT}"))
    removed = r"(?:Removed|Quit[óo]|Elimin[óo]|[AÀ] (?:supprimé|retiré|enlevé))"
    from_ = r"(?:from|de|a|sur|à|du|pour)"
    for kind, noun in _TAKEN_BACK.items():
        forms.append((kind, True, rf"{removed} (?:{noun}) {from_}{_ABOUT}"))
    shown = rf"(?P<emoji>{_EMOJI})"
    reacted = r"(?:Reacted(?: with)?|Reaccion[óo] con|[AÀ] réagi (?:avec|par))"
    forms += [
        (None, False, rf"{reacted} {shown} (?:to|a|à){_ABOUT}"),
        (None, True, rf"{removed} (?:an? )?{shown} (?:reaction )?{from_}{_ABOUT}"),
        # Google's phones put blanks that cannot be seen around picture and quotation.
        (None, False, rf"{shown}\s+(?:to|a|à|para|pour|sur|en)\s+(?:{_QUOTE}|{_THING})"),
        (None, True, rf"{shown}\s+(?:was\s+)?removed\s+from\s+{_QUOTE}"),
    ]
    return [
        (kind, gone, regex.compile(form, regex.DOTALL | regex.IGNORECASE))
        for kind, gone, form in forms
    ]


_FORMS: Final = _forms()
_UNSEEN: Final = regex.compile(r"[\u200b-\u200c\u200e\u200f\u2060\ufeff\u202a-\u202e\u2066-\u2069]")
_BLANKS: Final = regex.compile(r"\s+")


def parse(body: str) -> Reaction | None:
    """Return the reaction that a text is, or None for a text that somebody wrote."""
    text = _UNSEEN.sub("", body).strip()
    for kind, removed, form in _FORMS:
        if found := form.fullmatch(text):
            groups = found.groupdict()
            quotation = groups.get("quotation")
            quotes = _unquoted(quotation) if quotation else None
            if quotation and not quotes:
                return None
            return Reaction(kind or _kind(groups["emoji"]), removed, quotes)
    return None


def _unquoted(quotation: str) -> str | None:
    """Return what stands between the marks; None if they close before the end.

    `“Hamlet”, but not “Othello”` is what somebody wrote. A long quotation may have lost its end.
    """
    begin, end = quotation[0], _CLOSED_BY[quotation[0]]
    depth = 0
    for at, mark in enumerate(quotation):
        if mark not in (begin, end):
            continue
        before, after = quotation[at - 1 : at], quotation[at + 1 : at + 2]
        if before.isalnum() and after.isalnum():
            continue  # an apostrophe
        opens = mark == begin and (begin != end or not before or _is_between(before, after))
        depth += 1 if opens else -1
        if not depth:
            return quotation[1:at].strip() if at == len(quotation) - 1 else None
    said = quotation[1:].strip()
    if said.endswith(_CUT):
        return said
    return f"{said}…" if len(said) >= _LONG else None


def _is_between(before: str, after: str) -> bool:
    """Tell whether a straight mark begins something: a blank before it and none behind."""
    return before.isspace() and bool(after) and not after.isspace()


def is_about(quotes: str, text: str) -> bool:
    """Tell whether a reaction's quotation is of ``text``: phones cut long ones short with ``…``."""
    said, sent = _plain(quotes), _plain(text)
    if said == sent:
        return True
    cut = said.rstrip("".join(_CUT)).rstrip()
    return said != cut and len(cut) >= _SHORTEST_CUT and sent.startswith(cut)


_SHORTEST_CUT: Final = 10
_CUT: Final = ("…", "...")
_LONG: Final = 60
"""Characters from which on a quotation without an end is one that was cut, on its way or before."""


def _plain(text: str) -> str:
    return _BLANKS.sub(" ", _UNSEEN.sub("", text)).strip()


def _kind(emoji: str) -> str:
    first = emoji[0]
    return next((kind for kind, pictures in _PICTURES if first in pictures), "other")
