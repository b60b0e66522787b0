"""What a file is is told by its content; the signatures are those of the formats' own papers."""

from __future__ import annotations

import codecs
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.content import file_types
from app.domain.content.file_types import identify, type_of

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jpg", JPEG, "image/jpeg"),
        ("a.png", PNG, "image/png"),
        ("a.gif", b"GIF89a\x01\x00", "image/gif"),
        ("a.txt", PNG, "image/png"),
        ("a.heic", b"\0\0\0\x18ftypheic\0\0", "image/heic"),
        ("a.mp4", b"\0\0\0\x18ftypmp42\0\0", "video/mp4"),
        ("a.mov", b"\0\0\0\x14ftypqt  \0\0", "video/quicktime"),
        ("a.3gp", b"\0\0\0\x14ftyp3gp5\0\0", "video/3gpp"),
        ("a.m4a", b"\0\0\0\x14ftypM4A \0\0", "audio/mp4"),
        ("a.webm", b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "video/webm"),
        ("a.mp3", b"ID3\x04\0", "audio/mpeg"),
        ("a.mp3", b"\xff\xfb\x90\x64", "audio/mpeg"),
        ("a.wav", b"RIFF\x24\0\0\0WAVEfmt ", "audio/vnd.wave"),
        ("a.pdf", b"%PDF-1.7\n", "application/pdf"),
        ("a.vcf", b"\xef\xbb\xbfBEGIN:VCARD\r\nVERSION:3.0\r\nFN:A\r\nEND:VCARD\r\n", "text/vcard"),
        ("a.ics", b"BEGIN:VCALENDAR\r\n", "text/calendar"),
        ("a.csv", b"a,b\n1,2\n", "text/csv"),
        ("a.vcf", b"BEGIN:VCARD\r\nFN:Zo\xeb\r\nEND:VCARD\r\n", "text/vcard"),
        ("a.vcf", b"BEGIN:VCARD\r\nVERSION:3.0\r\n", None),
        ("a.csv", b"MZ\x90\x00\x03", None),
        ("a.png", b"<html><script>", None),
        ("a.jpg", b"RIFF\x24\0\0\0WEBPVP8 ", None),
        ("a.zip", b"PK\x03\x04", None),
        ("a.mp4", b"\0\0\0\x18ftyp????", None),
        ("", b"", None),
    ],
)
def test_the_content_decides(name: str, content: bytes, expected: str | None) -> None:
    assert type_of(name, content) == expected


def _iso(own: bytes, *others: bytes) -> bytes:
    """Return the beginning of a file in ISO's container (ISO 14496-12, 4.3)."""
    box = b"ftyp" + own + bytes(4) + b"".join(others)
    return (len(box) + 4).to_bytes(4) + box + b"\0\0\0\x08mdat"


VCARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ada\r\nEND:VCARD\r\n"
ZIP = b"PK\x03\x04\x14\0\0\0"
OCTETS = "application/octet-stream"
OFFICE = "application/vnd.openxmlformats-officedocument"
ARRIVALS = {
    # as declared, because the bytes say nothing
    "a JPEG by its old name": (b"", "image/jpg", "image/jpeg", "jpg"),
    "a declared vCard": (b"", "text/x-vCard; charset=utf-8", "text/vcard", "vcf"),
    "a declared calendar": (b"", "text/calendar", "text/calendar", "ics"),
    "declared 3GP": (b"", "video/3gpp", "video/3gpp", "3gp"),
    "declared HEIC": (b"", "image/heic", "image/heic", "heic"),
    "declared AMR": (b"", "audio/AMR", "audio/amr", "amr"),
    "a kind that only Python knows": (b"\x01", "application/msword", "application/msword", "doc"),
    "nonsense": (b"\x01", "nonsense", OCTETS, "bin"),
    "a header in the type": (b"\x01", 'image/x"\r\nBcc: y', OCTETS, "bin"),
    "a mail as a type": (b"\x01", "message/rfc822", OCTETS, "bin"),
    # RFC 4867, 5.1
    "AMR": (b"#!AMR\n\x3c\x08", OCTETS, "audio/amr", "amr"),
    "AMR that says MP3": (b"#!AMR\n\x3c\x08", "audio/mpeg", "audio/amr", "amr"),
    "wide-band AMR": (b"#!AMR-WB\n\x44", "", "audio/amr-wb", "awb"),
    # 3GPP TS 26.244, 5.2; 3GPP2 C.S0050
    "3GP of Android": (_iso(b"3gp4", b"isom", b"3gp4"), OCTETS, "video/3gpp", "3gp"),
    "3GP that says MP4": (_iso(b"3gp5"), "video/mp4", "video/3gpp", "3gp"),
    "3GP of sound only": (_iso(b"3gp6"), "audio/3gpp", "audio/3gpp", "3gp"),
    "3GP2": (_iso(b"3g2a"), OCTETS, "video/3gpp2", "3g2"),
    # ISO 23008-12, annex B
    "HEIC of an iPhone": (_iso(b"heic", b"mif1", b"heic"), "image/jpeg", "image/heic", "heic"),
    "HEIC by its second brand": (_iso(b"mif1", b"miaf", b"heic"), OCTETS, "image/heic", "heic"),
    "HEIC called HEIF": (_iso(b"heic"), "image/heif", "image/heif", "heif"),
    "AVIF": (_iso(b"mif1", b"avif"), OCTETS, "image/avif", "avif"),
    "an MP4 of a later edition": (_iso(b"iso6", b"mp41"), OCTETS, "video/mp4", "mp4"),
    "a film of an iPhone": (_iso(b"qt  ", b"qt  "), "video/mp4", "video/quicktime", "mov"),
    # RFC 6350, RFC 2426; RFC 5545
    "a vCard as octets": (b"BEGIN:VCARD", OCTETS, "text/vcard", "vcf"),
    "a vCard as text": (VCARD.encode(), "text/plain", "text/vcard", "vcf"),
    "a vCard in UTF-16": (VCARD.encode("utf-16"), OCTETS, "text/vcard", "vcf"),
    "a vCard by its first type": (VCARD.encode(), "text/directory", "text/directory", "vcf"),
    "a calendar": (b"\xef\xbb\xbfBEGIN:VCALENDAR\r\n", "text/plain", "text/calendar", "ics"),
    # RFC 2781: what looks like the eleven set bits of MPEG is a byte order mark
    "UTF-16 text": ("At nine? À neuf heures".encode("utf-16"), OCTETS, "text/plain", "txt"),
    "UTF-16 called MP3": (
        codecs.BOM_UTF16_LE + "你好".encode("utf-16-le"), "audio/mpeg", "text/plain", "txt",
    ),
    "UTF-16, big end first": (
        codecs.BOM_UTF16_BE + "你好".encode("utf-16-be"), "", "text/plain", "txt",
    ),
    "a text that begins like a bitmap": (b"BMW parks here", OCTETS, "text/plain", "txt"),
    "a text that begins like an MP3": (b"ID3 is a format", OCTETS, "text/plain", "txt"),
    "a page of an error called picture": (b"<html>" * 20, "image/jpeg", "text/plain", "txt"),
    "a drawing": (b"<svg>" * 20, "image/svg+xml", "image/svg+xml", "svg"),
    # QuickTime File Format: from before ISO's container had brands
    "a film of an old Mac": (b"\0\0\x10\0moov\0\0\0\x6cmvhd", OCTETS, "video/quicktime", "mov"),
    "a film that begins wide": (b"\0\0\0\x08wide\0\0\0\0mdat", "", "video/quicktime", "mov"),
    # as Outlook writes cards, and phones before Unicode (vCard 2.1)
    "a vCard in Latin-1": (
        VCARD.replace("Ada", "Zoë").encode("latin-1"), "text/x-vcard", "text/vcard", "vcf",
    ),
    "a vCard in an unknown hand": (
        VCARD.replace("Ada", "王").encode("gb18030"), OCTETS, "text/vcard", "vcf",
    ),
    # ISO 32000-1, annex H: readers look for it in the first 1024 bytes
    "a PDF behind a mark": (b"\xef\xbb\xbf%PDF-1.4\n%\xe2\xe3", "", "application/pdf", "pdf"),
    # Office, and what computers send
    "a text of Word": (ZIP, f"{OFFICE}.wordprocessingml.document",
                       f"{OFFICE}.wordprocessingml.document", "docx"),
    "a table of Excel": (ZIP, f"{OFFICE}.spreadsheetml.sheet",
                         f"{OFFICE}.spreadsheetml.sheet", "xlsx"),
    "Matroska": (b"\x1aE\xdf\xa3\x93B\x82\x88matroska", OCTETS, "video/x-matroska", "mkv"),
    "AVI": (b"RIFF\x24\0\0\0AVI LIST", "video/avi", "video/x-msvideo", "avi"),
    "sound of Windows": (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9", "audio/x-ms-wma",
                         "audio/x-ms-wma", "wma"),
    "JPEG XL": (b"\0\0\0\x0cJXL \r\n\x87\n\0", "", "image/jxl", "jxl"),
    "a presentation of an MMS": (b"<smil><body></body></smil>", "application/smil",
                                 "application/smil", "smil"),
    # and the rest of what phones send
    "a JPEG that says PNG": (JPEG, "image/png", "image/jpeg", "jpg"),
    "a PNG without a type": (PNG, "", "image/png", "png"),
    "WebP": (b"RIFF\x24\0\0\0WEBPVP8 ", "image/jpeg", "image/webp", "webp"),
    "WAV": (b"RIFF\x24\0\0\0WAVEfmt ", "audio/x-wav", "audio/wav", "wav"),
    "MP3": (b"\xff\xfb\x90\x64\0\0", OCTETS, "audio/mpeg", "mp3"),
    "AAC": (b"\xff\xf1\x50\x80\x03\x9f\xfc", OCTETS, "audio/aac", "aac"),
    "a pass for a phone": (
        ZIP, "application/vnd.apple.pkpass", "application/vnd.apple.pkpass", "pkpass",
    ),
    "an archive called picture": (ZIP, "image/png", "application/zip", "zip"),
    "a PDF that is all letters": (b"%PDF-1.4\n" + b"% " * 60, "", "application/pdf", "pdf"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "declared", "kind", "ending"), ARRIVALS.values(), ids=ARRIVALS)
def test_what_arrives_is_told_by_bytes_then_as_declared(
    content: bytes, declared: str, kind: str, ending: str
) -> None:
    assert identify(content, declared) == kind
    assert file_types.extension(kind) == ending


_BEGINNINGS = st.sampled_from(
    [b"", JPEG, b"ID3", b"\xff\xfe", b"\xff\xfb", b"\0\0\0\x20ftyp", b"RIFF", b"#!AMR\n", ZIP]
)


@given(_BEGINNINGS, st.binary(max_size=300), st.text(max_size=80))
@example(b"\0\0\0\0ftyp", b"", "")
@example(codecs.BOM_UTF16_LE, b"\x41", "audio/mpeg")
def test_any_bytes_have_a_type_and_a_safe_ending(start: bytes, rest: bytes, declared: str) -> None:
    kind = identify(start + rest, declared)
    assert re.fullmatch(r"(image|audio|video|text|application)/[a-z0-9.+-]+", kind)
    assert re.fullmatch(r"[a-z0-9]{1,8}", file_types.extension(kind))


_WRITTEN = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)


@given(
    _WRITTEN,
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(["", OCTETS, "text/plain", "text/plain; charset=utf-16"]),
)
@example("ID3 BM GIF89a", "utf-8", OCTETS)
@example("ÿû", "utf-16", "")
def test_what_is_text_stays_text(written: str, coding: str, declared: str) -> None:
    content = written.encode(coding)
    assert identify(content, declared).startswith("text/")
    assert file_types.text_of(content) is not None


@given(_WRITTEN, st.sampled_from(["audio/mpeg", "image/jpeg", "video/3gpp"]))
def test_a_marked_text_is_no_sound_whatever_it_says(written: str, declared: str) -> None:
    assert identify(written.encode("utf-16"), declared) == "text/plain"
