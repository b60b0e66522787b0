"""The tests' provider of sign-ins: started, told who its people are, and used as one of them."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from embedded import process
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.oidc_provider import SECRET
from tests.support.processes import ROOT, status, wait_until


class Provider:
    """One of the two providers, as its operator and its people see it."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.issuer = f"http://127.0.0.1:{port}/{name}"
        self.client_id = f"dispatch-at-{name}"
        self.http = requests.Session()
        self.http.trust_env = False

    def setting(self, groups: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return its object of `OIDC_PROVIDERS`."""
        return {
            "name": self.name, "issuer": self.issuer, "client_id": self.client_id,
            "client_secret": SECRET, "groups": groups or {},
        }  # fmt: skip

    def control(self, **told: Any) -> dict[str, Any]:
        """Tell it something; see `House` in `oidc_provider.py`."""
        answer = self.http.post(f"{self.issuer}/control", json=told, timeout=10)
        answer.raise_for_status()
        return dict(answer.json())

    def begin_anew(self, base_url: str = PUBLIC_BASE_URL) -> None:
        """Forget people and faults, and register Dispatch, as it is reached at `base_url`."""
        self.http.cookies.clear()
        here = f"{base_url}/staff/login/oidc/{self.name}"
        self.control(
            reset=True,
            client={
                "redirect_uris": [f"{here}/callback"], "logout_uri": f"{here}/logout",
                "way": "client_secret_basic",
            },
        )  # fmt: skip

    def has(self, login: str, **told: Any) -> None:
        """Have a person there: known by subject, with a verified address and groups."""
        person = {
            "sub": f"{login}-at-{self.name}", "email": f"{login}@example.edu",
            "email_verified": True, "groups": [], **told,
        }  # fmt: skip
        self.control(people={login: {k: v for k, v in person.items() if v is not None}})

    def signs_in(self, url: str, login: str) -> str:
        """Sign a person in at the address that Dispatch sent them to; return where they go."""
        self.http.cookies.clear()
        answer = self.http.post(url, data={"login": login}, timeout=10, allow_redirects=False)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def logout_token(self, **claims: Any) -> str:
        return str(self.control(logout_token=claims)["token"])


@contextmanager
def running(folder: Path) -> Iterator[tuple[Provider, Provider]]:
    """Run the two providers in a process of their own."""
    port = process.free_port()
    with (folder / "oidc_provider.log").open("wb") as log:
        argv = [sys.executable, "-m", "tests.support.oidc_provider", str(port)]
        child = process.spawn(argv, output=log, cwd=ROOT)
        try:
            campus, hospital = Provider("campus", port), Provider("hospital", port)
            wait_until(lambda: status(f"{campus.issuer}/keys") == 200, "the provider is up")
            yield campus, hospital
        finally:
            process.stop(child, signal.SIGTERM, 5.0)


def setting(*providers: dict[str, Any]) -> str:
    """Return `OIDC_PROVIDERS`."""
    return json.dumps(providers)


def begun(http: FlaskClient, name: str, query: str = "") -> str:
    """Press the provider's button; return where the browser is sent."""
    answer = http.get(f"/staff/login/oidc/{name}{query}")
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def back(http: FlaskClient, url: str) -> TestResponse:
    """Follow a provider's redirect back to Dispatch."""
    assert url.startswith(PUBLIC_BASE_URL), url
    return http.get(url.removeprefix(PUBLIC_BASE_URL))


def signed_in(http: FlaskClient, provider: Provider, login: str, query: str = "") -> TestResponse:
    """Sign in by a provider, from button to page."""
    return back(http, provider.signs_in(begun(http, provider.name, query), login))


def parameters(url: str) -> dict[str, str]:
    """Return the parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
