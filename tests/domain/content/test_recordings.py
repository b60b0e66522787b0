"""Recordings must be what Twilio's <Play> takes: MP3, WAV, AIFF, GSM and u-law."""

from __future__ import annotations

import pytest

from app.domain.content.recordings import audio_type

# First bytes as the formats' own specifications give them.
AUDIO = {
    "MP3 with a tag": ("a.mp3", b"ID3\x04\0\0\0\0\0\0", "audio/mpeg"),
    "MP3 from its first frame": ("a.mp3", b"\xff\xfb\x90\x64" + bytes(9), "audio/mpeg"),
    "MP3 without its ending": ("closed", b"\xff\xf3\x40\xc4" + bytes(9), "audio/mpeg"),
    "WAV": ("a.wav", b"RIFF\x24\x08\0\0WAVEfmt ", "audio/wav"),
    "WAV called MP3": ("a.mp3", b"RIFF\x24\x08\0\0WAVEfmt ", "audio/wav"),
    "AIFF": ("a.aiff", b"FORM\0\0\0\x2eAIFFCOMM", "audio/aiff"),
    "AIFC": ("a.aifc", b"FORM\0\0\0\x2eAIFCFVER", "audio/aiff"),
    "GSM": ("a.gsm", (b"\xd2" + bytes(32)) * 3, "audio/gsm"),
    "u-law": ("a.ulaw", b"\xff\x7f\xfe\x80" * 20, "audio/ulaw"),
}
OTHER = {
    "text called MP3": ("a.mp3", b"<html>"),
    "text called GSM": ("a.gsm", b"text " * 40),
    "text called u-law": ("a.ulaw", b"text " * 40),
    "a picture": ("a.mp3", b"\x89PNG\r\n\x1a\n"),
    "AVI": ("a.wav", b"RIFF\x24\x08\0\0AVI LIST"),
    "Ogg": ("a.ogg", b"OggS" + bytes(20)),
    "a JPEG": ("a.mp3", b"\xff\xd8\xff\xe0\0\x10JFIF"),
    "bytes of no format": ("a.mp3", bytes(100)),
}


@pytest.mark.parametrize(("name", "content", "expected"), AUDIO.values(), ids=AUDIO)
def test_audio_is_told_by_its_content(name: str, content: bytes, expected: str) -> None:
    assert audio_type(name, content) == expected


@pytest.mark.parametrize(("name", "content"), OTHER.values(), ids=OTHER)
def test_anything_else_is_refused(name: str, content: bytes) -> None:
    assert audio_type(name, content) is None
