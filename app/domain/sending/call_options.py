"""How a call is placed, beside what is said: the numbers that Twilio may be told.

Written down from Twilio's Call resource and answering machine detection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from pydantic.alias_generators import to_camel

from app.domain.specs import Spec

RANGES: Mapping[str, tuple[int, int]] = {
    "timeout": (5, 600),
    "timeLimit": (1, 14_400),
    "machineDetectionTimeout": (3, 59),
    "machineDetectionSpeechThreshold": (1000, 6000),
    "machineDetectionSpeechEndThreshold": (500, 5000),
    "machineDetectionSilenceTimeout": (2000, 10_000),
}
"""Least and most. The first three are seconds: how long it rings, how long it may last, how long
Twilio listens for a machine. The others are milliseconds."""


class CallOptionsSpec(Spec):
    """What is not given is left to Twilio."""

    timeout: Annotated[int, Field(ge=5, le=600)] | None = None
    time_limit: Annotated[int, Field(ge=1, le=14_400)] | None = None
    machine_detection_timeout: Annotated[int, Field(ge=3, le=59)] | None = None
    machine_detection_speech_threshold: Annotated[int, Field(ge=1000, le=6000)] | None = None
    machine_detection_speech_end_threshold: Annotated[int, Field(ge=500, le=5000)] | None = None
    machine_detection_silence_timeout: Annotated[int, Field(ge=2000, le=10_000)] | None = None

    def as_stored(self) -> dict[str, int]:
        """Return what is given, by Twilio's names."""
        return {to_camel(name): value for name, value in self if value is not None}
