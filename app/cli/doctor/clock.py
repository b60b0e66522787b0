"""How far another clock may be from ours."""

from __future__ import annotations

from app.cli.doctor.finding import Finding, bad, ok
from app.twilio.clock import Difference

MOST_SKEW = 2.0
"""Seconds by which clocks may differ; Twilio's and the receivers' signatures allow minutes."""


def judge(name: str, ahead: Difference) -> Finding:
    """Judge by how much the clock called ``name`` is ahead of ours."""
    words = f"{abs(ahead.middle):.1f} s {'ahead of' if ahead.middle >= 0 else 'behind'} ours"
    sentence = f"it is {words}, give or take {ahead.uncertainty:.1f} s."
    if not -MOST_SKEW <= ahead.middle <= MOST_SKEW:
        return bad(name, f"{sentence} Let NTP set this machine's.")
    return ok(name, sentence)
