"""What `make run` tells people to try, read from the demonstration's configuration file."""

import os
import re
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from twilio.request_validator import RequestValidator

_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Demo:
    """The demonstration's number, the Twilio account it belongs to, and who may log in."""

    number: str
    account_sid: str
    auth_token: str
    logins: tuple[tuple[str, str], ...]


def read(path: Path, environ: Mapping[str, str] = os.environ) -> Demo | None:
    """Return the first client with a number that answers texts; None where the file has none."""

    def expand(match: re.Match[str]) -> str:
        return environ.get(match[1], "")

    content: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(expand, path.read_text())) or {}
    for client in content.get("clients") or []:
        credentials = {c["name"]: c for c in client.get("credentials") or []}
        for number in client.get("numbers") or []:
            if number.get("sms") and number.get("credential") in credentials:
                credential = credentials[number["credential"]]
                people = [*(client.get("users") or []), *(content.get("support_users") or [])]
                return Demo(
                    number=str(number["number"]),
                    account_sid=str(credential["account_sid"]),
                    auth_token=str(credential["auth_token"]),
                    logins=tuple((p["email"], str(p["password"])) for p in people),
                )
    return None


def signed_curl(demo: Demo, public_base_url: str) -> str:
    """Return a shell command that texts the demo number exactly as Twilio would.

    It carries one MessageSid, so running it again shows the stored answer, as a repeat from Twilio
    does. The sender is one of a hundred fictitious phones: a number answers each only five times
    an hour.
    """
    url = f"{public_base_url}/inbound/sms"
    sid = f"SM{secrets.token_hex(16)}"
    parameters = {
        "MessageSid": sid,
        "SmsSid": sid,
        "SmsMessageSid": sid,
        "AccountSid": demo.account_sid,
        "From": f"+1206555{secrets.randbelow(100) + 100:04}",
        "To": demo.number,
        "Body": "Hello, are you open today?",
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsStatus": "received",
        "ApiVersion": "2010-04-01",
    }
    signature = RequestValidator(demo.auth_token).compute_signature(url, parameters)
    lines = [
        f"curl -sS {shlex.quote(url)}",
        f"-H {shlex.quote(f'X-Twilio-Signature: {signature}')}",
        *(f"--data-urlencode {shlex.quote(f'{k}={v}')}" for k, v in parameters.items()),
    ]
    return " \\\n  ".join(lines)
