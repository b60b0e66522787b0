"""Faults that tests, benches and the page switch on. Seeded, so that a run can be repeated."""

from __future__ import annotations

import random
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

REST_MODES = (
    "429", "500-before", "500-after", "503-before", "hang-before", "hang-after",
    "reset-before", "reset-after",
)  # fmt: skip


@dataclass
class RestRule:
    """A fault of the REST API. `when` is a part of "POST /…/Messages.json"; `ratio` of the
    requests that match meet it, at most `times` of them (None: no limit)."""

    mode: str
    when: str = "POST"
    ratio: float = 1.0
    times: int | None = None
    met: int = 0


@dataclass
class WebhookFaults:
    """Faults on the way to the application. Ratios are from 0 to 1, times in real seconds."""

    delay: float = 0.0
    duplicate: float = 0.0
    drop_answer: float = 0.0
    shuffle_callbacks: float = 0.0
    early_callbacks: float = 0.0
    drop_callbacks: float = 0.0


@dataclass
class Faults:
    """All switches. `latency_ms` is added to every REST answer."""

    latency_ms: float = 0.0
    rest: list[RestRule] = field(default_factory=list)
    webhooks: WebhookFaults = field(default_factory=WebhookFaults)
    endpoints: dict[str, str] = field(default_factory=dict)
    seed: int = 1

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 faults are no secrets
        self._lock = threading.Lock()

    def chance(self, ratio: float) -> bool:
        """True for `ratio` of the calls."""
        if ratio <= 0:
            return False
        with self._lock:
            return self._random.random() < ratio

    def uniform(self, low: float, high: float) -> float:
        """A random number, from the seed."""
        with self._lock:
            return self._random.uniform(low, high)

    def rest_mode(self, method: str, path: str) -> str | None:
        """The fault that this request meets, counted against its rule; None for none."""
        line = f"{method} {path}"
        for rule in list(self.rest):
            if rule.when not in line or not self.chance(rule.ratio):
                continue
            with self._lock:
                if rule.times is not None and rule.met >= rule.times:
                    continue
                rule.met += 1
            return rule.mode
        return None

    def as_dict(self) -> dict[str, Any]:
        """All switches as JSON."""
        return asdict(self)

    def update(self, data: dict[str, Any]) -> None:
        """Set the given switches; raises ValueError in words, and then changes nothing."""
        unknown = set(data) - {"latency_ms", "rest", "webhooks", "endpoints", "seed"}
        if unknown:
            raise ValueError(f"unknown fault: {', '.join(sorted(unknown))}")
        rules = [_rule(item) for item in data.get("rest", [])]
        webhooks = _webhooks(data["webhooks"]) if "webhooks" in data else None
        latency = float(data.get("latency_ms", self.latency_ms))
        if "rest" in data:
            self.rest = rules
        if webhooks is not None:
            self.webhooks = webhooks
        self.latency_ms = latency
        self.endpoints.update(data.get("endpoints", {}))
        if "seed" in data:
            self.seed = int(data["seed"])
            self._random = random.Random(self.seed)  # noqa: S311 faults are no secrets

    def clear(self) -> None:
        """Switch everything off."""
        self.rest, self.webhooks, self.latency_ms = [], WebhookFaults(), 0.0
        self.endpoints.clear()


def _rule(item: Any) -> RestRule:
    if not isinstance(item, dict) or item.get("mode") not in REST_MODES:
        raise ValueError(f"a REST fault needs a mode: one of {', '.join(REST_MODES)}")
    unknown = set(item) - {"mode", "when", "ratio", "times", "met"}
    if unknown:
        raise ValueError(f"unknown in a REST fault: {', '.join(sorted(unknown))}")
    times = item.get("times")
    return RestRule(
        mode=str(item["mode"]),
        when=str(item.get("when", "POST")),
        ratio=float(item.get("ratio", 1.0)),
        times=None if times is None else int(times),
    )


def _webhooks(item: Any) -> WebhookFaults:
    known = set(WebhookFaults.__dataclass_fields__)
    if not isinstance(item, dict) or set(item) - known:
        raise ValueError(f"webhook faults are {', '.join(sorted(known))}")
    return WebhookFaults(**{key: float(value) for key, value in item.items()})
