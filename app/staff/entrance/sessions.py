"""Sessions belong to the staff pages; nobody else's request pays for one."""

from __future__ import annotations

from flask import Flask, Request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface


class StaffSessions(SecureCookieSessionInterface):
    """Opens a session for ``/staff`` alone; elsewhere writing to one is an error."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a staff page; None gives Flask's empty, read-only one."""
        if not request.path.startswith("/staff"):
            return None
        return super().open_session(app, request)
