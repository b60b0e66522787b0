"""What a file is, told by its content: a name and a declared type can say anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Final

EXTENSIONS: Final = {
    "image/jpeg": "jpg", "image/png": "png", "image/gif": "gif", "image/bmp": "bmp",
    "image/tiff": "tiff", "image/heic": "heic", "image/heif": "heif",
    "audio/mpeg": "mp3", "audio/mp4": "m4a", "audio/ogg": "ogg", "audio/amr": "amr",
    "audio/vnd.wave": "wav", "audio/wav": "wav", "audio/aiff": "aiff", "audio/gsm": "gsm",
    "audio/ulaw": "ulaw", "audio/basic": "au",
    "video/mp4": "mp4", "video/mpeg": "mpg", "video/quicktime": "mov", "video/webm": "webm",
    "video/3gpp": "3gp", "video/3gpp2": "3g2",
    "text/vcard": "vcf", "text/x-vcard": "vcf", "text/calendar": "ics", "text/csv": "csv",
    "text/rtf": "rtf", "application/pdf": "pdf", "application/vnd.apple.pkpass": "pkpass",
}  # fmt: skip
"""The usual ending of a file of each type."""

_STARTS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"#!AMR", "audio/amr"),
    (b".snd", "audio/basic"),
    (b"\0\0\x01\xba", "video/mpeg"),
    (b"\0\0\x01\xb3", "video/mpeg"),
    (b"{\\rtf", "text/rtf"),
)
_BRANDS: Final = {
    b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif", b"msf1": "image/heif",
    b"qt  ": "video/quicktime", b"M4A ": "audio/mp4", b"M4B ": "audio/mp4",
    b"3g2a": "video/3gpp2", b"3g2b": "video/3gpp2", b"3g2c": "video/3gpp2",
    b"isom": "video/mp4", b"iso2": "video/mp4", b"iso4": "video/mp4", b"iso5": "video/mp4",
    b"iso6": "video/mp4", b"mp41": "video/mp4", b"mp42": "video/mp4", b"avc1": "video/mp4",
    b"M4V ": "video/mp4", b"MSNV": "video/mp4", b"dash": "video/mp4",
}  # fmt: skip
"""Of files in ISO's container: the four letters after ``ftyp``."""


def type_of(filename: str, content: bytes) -> str | None:
    """Return the MIME type of ``content``, or None where it is none of those known here.

    The name decides only between kinds that look alike: tables (text) and passes (ZIP archives).
    """
    for start, found in _STARTS:
        if content.startswith(start):
            return found
    for look in (_container, _riff, _webm, _text):
        if name := look(content):
            return name
    if is_mpeg_frame(content[:4]):
        return "audio/mpeg"
    return _by_name(PurePath(filename).suffix.lower(), content)


def is_mpeg_frame(start: bytes) -> bool:
    """Tell an MPEG audio frame: eleven set bits, then no reserved version, layer or rate."""
    if len(start) < 4 or start[0] != 0xFF or start[1] & 0xE0 != 0xE0:
        return False
    version, layer = start[1] >> 3 & 3, start[1] >> 1 & 3
    return version != 1 and layer != 0 and start[2] >> 4 != 15 and start[2] >> 2 & 3 != 3


def _container(content: bytes) -> str | None:
    if content[4:8] != b"ftyp":
        return None
    brand = content[8:12]
    return "video/3gpp" if brand.startswith(b"3gp") else _BRANDS.get(brand)


def _riff(content: bytes) -> str | None:
    is_wave = content.startswith(b"RIFF") and content[8:12] == b"WAVE"
    return "audio/vnd.wave" if is_wave else None


def _webm(content: bytes) -> str | None:
    is_webm = content.startswith(b"\x1aE\xdf\xa3") and b"webm" in content[:64]
    return "video/webm" if is_webm else None


def _text(content: bytes) -> str | None:
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:15].upper()
    if start.startswith(b"BEGIN:VCARD") and b"END:VCARD" in content.upper():
        return "text/vcard"
    if start.startswith(b"BEGIN:VCALENDAR"):
        return "text/calendar"
    return None


def _by_name(ending: str, content: bytes) -> str | None:
    checks: dict[str, tuple[str, Callable[[bytes], bool]]] = {
        ".csv": ("text/csv", lambda found: not re.search(rb"[\x00-\x08\x0e-\x1f]", found)),
        ".pkpass": (
            "application/vnd.apple.pkpass", lambda found: found.startswith(b"PK\x03\x04"),
        ),
    }  # fmt: skip
    kind, fits = checks.get(ending, ("", bool))
    return kind if kind and content and fits(content) else None
