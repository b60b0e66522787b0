"""In which encoding a text file is: told by its first bytes, by UTF-8's own rules, or by names."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final

from app.domain.tables import header
from app.domain.tables.letters import MARK, plausible

_PIECE: Final = 64 * 1024
_SAMPLE: Final = 4 * 1024
"""Most bytes of lines with letters beyond ASCII by which an encoding is judged."""
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
NAMES: Final = {
    "utf-8": "UTF-8",
    "cp1252": "Western European (Windows)",
    "gb18030": "Chinese, simplified (GB 18030)",
    "cp950": "Chinese, traditional (Big5)",
    "cp932": "Japanese (Shift JIS)",
    "euc_jp": "Japanese (EUC)",
    "cp949": "Korean",
    "cp1250": "Central European (Windows)",
    "cp1251": "Cyrillic (Windows)",
    "koi8_u": "Cyrillic (KOI8)",
    "cp1253": "Greek (Windows)",
    "cp1254": "Turkish (Windows)",
    "cp1255": "Hebrew (Windows)",
    "cp1256": "Arabic (Windows)",
    "cp1257": "Baltic (Windows)",
    "cp1258": "Vietnamese (Windows)",
    "cp874": "Thai (Windows)",
    "mac_roman": "Western European (old Mac)",
    "cp850": "Western European (MS-DOS)",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16, big-endian",
}
"""The encodings that a person may choose, in words."""
_USUAL: Final = {
    "utf-8": 1.05, "cp1252": 1.0, "gb18030": 1.0, "cp950": 0.97, "cp932": 0.97, "cp949": 0.97,
    "cp1251": 0.97, "koi8_u": 0.95, "cp1253": 0.95, "cp1255": 0.95, "cp1256": 0.95, "cp874": 0.9,
    "euc_jp": 0.94, "mac_roman": 0.92, "cp850": 0.92, "cp1250": 0.86, "cp1254": 0.78,
    "cp1257": 0.76, "cp1258": 0.72,
}  # fmt: skip
"""How usual each is: what decides between readings that are equally good."""
_BAD_BYTE: Final = {"utf-8": 0.0}
"""Points of a byte that cannot be read: letters that UTF-8 can read are hardly ever by chance."""
_HANGUL: Final = re.compile("[\uac00-\ud7a3]")
_MANY, _SURELY_KOREAN = 8, 1.15
"""A few Chinese characters may read as Korean ones in daily use; that many do not by chance."""
_NAMED: Final = 0.2
_SURE, _APART, _SHOWN = 0.75, 0.12, 5


@dataclass(frozen=True)
class Reading:
    """A file's names as one encoding reads them."""

    encoding: str
    score: float
    names: tuple[str, ...]


@dataclass(frozen=True)
class Recognised:
    """The likeliest encoding, whether it is certain, and the other readings, the best first."""

    encoding: str
    sure: bool
    readings: tuple[Reading, ...] = ()
    clean: bool = True
    """Whether every byte of the file can be read in it."""


def recognise(file: BinaryIO, chosen: str | None = None) -> Recognised:
    """Tell the encoding of a file by reading it.

    :param chosen: the encoding that a person chose; it is believed.
    """
    file.seek(0)
    start = file.read(4096)
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), None)
    marked = marked or unmarked_utf16(start)
    if marked and chosen is None:
        return Recognised(marked, True, clean=_decodes(file, marked))
    if chosen is None and _decodes(file, "utf-8"):
        return Recognised("utf-8", True)
    readings = _readings(_lines_beyond_ascii(file))
    if chosen is not None:
        return Recognised(chosen, True, readings, _decodes(file, chosen))
    best = readings[0]
    apart = len(readings) == 1 or best.score - readings[1].score >= _APART
    sure = apart and best.score >= _SURE
    return Recognised(best.encoding, sure, readings, _decodes(file, best.encoding))


@contextmanager
def opened(file: BinaryIO, encoding: str) -> Iterator[io.TextIOWrapper]:
    """Lend the file as text, from its beginning; the file itself stays open.

    A byte that the encoding does not have becomes ``MARK``.
    """
    file.seek(0)
    text = io.TextIOWrapper(file, encoding, _HANDLER, newline="")
    try:
        yield text
    finally:
        text.detach()


def unmarked_utf16(start: bytes) -> str | None:
    """Tell UTF-16 without its mark: every other byte of Western text is zero."""
    if len(start) < 4:
        return None
    even, odd = start[0::2].count(0), start[1::2].count(0)
    most = len(start) // 2
    if odd > 0.4 * most and even < 0.05 * most:
        return "utf-16-le"
    if even > 0.4 * most and odd < 0.05 * most:
        return "utf-16-be"
    return None


def _decodes(file: BinaryIO, encoding: str) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        while piece := file.read(_PIECE):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _lines_beyond_ascii(file: BinaryIO) -> bytes:
    """Return lines that ASCII cannot spell, from the beginning of the file on."""
    file.seek(0)
    found, size = [], 0
    while size < _SAMPLE and (line := file.readline(_PIECE)):
        if not line.isascii():
            found.append(line)
            size += len(line)
    return b"".join(found)[: 2 * _SAMPLE]


def _readings(sample: bytes) -> tuple[Reading, ...]:
    """Return how each encoding reads the sample, the likeliest first, each reading once."""
    best: dict[str, Reading] = {}
    for encoding, usual in _USUAL.items():
        text = sample.decode(encoding, _HANDLER)
        score = usual * plausible(text, _FIRST_LEVEL.get(encoding), _BAD_BYTE.get(encoding, -2.0))
        if encoding == "cp949" and score >= usual and len(_HANGUL.findall(text)) >= _MANY:
            score = _SURELY_KOREAN
        score += _NAMED if _names_columns(text) else 0.0
        if text not in best or best[text].score < score:
            best[text] = Reading(encoding, score, _names(text))
    return tuple(sorted(best.values(), key=lambda one: -one.score))


def _names_columns(text: str) -> bool:
    """Tell whether a header is among what was read: words that are known are there by no chance."""
    return header.known_names([one for one in _names(text) if not one.isascii()]) > 0


def _names(text: str) -> tuple[str, ...]:
    """Return some cells with letters beyond ASCII, to be looked at by a person."""
    cells = (
        cell.strip(" \"'")
        for line in text.replace("\r", "\n").split("\n")
        for cell in line.replace(";", ",").replace("\t", ",").split(",")
    )
    shown = (
        "".join(one if one.isprintable() else "\ufffd" for one in cell)
        for cell in cells
        if not cell.isascii()
    )
    return tuple(list(dict.fromkeys(one[:60] for one in shown))[:_SHOWN])


def _leads(encoding: str, first: int, last: int) -> Callable[[str], bool]:
    """Make a test whether a character's first byte lies in a range, in the encoding's standard."""

    def test(one: str) -> bool:
        try:
            return first <= one.encode(encoding)[0] <= last
        except UnicodeEncodeError:
            return False

    return test


_FIRST_LEVEL: Final = {
    "gb18030": _leads("gb2312", 0xB0, 0xD7),
    "cp950": _leads("big5", 0xA4, 0xC6),
    "cp932": _leads("shift_jis", 0x81, 0x98),
    "euc_jp": _leads("shift_jis", 0x81, 0x98),
    "cp949": _leads("euc_kr", 0xB0, 0xC8),
}
"""The first levels: GB 2312 rows 16–55, Big5 A4–C6, JIS X 0208 level 1, KS X 1001's Hangul."""


def _mark(error: UnicodeError) -> tuple[str, int]:
    """Put ``MARK`` in the place of one byte that cannot be read, and go on behind it."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wide = error.encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32", "utf16"))
    return MARK, error.end if wide else error.start + 1


_HANDLER: Final = "dispatch-mark"
codecs.register_error(_HANDLER, _mark)
