"""HTTP to Twilio for the twilio library: time-outs, another base address, sorted failures.

Imported only when a request is made: requests and the library are slow to import.
"""

import json
import math
import os
import time
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any, Final, NoReturn
from urllib.parse import SplitResult, urlsplit, urlunsplit

import requests
from requests.exceptions import ProxyError, SSLError
from twilio.http.response import Response
from urllib3.exceptions import MaxRetryError, NewConnectionError

from app.twilio.clock import clock
from app.twilio.connections import Adapter
from app.twilio.failures import NotSent, RefusedByTwilio, Uncertain

POOL_SIZE: Final = 256
"""Connections kept open to each host; more threads than that open further ones."""
ORIGINAL_HOST: Final = "X-Original-Host"
_BEFORE_SENDING: Final = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
)


class Transport:
    """Sends the library's requests and raises one of our three failures for every failure.

    One instance per base address serves all threads and all accounts. It keeps no cookies, so
    that accounts do not mix, and repeats nothing by itself.
    """

    def __init__(self, base_url: str | None, timeout: tuple[float, float]) -> None:
        self.base = urlsplit(base_url) if base_url else None
        self.timeout = timeout
        self.clock = clock(base_url)
        self.session = _session()
        self._proxies: dict[str, dict[str, str]] = {}

    def request(
        self,
        method: str,
        url: str,
        params: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """Make a request for the library, whose interface this is."""
        target, extra = self.rebase(url)
        as_json = "json" in (headers or {}).get("Content-Type", "")
        before = time.time()
        try:
            answer = self.session.request(
                method.upper(),
                target,
                params=params,
                data=None if as_json else data,
                json=data if as_json else None,
                headers={**(headers or {}), **extra},
                auth=auth,
                timeout=timeout or self.timeout,
                allow_redirects=allow_redirects,
                proxies=self.proxies_for(target),
            )
        except requests.RequestException as error:
            raise_failure(error)
        self.clock.learn(before, time.time(), answer.headers.get("Date"))
        if self.base is not None and answer.status_code == 404 and _unknown(answer, method, url):
            raise NotSent("TWILIO_API_BASE_URL does not know this address: Twilio was not asked.")
        _check(answer)
        return Response(answer.status_code, answer.text, answer.headers)

    def rebase(self, url: str) -> tuple[str, dict[str, str]]:
        """Return `url` at the base address, if there is one, and the header with its real host."""
        if self.base is None:
            return url, {}
        parts = urlsplit(url)
        path = self.base.path.rstrip("/") + parts.path
        moved = urlunsplit((self.base.scheme, self.base.netloc, path, parts.query, ""))
        return moved, {ORIGINAL_HOST: parts.netloc}

    def proxies_for(self, url: str) -> dict[str, str]:
        """Return the proxies that the environment names for the host of `url`.

        Looked up once per host, since it is slow; an address of this machine never has one.
        """
        parts = urlsplit(url)
        host = f"{parts.scheme}://{parts.netloc}"
        if host not in self._proxies:
            found = {} if _is_loopback(parts) else requests.utils.get_environ_proxies(host)
            self._proxies[host] = dict(found)
        return self._proxies[host]


def transport(base_url: str | None, timeout: tuple[float, float]) -> Transport:
    """Return this process's transport for `base_url` (None: Twilio itself)."""
    return _transport(base_url, timeout, os.getpid())  # connections must not cross a fork


@lru_cache(maxsize=8)
def _transport(base_url: str | None, timeout: tuple[float, float], _process: int) -> Transport:
    return Transport(base_url, timeout)


def raise_failure(error: requests.RequestException) -> NoReturn:
    """Raise NotSent if the request surely never left this machine, else Uncertain."""
    if isinstance(error, _BEFORE_SENDING) or _never_connected(error):
        raise NotSent(f"Twilio could not be reached: {_reason(error)}.") from error
    if isinstance(error, requests.Timeout):
        raise Uncertain("Twilio did not answer in time.") from error
    raise Uncertain(f"The connection to Twilio broke: {_reason(error)}.") from error


def _session() -> requests.Session:
    session = requests.Session()
    # The environment is read in proxies_for; reading it at every request costs more than the rest.
    session.trust_env = False
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    session.verify = bundle or True
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter(pool_maxsize=POOL_SIZE, max_retries=0))
    return session


def _check(answer: requests.Response) -> None:
    status = answer.status_code
    if 200 <= status < 300:
        return
    if status == 429:
        raise NotSent(
            "Twilio has too many requests just now.", _seconds(answer.headers.get("Retry-After"))
        )
    if status == 408 or not 400 <= status < 500:
        raise Uncertain(f"Twilio answered with HTTP status {status}.")
    code, message = _error_body(answer)
    raise RefusedByTwilio(code, status, message or f"Twilio answered with HTTP status {status}.")


def _unknown(answer: requests.Response, method: str, url: str) -> bool:
    """Tell whether a 404 is of whatever stands before Twilio rather than of Twilio itself.

    Twilio's own has its code. Nothing is created below what is not there, so a text or call that is
    answered by 404 was not taken to Twilio either.
    """
    creates = method.upper() == "POST" and url.endswith(("/Messages.json", "/Calls.json"))
    return creates or _error_body(answer)[0] is None


def _error_body(answer: requests.Response) -> tuple[int | None, str]:
    """Return code and message, of Twilio's own shape or of RFC 9457; any other body has none."""
    try:
        body: Any = json.loads(answer.text)
    except ValueError:
        return None, ""
    if not isinstance(body, dict):
        return None, ""
    code = body.get("code")
    message = body.get("message") or body.get("detail") or body.get("title") or ""
    known = isinstance(code, int) and not isinstance(code, bool)
    return (code if known else None), str(message)


def _seconds(value: str | None) -> float | None:
    """Return Retry-After in seconds; Twilio documents no such header, so its absence is normal."""
    try:
        seconds = float(value) if value is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < math.inf else None


def _never_connected(error: requests.RequestException) -> bool:
    """Tell whether no connection came about: unknown name, refused, no route, bad certificate."""
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(error, SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(reason)
    if isinstance(error, ProxyError):
        reason = getattr(reason, "original_error", reason)
    return isinstance(reason, NewConnectionError)


def _reason(error: requests.RequestException) -> str:
    cause = error.args[0] if error.args else error
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(reason, NewConnectionError):
        return str(reason).rpartition(": ")[2] or "no connection"
    return type(reason).__name__ if isinstance(reason, Exception) else type(error).__name__


def _is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
