"""Reports that were taken, applied as worker-relay does it."""

from __future__ import annotations

from flask import Flask

from app.outbound.afterwards import reports


def apply_reports(app: Flask) -> None:
    """Apply what waits in the journal, to its end."""
    with app.app_context():
        reports.drain()
