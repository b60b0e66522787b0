"""What came of one try, and the sentence that explains it to people."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass
class Attempted:
    """What came of one try; the columns of an attempt.

    ``error`` is None after a success, else ``blocked, dns, connect, timeout, deadline, tls,
    connection, http_status, smtp`` or ``lost``.
    """

    url: str
    status: int | None = None
    error: str | None = None
    detail: str | None = None
    address: str | None = None
    request_headers: dict[str, str] = field(default_factory=dict)
    response_headers: dict[str, str] = field(default_factory=dict)
    response_body: str | None = None
    truncated: bool = False
    duration_ms: int = 0
    wait: timedelta | None = None
    """For how long the endpoint asked to be left alone."""
    permanent: bool = False
    """Another try would end the same: an address that does not exist."""

    @property
    def succeeded(self) -> bool:
        """Whether the endpoint has it."""
        return self.error is None

    @property
    def is_gone(self) -> bool:
        """Whether the endpoint said that it wants nothing any more."""
        return self.error == "http_status" and self.status == 410


def explain_status(status: int, location: str | None) -> str:
    """Return what a status other than 2xx means for a webhook, and what to do."""
    if 300 <= status < 400:
        target = f" ({location[:200]})" if location else ""
        return f"It answered {status}: redirects are not followed; set the final address{target}."
    known = {
        400: "it could not read the request; look at its answer",
        401: "it wants other credentials, or did not accept the signature",
        403: "it refuses access; check its rules, the secret and any firewall",
        404: "there is nothing at this path; check the URL",
        405: "it does not take this method; check the URL",
        408: "it waited too long for the request",
        410: "it wants no more events, so it has been disabled",
        413: "the event is too large for it",
        429: "it asks to be sent less; we wait",
        502: "the server behind its proxy is down",
        503: "it is not available at the moment",
        504: "the server behind its proxy did not answer",
    }
    meaning = known.get(status, "the endpoint failed" if status >= 500 else "it refused the event")
    return f"It answered {status}: {meaning}."
