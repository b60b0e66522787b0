"""The REST API as Twilio's SDK sees it: one address serves `api.`, `messaging.`,
`lookups.` and `pricing.`."""

from __future__ import annotations

from flask import Flask

from ..core import Sandbox
from . import accounts, caller_ids, calls, lookups, messages, numbers, recordings, services
from .base import install


def register(app: Flask, box: Sandbox) -> None:
    """Add the resources, the authentication, the error body and the faults."""
    install(app, box)
    for module in (
        accounts, messages, calls, numbers, caller_ids, services, recordings, lookups,
    ):  # fmt: skip
        module.register(app, box)
