"""Connection overrides in a webhook URL's fragment: `#rc=2&rp=5xx,ct` (Twilio, 'Webhooks:
connection overrides'). They set times and retries and never reach the server."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urldefrag

_RANGES = {"ct": (100, 10000), "rt": (100, 15000), "tt": (100, 15000), "rc": (0, 5)}
_POLICIES = {"ct", "rt", "4xx", "5xx", "all"}


@dataclass(frozen=True)
class Overrides:
    """Times in seconds, retries, and what is retried."""

    connect: float = 5.0
    read: float = 15.0
    total: float = 15.0
    retries: int = 1
    policy: frozenset[str] = frozenset({"ct"})

    def retries_on(self, cause: str) -> bool:
        """Whether a failure of this cause (ct, rt, 4xx, 5xx) may be tried again."""
        return "all" in self.policy or cause in self.policy


def split(url: str) -> tuple[str, Overrides]:
    """The URL without its fragment, and what the fragment asked for.

    Raises ValueError for a key out of range or an unknown policy (Twilio's error 11243).
    """
    bare, fragment = urldefrag(url)
    numbers: dict[str, int] = {}
    policy = frozenset({"ct"})
    for key, value in parse_qsl(fragment, keep_blank_values=True):
        if key in _RANGES:
            low, high = _RANGES[key]
            if not value.isdigit() or not low <= int(value) <= high:
                raise ValueError(f"{key} must be from {low} to {high}, not {value!r}")
            numbers[key] = int(value)
        elif key == "rp":
            policy = frozenset(part.strip().lower() for part in value.split(","))
            if not policy <= _POLICIES:
                raise ValueError(f"rp knows {', '.join(sorted(_POLICIES))}, not {value!r}")
    return bare, Overrides(
        connect=numbers.get("ct", 5000) / 1000,
        read=numbers.get("rt", 15000) / 1000,
        total=numbers.get("tt", 15000) / 1000,
        retries=numbers.get("rc", 1),
        policy=policy,
    )
