"""A Twilio that has recordings, and forgets, hides or breaks them (Twilio, "Recordings")."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.hostile import Behaviour, answering, serving

SOUND = b"ID3" + bytes(range(256)) * 8
"""What begins as an MP3 does."""


@dataclass
class Recordings:
    """Twilio's side: the recordings of each call, what it has written down, and what it was asked.

    ``instead`` is how requests whose first line fits are answered before anything else.
    """

    url: str = ""
    of_call: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    sounds: dict[str, bytes] = field(default_factory=dict)
    words: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    instead: dict[str, Behaviour] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def add(self, call_sid: str, sid: str, seconds: int = 7) -> None:
        """Have a finished recording of a call."""
        self.sounds[sid] = SOUND
        known = self.of_call.setdefault(call_sid, [])
        known.insert(0, {"sid": sid, "status": "completed", "duration": str(seconds)})

    def answer(self, connection: socket.socket, request: bytes) -> None:
        """Answer one request."""
        line = request.partition(b"\r\n")[0].decode("latin-1")
        self.asked.append(line)
        for part, behaviour in self.instead.items():
            if re.search(part, line):
                behaviour(connection, request)
                return
        self._properly(line)(connection, request)

    def _properly(self, line: str) -> Behaviour:
        method, target, _ = line.split(" ")
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        found = re.search(r"/Recordings/(RE\w+)(/Transcriptions)?(\.\w+)?$", path)
        if found is None:
            rows = self.of_call.get(query.get("CallSid", [""])[0], [])
            return _json(_page("recordings", rows))
        if found[2]:
            return _json(_page("transcriptions", self.words.get(found[1], [])))
        if method == "DELETE":
            self.deleted.append(found[1])
            return answering("204 No Content")
        if found[1] in self.sounds and found[1] not in self.deleted:
            kind = {"Content-Type": "audio/mpeg"}
            return answering(body=self.sounds[found[1]], headers=kind)
        return _json({"code": 20404, "message": "Not found", "status": 404}, "404 Not Found")


def _page(key: str, rows: list[dict[str, str]]) -> dict[str, Any]:
    page = {"page": 0, "page_size": 50, "next_page_uri": None, "uri": "", "first_page_uri": ""}
    return {**page, key: rows}


def _json(body: Any, status: str = "200 OK") -> Behaviour:
    kind = {"Content-Type": "application/json"}
    return answering(status, json.dumps(body).encode(), kind)


@contextlib.contextmanager
def recordings() -> Iterator[Recordings]:
    """Serve until the end of the block."""
    made = Recordings()
    with serving(made.answer) as server:
        made.url = server.url("")
        yield made
