"""What kinds of files are called: their types by the usual name, and the ending of each."""

from __future__ import annotations

import mimetypes
import re
from typing import Final

UNKNOWN: Final = "application/octet-stream"
_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
EXTENSIONS: Final = {
    "image/jpeg": "jpg", "image/png": "png", "image/gif": "gif", "image/bmp": "bmp",
    "image/tiff": "tiff", "image/heic": "heic", "image/heif": "heif", "image/avif": "avif",
    "image/webp": "webp",
    "audio/mpeg": "mp3", "audio/mp4": "m4a", "audio/ogg": "ogg", "audio/amr": "amr",
    "audio/amr-wb": "awb", "audio/aac": "aac", "audio/flac": "flac", "audio/midi": "mid",
    "audio/qcelp": "qcp", "audio/x-caf": "caf", "audio/webm": "weba", "audio/ac3": "ac3",
    "audio/vnd.wave": "wav", "audio/wav": "wav", "audio/aiff": "aiff", "audio/gsm": "gsm",
    "audio/ulaw": "ulaw", "audio/basic": "au", "audio/3gpp": "3gp", "audio/3gpp2": "3g2",
    "video/mp4": "mp4", "video/mpeg": "mpg", "video/quicktime": "mov", "video/webm": "webm",
    "video/ogg": "ogv", "video/3gpp": "3gp", "video/3gpp2": "3g2",
    "text/vcard": "vcf", "text/directory": "vcf", "text/calendar": "ics", "text/csv": "csv",
    "text/rtf": "rtf", "text/plain": "txt", "application/pdf": "pdf", "application/zip": "zip",
    "application/vnd.apple.pkpass": "pkpass",
    "image/jxl": "jxl", "image/x-icon": "ico", "video/x-matroska": "mkv",
    "video/x-msvideo": "avi", "video/x-ms-asf": "asf", "video/x-ms-wmv": "wmv",
    "audio/x-ms-wma": "wma", "video/mp2t": "ts", "video/x-m4v": "m4v", "video/x-flv": "flv",
    "application/smil": "smil", "text/x-imelody": "imy", "text/x-vnote": "vnt",
    "application/gzip": "gz", "application/x-7z-compressed": "7z", "application/vnd.rar": "rar",
    "application/vnd.android.package-archive": "apk",
    f"{_OFFICE}.wordprocessingml.document": "docx", f"{_OFFICE}.spreadsheetml.sheet": "xlsx",
    f"{_OFFICE}.presentationml.presentation": "pptx",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/x-iwork-pages-sffpages": "pages",
    "application/x-iwork-numbers-sffnumbers": "numbers",
    "application/x-iwork-keynote-sffkey": "key",
}  # fmt: skip
"""The usual ending of a file of each type."""
_SAME: Final = {
    "image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp", "image/tif": "image/tiff",
    "audio/mp3": "audio/mpeg", "audio/x-mp3": "audio/mpeg", "audio/x-mpeg": "audio/mpeg",
    "audio/amr-nb": "audio/amr", "audio/x-amr": "audio/amr", "audio/x-aac": "audio/aac",
    "audio/m4a": "audio/mp4", "audio/x-m4a": "audio/mp4", "audio/mid": "audio/midi",
    "audio/x-aiff": "audio/aiff", "audio/x-wav": "audio/wav", "audio/wave": "audio/wav",
    "audio/vnd.qcelp": "audio/qcelp", "audio/qcp": "audio/qcelp",
    "video/3gp": "video/3gpp", "video/3g2": "video/3gpp2", "video/mov": "video/quicktime",
    "video/avi": "video/x-msvideo", "video/msvideo": "video/x-msvideo",
    "video/mkv": "video/x-matroska",
    "image/vnd.microsoft.icon": "image/x-icon", "application/x-gzip": "application/gzip",
    "application/x-rar-compressed": "application/vnd.rar",
    "text/x-vcard": "text/vcard", "application/vcard": "text/vcard",
    "text/x-vcalendar": "text/calendar", "application/ics": "text/calendar",
    "application/rtf": "text/rtf", "application/x-pdf": "application/pdf",
}  # fmt: skip
"""Other names of the same types: old ones, and what phones and carriers write."""
_TYPE: Final = re.compile(r"(?:image|audio|video|text|application)/[a-z0-9.+-]{1,60}")
_ENDINGS: Final = mimetypes.MimeTypes(filenames=())
"""Python's own table: the machine's would give one file two names."""


def plain(declared: str) -> str:
    """Return a declared MIME type by its usual name, in lower case and without parameters.

    What is no type of a single file (``multipart/…``, nonsense) is :data:`UNKNOWN`.
    """
    name = declared.partition(";")[0].strip().lower()
    name = _SAME.get(name, name)
    return name if _TYPE.fullmatch(name) else UNKNOWN


def extension(content_type: str) -> str:
    """Return the usual ending of a file of that type, without the dot."""
    name = plain(content_type)
    if name in EXTENSIONS:
        return EXTENSIONS[name]
    ending = (_ENDINGS.guess_extension(name) or "").lstrip(".")
    return ending or ("txt" if name.startswith("text/") else "bin")
