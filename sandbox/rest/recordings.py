"""Recordings: their description and a sound that really plays."""

from __future__ import annotations

import io
import math
import struct
import wave
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask, Response, request

from ..clock import rfc2822
from ..core import API_VERSION, Sandbox
from ..records import Account, Recording
from .base import page_2010, signed_in
from .resource import ACCOUNT, Resource, add

RATE = 8000
MAX_SECONDS = 60
MP3 = Path(__file__).parent.parent / "static" / "tone.mp3"
MP3_SECONDS = 2
"""Of the file: frames of MP3 can be put one behind the other."""


def tone(seconds: int) -> bytes:
    """A quiet 440 Hz wav, 8 kHz mono 16 bit; at most a minute of it."""
    period = [int(1500 * math.sin(2 * math.pi * 440 * i / RATE)) for i in range(RATE)]
    second = struct.pack(f"<{RATE}h", *period)
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(second * max(1, min(seconds, MAX_SECONDS)))
    return out.getvalue()


def mp3(seconds: int) -> bytes:
    """The same tone as MP3, as the address ending in .mp3 gives it."""
    return MP3.read_bytes() * max(1, round(min(seconds, MAX_SECONDS) / MP3_SECONDS))


def written(recording: Recording) -> dict[str, Any]:
    """What was said, as Twilio's JSON of a transcription."""
    return {
        "sid": f"TR{recording.sid[2:]}",
        "account_sid": recording.account_sid,
        "api_version": API_VERSION,
        "recording_sid": recording.sid,
        "transcription_text": recording.words,
        "status": "completed",
        "type": "fast",
        "duration": str(recording.duration),
        "date_created": rfc2822(recording.date_created),
        "date_updated": rfc2822(recording.date_created),
        "price": None,
        "price_unit": "USD",
        "uri": f"/{API_VERSION}/Accounts/{recording.account_sid}/Transcriptions.json",
    }


def shown(base: str, recording: Recording) -> dict[str, Any]:
    """A recording as Twilio's JSON; `base` is the address of the API."""
    uri = f"/{API_VERSION}/Accounts/{recording.account_sid}/Recordings/{recording.sid}"
    return {
        "sid": recording.sid,
        "account_sid": recording.account_sid,
        "call_sid": recording.call_sid,
        "conference_sid": None,
        "api_version": API_VERSION,
        "channels": recording.channels,
        "date_created": rfc2822(recording.date_created),
        "date_updated": rfc2822(recording.date_created),
        "start_time": rfc2822(recording.start_time),
        "duration": str(recording.duration),
        "source": recording.source,
        "status": recording.status,
        "price": None,
        "price_unit": "USD",
        "error_code": None,
        "encryption_details": None,
        "media_url": f"{base}{uri}",
        "track": "both",
        "uri": f"{uri}.json",
        "subresource_uris": {},
    }


def register(app: Flask, box: Sandbox) -> None:
    """Fetch, list, delete, and the sound itself (which needs no password, as by default)."""

    def show(recording: Recording) -> dict[str, Any]:
        return shown(box.settings.public_url, recording)

    recordings = Resource(
        "Recordings", "recordings", box.store.recordings.get, partial(_matching, box), show,
        change=None, remove=lambda one: box.store.recordings.pop(one.sid),
    )  # fmt: skip
    add(app, box, recordings)

    @app.get(f"{ACCOUNT}/Calls/<call_sid>/Recordings.json", endpoint="Recordings.of_call")
    @signed_in(box)
    def of_call(account: Account, call_sid: str) -> Response:
        return page_2010("recordings", _matching(box, account, call_sid), lambda r: r.sid, show)

    @app.get(
        f"{ACCOUNT}/Recordings/<sid>/Transcriptions.json", endpoint="Recordings.transcriptions"
    )
    @signed_in(box)
    def transcriptions(account: Account, sid: str) -> Response:
        recording = recordings.find(account.sid, sid)
        rows = [recording] if recording.words is not None else []
        return page_2010("transcriptions", rows, lambda row: row.sid, written)

    @app.get(f"{ACCOUNT}/Recordings/<sid>.mp3", endpoint="Recordings.mp3")
    def sound_as_mp3(account_sid: str, sid: str) -> Response:
        return Response(mp3(recordings.find(account_sid, sid).duration), mimetype="audio/mpeg")

    @app.get(f"{ACCOUNT}/Recordings/<sid>", endpoint="Recordings.sound")
    @app.get(f"{ACCOUNT}/Recordings/<sid>.wav", endpoint="Recordings.wav")
    def sound(account_sid: str, sid: str) -> Response:
        return Response(tone(recordings.find(account_sid, sid).duration), mimetype="audio/wav")


def _matching(box: Sandbox, account: Account, call_sid: str = "") -> Iterator[Recording]:
    wanted = call_sid or request.args.get("CallSid")
    for recording in reversed(list(box.store.recordings.values())):
        if recording.account_sid == account.sid and wanted in (None, "", recording.call_sid):
            yield recording
