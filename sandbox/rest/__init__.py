"""The REST API as Twilio's SDK sees it: one address serves `api.` and `messaging.`."""

from __future__ import annotations

from flask import Flask

from ..core import Sandbox
from . import caller_ids, calls, messages, numbers, recordings, services
from .base import install


def register(app: Flask, box: Sandbox) -> None:
    """Add the resources, the authentication, the error body and the faults."""
    install(app, box)
    for module in (messages, calls, numbers, caller_ids, services, recordings):
        module.register(app, box)
