"""Recordings: their description and a sound that really plays."""

from __future__ import annotations

import io
import math
import struct
import wave
from typing import Any

from flask import Flask, Response, request

from ..clock import rfc2822
from ..core import API_VERSION, Sandbox
from ..errors import RestError
from ..records import Account, Recording
from .base import page_2010, reply, signed_in

ACCOUNT = f"/{API_VERSION}/Accounts/<account_sid>"
RATE = 8000
MAX_SECONDS = 60


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


def shown(recording: Recording) -> dict[str, Any]:
    """A recording as Twilio's JSON."""
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
        "media_url": uri,
        "uri": f"{uri}.json",
        "subresource_uris": {},
    }


def register(app: Flask, box: Sandbox) -> None:
    """Fetch, list, delete, and the sound itself (which needs no password, as by default)."""

    def find(account_sid: str, sid: str) -> Recording:
        recording = box.store.recordings.get(sid)
        if recording is None or recording.account_sid != account_sid:
            raise RestError(20404, path=request.path)
        return recording

    @app.get(f"{ACCOUNT}/Recordings.json", endpoint="recordings.list")
    @app.get(f"{ACCOUNT}/Calls/<call_sid>/Recordings.json", endpoint="recordings.of_call")
    @signed_in(box)
    def listing(account: Account, call_sid: str | None = None) -> Response:
        wanted = call_sid or request.args.get("CallSid")
        rows = [
            r
            for r in reversed(list(box.store.recordings.values()))
            if r.account_sid == account.sid and (not wanted or r.call_sid == wanted)
        ]
        return page_2010("recordings", rows, lambda r: r.sid, shown)

    @app.get(f"{ACCOUNT}/Recordings/<sid>.json", endpoint="recordings.fetch")
    @signed_in(box)
    def fetch(account: Account, sid: str) -> Response:
        return reply(shown(find(account.sid, sid)))

    @app.delete(f"{ACCOUNT}/Recordings/<sid>.json", endpoint="recordings.delete")
    @signed_in(box)
    def delete(account: Account, sid: str) -> Response:
        del box.store.recordings[find(account.sid, sid).sid]
        return Response(status=204)

    @app.get(f"{ACCOUNT}/Recordings/<sid>", endpoint="recordings.sound")
    @app.get(f"{ACCOUNT}/Recordings/<sid>.wav", endpoint="recordings.wav")
    def sound(account_sid: str, sid: str) -> Response:
        return Response(tone(find(account_sid, sid).duration), mimetype="audio/wav")
