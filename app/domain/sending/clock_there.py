"""What the clocks show where recipients are, when a batch would begin."""

from __future__ import annotations

from datetime import datetime

from app.domain.sending import quiet, recipient_hours
from app.domain.sending.forecast import Forecast
from app.models.client import Client


class Clock:
    """Judges phones by the time at which a batch would begin, the client's quiet hours over."""

    def __init__(self, client: Client, now: datetime) -> None:
        begins = quiet.until(now, client.time_zone, client.quiet_from, client.quiet_to) or now
        self._opening = recipient_hours.opening(client, begins)
        self._daylight = recipient_hours.daylight(client, begins)

    def look(self, found: Forecast, phone: str) -> None:
        """Count a recipient who is outside their hours, or where it is night."""
        if self._opening is None:
            found.night += self._daylight(phone) is not None
        elif (at := self._opening(phone)) is not None:
            found.outside += 1
            found.last_opens_at = max(found.last_opens_at or at, at)
