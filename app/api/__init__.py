"""The REST API of client systems: a thin layer over the domain, one file per kind of thing."""

from __future__ import annotations

from flask import Blueprint

from app.api import (
    campaigns,
    client,
    communications,
    docs,
    endpoints,
    message_templates,
    numbers,
    openapi,
    operation,
    populations,
    preview,
    suppression_lists,
)

__all__ = [
    "campaigns",
    "client",
    "communications",
    "endpoints",
    "message_templates",
    "numbers",
    "openapi",
    "populations",
    "preview",
    "suppression_lists",
]

blueprints: tuple[Blueprint, ...] = (operation.blueprint, docs.blueprint)
