"""What the sandbox reads from its environment. Every value has a demo default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ACCOUNT_SID = "AC" + "fa4e" * 8
AUTH_TOKEN = "facade00" * 4
API_KEY_SID = "SK" + "fa4e" * 8
API_KEY_SECRET = "not-a-secret-only-for-the-demo00"  # noqa: S105 opens nothing
TEST_ACCOUNT_SID = "AC" + "7e57" * 8
TEST_AUTH_TOKEN = "7e57ab1e" * 4
SERVICE_SID = "MG" + "fa4e" * 8


@dataclass(frozen=True)
class Settings:
    """Addresses and demo credentials. All of them are made up; none opens anything real."""

    port: int = 8001
    smtp_port: int = 8025
    app_url: str = "http://127.0.0.1:8000"
    public_url: str = "http://127.0.0.1:8001"
    media_url: str = "http://localhost:8001"
    account_sid: str = ACCOUNT_SID
    auth_token: str = AUTH_TOKEN
    api_key_sid: str = API_KEY_SID
    api_key_secret: str = API_KEY_SECRET
    test_account_sid: str = TEST_ACCOUNT_SID
    test_auth_token: str = TEST_AUTH_TOKEN
    service_sid: str = SERVICE_SID
    endpoint_secret: str = "whsec_c2FuZGJveC1lbmRwb2ludC1zZWNyZXQtMDEyMzQ1Njc="  # noqa: S105 likewise
    state: str = ""
    """A file that keeps what was bought and verified; none: all is forgotten."""
    speed: float = 1.0


def from_environment(env: Mapping[str, str]) -> Settings:
    """Read SANDBOX_* variables; raises ValueError naming the one that is malformed."""
    values: dict[str, str] = {}
    for field in Settings.__dataclass_fields__:
        name = "SANDBOX_" + field.upper()
        if env.get(name):
            values[field] = env[name]
    port = _integer("SANDBOX_PORT", values.pop("port", "8001"))
    smtp_port = _integer("SANDBOX_SMTP_PORT", values.pop("smtp_port", "8025"))
    speed = _positive("SANDBOX_SPEED", values.pop("speed", "1"))
    values.setdefault("public_url", f"http://127.0.0.1:{port}")
    values.setdefault("media_url", f"http://localhost:{port}")
    for key in ("app_url", "public_url", "media_url"):
        if key in values:
            values[key] = _address("SANDBOX_" + key.upper(), values[key])
    return Settings(port=port, smtp_port=smtp_port, speed=speed, **values)


def _integer(name: str, text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise ValueError(f"{name} must be a port number from 1 to 65535, not {text!r}.")
    return int(text)


def _positive(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if value <= 0:
        raise ValueError(f"{name} must be a number above 0, not {text!r}.")
    return value


def _address(name: str, text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError(f"{name} must begin with http:// or https://, not {text!r}.")
    return text.rstrip("/")
