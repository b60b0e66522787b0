"""The REST API of client systems: a thin layer over the domain, one file per kind of thing."""

from __future__ import annotations

from flask import Blueprint

from app.api import (
    batches,
    campaigns,
    client,
    communications,
    conversations,
    deliveries,
    docs,
    endpoints,
    hours,
    inbound,
    media,
    message_templates,
    messages,
    numbers,
    openapi,
    operation,
    people,
    populations,
    preview,
    rotas,
    runs,
    sending,
    suppression_lists,
    usage,
)

__all__ = [
    "batches",
    "campaigns",
    "client",
    "communications",
    "conversations",
    "deliveries",
    "endpoints",
    "hours",
    "inbound",
    "media",
    "message_templates",
    "messages",
    "numbers",
    "openapi",
    "people",
    "populations",
    "preview",
    "rotas",
    "runs",
    "sending",
    "suppression_lists",
    "usage",
]

blueprints: tuple[Blueprint, ...] = (operation.blueprint, docs.blueprint)
