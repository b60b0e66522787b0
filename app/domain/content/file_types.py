"""What a file is: its bytes say so first, then whoever sent it, and its name hardly at all.

Signatures are those of the formats' own papers. The libraries of the field were tried and call a
text that begins with “BM” a picture, and know neither AMR-WB nor half of ISO's brands; the kinds
that phones send are few, so they stand here.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Final

from app.domain.content.file_names import EXTENSIONS as EXTENSIONS
from app.domain.content.file_names import UNKNOWN as UNKNOWN
from app.domain.content.file_names import extension as extension
from app.domain.content.file_names import plain as plain

_TAKEN: Final = re.compile(
    r"image/(jpeg|jpg|png|gif|bmp|tiff|heic|heif)"
    r"|audio/(basic|l24|mp4|mpeg|ogg|vnd\.rn-realaudio|vnd\.wave|3gpp|3gpp2|ac3|webm|amr-nb|amr)"
    r"|video/(mpeg|mp4|quicktime|webm|3gpp|3gpp2|3gpp-tt|h261|h263|h263-1998|h263-2000|h264)"
    r"|text/(vcard|x-vcard|csv|rtf|richtext|calendar|directory)"
    r"|application/(pdf|vcard|vnd\.apple\.pkpass)"
)

_STARTS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"MThd", "audio/midi"),
    (b"caff", "audio/x-caf"),
    (b".snd", "audio/basic"),
    (b"\0\0\x01\xba", "video/mpeg"),
    (b"\0\0\x01\xb3", "video/mpeg"),
    (b"PK\x03\x04", "application/zip"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf"),
    (b"FLV\x01", "video/x-flv"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
)
_TEXTUAL: Final[tuple[tuple[bytes, str], ...]] = (
    (b"%PDF-", "application/pdf"),
    (b"{\\rtf", "text/rtf"),
    (b"#!AMR\n", "audio/amr"),  # RFC 4867, 5.1
    (b"#!AMR-WB\n", "audio/amr-wb"),
)
"""Beginnings that nothing else has, even where all that follows could be read as a text."""
_BRANDS: Final = {
    b"heic": "image/heic", b"heix": "image/heic", b"heim": "image/heic", b"heis": "image/heic",
    b"hevc": "image/heic", b"hevx": "image/heic", b"avif": "image/avif", b"avis": "image/avif",
    b"mif1": "image/heif", b"msf1": "image/heif",
    b"qt  ": "video/quicktime", b"M4A ": "audio/mp4", b"M4B ": "audio/mp4", b"F4A ": "audio/mp4",
    b"avc1": "video/mp4", b"M4V ": "video/mp4", b"MSNV": "video/mp4", b"dash": "video/mp4",
    b"mmp4": "video/mp4", b"f4v ": "video/mp4", b"F4V ": "video/mp4", b"NDSC": "video/mp4",
}  # fmt: skip
"""Of files in ISO's container: the four letters of what it is made of (MP4RA's list)."""
_FAMILIES: Final = ((b"3g2", "video/3gpp2"), (b"3g", "video/3gpp"), (b"iso", "video/mp4"),
                    (b"mp4", "video/mp4"))  # fmt: skip
_QUICKTIME: Final = frozenset((b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"))
"""The atoms that an old QuickTime file begins with (Apple, QuickTime File Format)."""
_FORMS: Final = {
    b"RIFFWAVE": "audio/vnd.wave", b"RIFFWEBP": "image/webp", b"RIFFQLCM": "audio/qcelp",
    b"FORMAIFF": "audio/aiff", b"FORMAIFC": "audio/aiff", b"RIFFAVI ": "video/x-msvideo",
}  # fmt: skip
_ALIKE: Final = (
    {"audio/vnd.wave", "audio/wav"},
    {"image/heic", "image/heif"},
    {"text/vcard", "text/directory"},  # RFC 2425: what vCards were called
)
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_PROOF: Final = 64
"""Characters of a text beyond which no picture, sound or film can be that short and all letters."""


def accepted(content_type: str) -> bool:
    """Tell whether Twilio takes files of this type (“Accepted content types for media”)."""
    return _TAKEN.fullmatch(content_type.lower()) is not None


def identify(content: bytes, declared: str = "") -> str:
    """Return the MIME type of what somebody sent: always one, whatever the bytes are.

    The bytes decide. Where they name a container of several kinds (a 3GP file of sound only, a ZIP
    archive that is a pass), or nothing at all, ``declared`` is believed.
    """
    said = plain(declared)
    if (found := _signature(content)) is not None:
        return said if _is_a_kind_of(said, found) else found
    text = text_of(content)
    if text is None:
        return said
    if said == UNKNOWN or (_is_heard_or_seen(said) and _is_proof(text, content)):
        return "text/plain"
    return said


def type_of(filename: str, content: bytes) -> str | None:
    """Return the MIME type of a file that a text can show, or None where Twilio takes none such.

    The name decides only between kinds that look alike: tables (text) and passes (ZIP archives).
    """
    found = _signature(content) or ""
    if found == "text/vcard" and not _is_whole_card(content):
        return None
    if accepted(found):
        return found
    return _by_name(PurePath(filename).suffix.lower(), content)


def _is_whole_card(content: bytes) -> bool:
    text = text_of(content) or content.decode("latin-1")
    return "END:VCARD" in text.upper()


def is_mpeg_frame(start: bytes) -> bool:
    """Tell a frame of MPEG audio, layer II or III: eleven set bits, then nothing reserved.

    Layer I is what nobody sends, and what the byte order mark of a UTF-16 text looks like.
    """
    if len(start) < 4 or start[0] != 0xFF or start[1] & 0xE0 != 0xE0:
        return False
    version, layer = start[1] >> 3 & 3, start[1] >> 1 & 3
    return version != 1 and layer in (1, 2) and start[2] >> 4 != 15 and start[2] >> 2 & 3 != 3


def text_of(content: bytes) -> str | None:
    """Return what is written, where all of it is UTF-8, or UTF-16 or UTF-32 with its mark."""
    coding = next((name for bom, name in _BOMS if content.startswith(bom)), "utf-8")
    try:
        text = content.decode(coding)
    except UnicodeDecodeError:
        return None
    return text if text and not _CONTROLS.search(text) else None


def charset_of(content: bytes) -> str:
    """Return the charset of a text (:func:`text_of`) by the name that MIME knows."""
    coding = next((name for bom, name in _BOMS if content.startswith(bom)), "utf-8")
    return coding.removesuffix("-sig")


def _signature(content: bytes) -> str | None:
    for start, found in _TEXTUAL:
        if content.startswith(start):
            return found
    text = text_of(content)
    if text is not None:
        return _written(text)
    for start, found in _STARTS:
        if content.startswith(start):
            return found
    for look in (_card, _container, _form, _matroska, _mpeg, _pdf):
        if name := look(content):
            return name
    return None


def _written(text: str) -> str | None:
    start = text.lstrip("\ufeff \t\r\n")[:15].upper()
    if start.startswith("BEGIN:VCARD"):
        return "text/vcard"
    return "text/calendar" if start == "BEGIN:VCALENDAR" else None


def _card(content: bytes) -> str | None:
    """Name a card or calendar whose letters are those of an old computer, as Outlook writes it."""
    return None if b"\0" in content else _written(content[:100].decode("latin-1"))


def _pdf(content: bytes) -> str | None:
    """Name a PDF that something strayed in front of (ISO 32000, annex: within 1024 bytes)."""
    return "application/pdf" if b"%PDF-" in content[:1024] else None


def _container(content: bytes) -> str | None:
    """Name what ISO's container holds: by its own brand, or by those it says it can be read as."""
    if content[4:8] in _QUICKTIME and content[:1] == b"\0":
        return "video/quicktime"  # from before there were brands
    if content[4:8] != b"ftyp":
        return None
    kinds = [kind for brand in _brands(content) if (kind := _of_brand(brand)) is not None]
    # HEIF only says how pictures are put in; another brand says what they are.
    return next((kind for kind in kinds if kind != "image/heif"), kinds[0] if kinds else None)


def _brands(content: bytes) -> Iterator[bytes]:
    yield content[8:12]
    end = min(int.from_bytes(content[:4]), 256)
    for at in range(16, min(end, len(content)) - 3, 4):
        yield content[at : at + 4]


def _of_brand(brand: bytes) -> str | None:
    if brand in _BRANDS:
        return _BRANDS[brand]
    return next((kind for start, kind in _FAMILIES if brand.startswith(start)), None)


def _form(content: bytes) -> str | None:
    return _FORMS.get(content[:4] + content[8:12])


def _matroska(content: bytes) -> str | None:
    if not content.startswith(b"\x1aE\xdf\xa3"):
        return None
    return "video/webm" if b"webm" in content[:64] else "video/x-matroska"


def _mpeg(content: bytes) -> str | None:
    start = content[:4]
    if is_mpeg_frame(start):
        return "audio/mpeg"
    # ADTS (ISO 13818-7): twelve set bits, layer 0, no reserved rate.
    is_adts = len(start) == 4 and start[0] == 0xFF and start[1] & 0xF6 == 0xF0
    return "audio/aac" if is_adts and start[2] >> 2 & 15 < 13 else None


def _is_a_kind_of(said: str, found: str) -> bool:
    """Whether ``said`` says more than the bytes can: sound in a film's container, or of a ZIP."""
    if found == "application/zip":
        return said.startswith("application/") and said != UNKNOWN
    if found == "video/x-ms-asf" and said.startswith(("audio/x-ms-", "video/x-ms-")):
        return True
    if any({said, found} <= alike for alike in _ALIKE):
        return True
    return _is_heard_or_seen(said) and said.partition("/")[2] == found.partition("/")[2]


def _is_heard_or_seen(name: str) -> bool:
    return name.startswith(("image/", "audio/", "video/")) and not name.endswith("+xml")


def _is_proof(text: str, content: bytes) -> bool:
    """Whether this text can be nothing else: it has a mark, or is too long for a coincidence."""
    return len(text) >= _PROOF or any(content.startswith(bom) for bom, _ in _BOMS)


def _by_name(ending: str, content: bytes) -> str | None:
    checks: dict[str, tuple[str, Callable[[bytes], bool]]] = {
        ".csv": ("text/csv", lambda found: not re.search(rb"[\x00-\x08\x0e-\x1f]", found)),
        ".pkpass": (
            "application/vnd.apple.pkpass", lambda found: found.startswith(b"PK\x03\x04"),
        ),
    }  # fmt: skip
    kind, fits = checks.get(ending, ("", bool))
    return kind if kind and content and fits(content) else None
