"""Connections that are kept for an endpoint's next deliveries: a few, for some seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from app.models.endpoint import MAX_IN_FLIGHT
from app.outbound.relay.transport import Wire

IDLE_SECONDS = 10.0
"""How long a connection waits for its next use: servers close theirs a little later."""


class Wires:
    """Lends each endpoint's connections, to one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[str, list[Wire]] = {}

    @contextmanager
    def lend(self, endpoint_id: str) -> Iterator[Wire]:
        """Lend a connection that was kept, or a new one; it is kept if it is still open then."""
        with self._lock:
            self._close_old()
            kept = self._idle.get(endpoint_id)
            wire = kept.pop() if kept else Wire()
        try:
            yield wire
        finally:
            self._take_back(endpoint_id, wire)

    def _take_back(self, endpoint_id: str, wire: Wire) -> None:
        with self._lock:
            kept = self._idle.setdefault(endpoint_id, [])
            if wire.is_open and len(kept) < MAX_IN_FLIGHT:
                kept.append(wire)
                return
        wire.close()

    def _close_old(self) -> None:
        oldest = time.monotonic() - IDLE_SECONDS
        for endpoint_id, wires in list(self._idle.items()):
            for wire in [one for one in wires if one.idle_since < oldest]:
                wires.remove(wire)
                wire.close()
            if not wires:
                del self._idle[endpoint_id]
