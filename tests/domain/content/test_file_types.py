"""What a file is is told by its content; the signatures are those of the formats' own papers."""

from __future__ import annotations

import pytest

from app.domain.content.file_types import type_of

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
