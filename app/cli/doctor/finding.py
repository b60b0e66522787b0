"""What one look found, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How bad it is: well; allowed, or nobody could be asked; to be put right."""

    OK = "ok"
    WARN = "warn"
    BAD = "BAD"


@dataclass(frozen=True)
class Finding:
    """What one look found: all right, or a sentence on what to do."""

    subject: str
    grade: Grade
    sentence: str


def ok(subject: str, sentence: str) -> Finding:
    """Say that something is as it has to be; only where it was looked at."""
    return Finding(subject, Grade.OK, sentence)


def warn(subject: str, sentence: str) -> Finding:
    """Say that a person should look: it is allowed, or could not be asked."""
    return Finding(subject, Grade.WARN, sentence)


def bad(subject: str, sentence: str) -> Finding:
    """Say that something does not work until it is put right."""
    return Finding(subject, Grade.BAD, sentence)
