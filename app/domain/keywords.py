"""The words by which people opt out and in and ask for help, read as people write them.

One reading for everything that is compared with a text: Twilio's and the carriers' words, those of
a client's languages, and a number's own keywords. `“Stop.”`, `ＳＴＯＰ` and `stop 🙏` are the word
STOP: what stands around a word is not what it says. A sentence is never a keyword.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from app.domain import wishes
from app.domain.one_line import FILLERS
from app.models.incoming import OptOut

TWILIO_WORDS: Final[Mapping[str, OptOut]] = {
    **dict.fromkeys(
        ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"), OptOut.STOP
    ),
    **dict.fromkeys(("START", "YES", "UNSTOP"), OptOut.START),
    **dict.fromkeys(("HELP", "INFO"), OptOut.HELP),
}
"""On these, and only on exactly these, Twilio acts and answers itself (“Twilio support for opt-out
keywords”; REVOKE and OPTOUT since 2025)."""
YES: Final = "YES"

_MORE: Final[Mapping[str, Mapping[OptOut, str]]] = {
    # In two words: 47 CFR 64.1200(a)(10) and CTIA's Messaging Principles, 5.1.3.
    "en": {
        OptOut.STOP: "OPT_OUT STOP_ALL",
        OptOut.START: "OPT_IN OPTIN",
        OptOut.HELP: "",
    },
    "es": {
        OptOut.STOP: "PARAR PARE DETENER ALTO BAJA CANCELAR CANCELA TERMINAR FIN SALIR BASTA",
        OptOut.START: "INICIAR INICIO COMENZAR EMPEZAR ALTA REANUDAR",
        OptOut.HELP: "AYUDA INFORMACION",
    },
    # ARRET, ARRETE, ARRETT: Twilio, “Opt-out keywords” of Proxy.
    "fr": {
        OptOut.STOP: "ARRET ARRETE ARRETT ARRETER ARRETEZ FIN ANNULER DESABONNER DESABONNEMENT"
        " DESINSCRIRE",
        OptOut.START: "DEBUT DEBUTER COMMENCER DEMARRER REPRENDRE ABONNER",
        OptOut.HELP: "AIDE INFOS",
    },
    # TD and T are the words of China's carriers for 退订.
    "zh": {
        OptOut.STOP: "停止 停 退订 退訂 取消 取消订阅 取消訂閱 结束 結束 TD T",
        OptOut.START: "开始 開始 订阅 訂閱 恢复 恢復",
        OptOut.HELP: "帮助 幫助 帮忙 說明 说明",
    },
}
LANGUAGES: Final = tuple(_MORE)
"""The languages whose words come along; an owner adds words of others."""
MAX_WORDS: Final = 2
"""How many words a keyword of an owner may have."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a text asks for by a keyword."""

    what: OptOut
    exact: bool
    """It is Twilio's own word as Twilio reads it: Twilio has acted and answered already."""
    word: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words that count for one client, folded as :func:`fold` does it."""

    words: Mapping[str, OptOut]

    @classmethod
    def of(
        cls, languages: Iterable[str] = ("en",), own: Mapping[str, Iterable[str]] | None = None
    ) -> Vocabulary:
        """Return Twilio's words, those of the languages, and a client's own (``opt_words``).

        :param own: by ``stop``, ``start`` and ``help``. They give way to Twilio's.
        """
        words: dict[str, OptOut] = {}
        for language in ("en", *languages):
            for what, listed in _MORE.get(language, {}).items():
                words |= dict.fromkeys((fold(word) for word in listed.split()), what)
        for what in OptOut:
            given = (own or {}).get(what.lower(), ())
            words |= dict.fromkeys(map(fold, given), what)
        return cls({**words, **TWILIO_WORDS})

    def read(self, body: str) -> Asked | None:
        """Return what a whole text asks for; None for everything but a keyword."""
        bare = body.strip(_BLANK)
        exact = TWILIO_WORDS.get(bare.upper()) if bare.isascii() else None
        if exact:
            return Asked(exact, True, bare.upper())
        word = fold(body)
        what = self.words.get(word)
        return Asked(what, False, word) if what else None


def read(text: str) -> str:
    """Return what a text says if it is a word: in upper case, without what stands around it.

    Full-width and other forms of the same letters are one (NFKC); what cannot be seen, punctuation,
    quotation marks, symbols and emoji are left out at both ends, and blanks inside are single.
    """
    # A text of any length is looked at no further than a keyword could reach.
    if len(text) > _LONGEST:
        return ""
    if text.isascii():  # most are; for them the rules below come to this
        return " ".join(_UNSEEN_ASCII.sub("", text).strip(_SILENT_ASCII).upper().split())
    seen = unicodedata.normalize("NFKC", text)
    seen = "".join(one for one in seen if not _is_unseen(one))
    # Letters in boxes are pictures beside a word, and letters where there is no word.
    return _within(seen) or _within(seen.translate(_IN_BOXES))


def _within(seen: str) -> str:
    start, end = 0, len(seen)
    while start < end and not _says(seen[start]):
        start += 1
    while end > start and not _says(seen[end - 1]):
        end -= 1
    return " ".join(seen[start:end].upper().split())


def fold(text: str) -> str:
    """Return :func:`read` without accents and with single underscores between words.

    Phones leave accents out and put others in (`arrêt`), and write `opt-out` for `opt out`. Greek
    and Cyrillic letters that look like Latin ones count as these: a person sees no difference.
    """
    plain = read(text)
    if not plain.isascii():
        apart = unicodedata.normalize("NFD", plain)
        plain = "".join(one for one in apart if unicodedata.category(one) != "Mn")
        plain = unicodedata.normalize("NFC", plain).translate(_LOOK_ALIKES)
    return _BETWEEN.sub("_", plain)


def sounds_like_stop(body: str) -> bool:
    """Tell whether somebody may want no more texts, in words on which nobody acts by itself.

    The FCC lets people revoke consent "by any reasonable means": a person has to read these.
    Spanish, French and Chinese wishes are seen whatever the client's languages are.
    """
    word = fold(body)
    return (
        word in _STOPS_ANYWHERE
        or wishes.is_one(body)
        or _is_almost_a_stop(word)
        or _is_a_polite_stop(word)
    )


def _is_a_polite_stop(word: str) -> bool:
    """Tell of a word that means STOP and a please or thanks, which make a sentence of it."""
    bare = _POLITE.sub("_", word).strip("_.,;:!?¡¿")
    return bare != word and (bare in _STOPS_ANYWHERE or TWILIO_WORDS.get(bare) is OptOut.STOP)


def _is_almost_a_stop(word: str) -> bool:
    """Tell whether a word is STOP or UNSUBSCRIBE spelled out or mistyped.

    `S T O P`, `stooop` and `stpo` are, `shop` and `step` are not: letters that are there twice, in
    each other's place or apart, but none that is another; a zero is an O.
    """
    word = word.translate(_DISGUISES)
    parts = re.split(r"[_\W]+", word)
    joined = "".join(parts)
    if len(parts) > 1 and any(len(part) > 1 for part in parts):
        return False
    once = re.sub(r"(.)\1+", r"\1", joined)
    if once == "STOP" or joined in _SWAPPED:
        return True
    if not joined.startswith("UN"):
        return False
    return SequenceMatcher(None, joined, "UNSUBSCRIBE").ratio() >= _ALIKE


_SWAPPED: Final = frozenset({"TSOP", "SOTP", "STPO"})
_ALIKE: Final = 0.85
"""Two letters of UNSUBSCRIBE missing, or one wrong."""
_LOOK_ALIKES: Final = str.maketrans(
    "АВЕЅІЈКМНОРСТУХ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ" + "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ" + "ꞮƦ",
    "ABESIJKMHOPCTYX" + "ABEZHIKMNOPTYX" + "ABCDEFGHIJKLMNOPRSTUVWYZ" + "IR",
)
"""Unicode, “confusables” (UTS #39), as far as capital letters of Greek and Cyrillic go, and the
small capitals that keyboards with fonts write."""
_IN_BOXES: Final = {
    first + number: 65 + number for first in (0x1F150, 0x1F170) for number in range(26)
}
"""The letters on black circles and squares, which NFKC leaves as they are."""
_DISGUISES: Final = str.maketrans("0", "O")
_STOPS_ANYWHERE: Final = frozenset(
    word
    for words in _MORE.values()
    for word in words[OptOut.STOP].split()
    if len(word) > 2 or not word.isascii()
)
"""What means STOP in a language that may not be the client's; letters alone may be any answer."""
_POLITE: Final = re.compile(
    r"(?<![^\W_])(?:PLEASE|PLS|PLZ|THANKS|THANK_(?:YOU|U)|THX|TY|OK|OKAY|NOW|POR_FAVOR|GRACIAS|YA"
    r"|SVP|S.?IL_(?:VOUS|TE)_PLAIT|MERCI|BITTE|DANKE)(?![^\W_])"
)
_BLANK: Final = " \t\r\n\f\v"
_LONGEST: Final = 200
_UNSEEN: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})
_UNSEEN_ASCII: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SILENT_ASCII: Final = "".join(filter(lambda one: not one.isalnum(), map(chr, range(128))))
_BETWEEN: Final = re.compile(r"[\s\-_\u2010-\u2015\u2212]+")


def _says(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN"


def _is_unseen(character: str) -> bool:
    if character in "\n\t":
        return False
    return character in FILLERS or unicodedata.category(character) in _UNSEEN
