"""The sections of a client's pages, in the order in which they are listed."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app, g, request

from app.models.user import Role


@dataclass(frozen=True)
class Section:
    """One entry of the list; without an endpoint it is the heading of the ones after it."""

    label: str
    endpoint: str | None = None
    module: str = ""
    owners_only: bool = False

    @property
    def current(self) -> bool:
        """Whether the page being shown belongs to this section."""
        shown = g.get("section") or request.endpoint or ""
        return shown == self.endpoint or (bool(self.module) and shown.startswith(self.module))


SECTIONS = (
    Section("Home", "client.home"),
    Section("Search", "client.search"),
    Section("Incoming"),
    Section("Inbox", "client.inbox_conversations", "client.inbox"),
    Section("Canned replies", "client.replies"),
    Section("Numbers", "client.numbers", "client.number"),
    Section("Office hours", "client.hours", "client.hours"),
    Section("On duty", "client.rotas", "client.rota"),
    Section("Recordings", "client.recordings_list", "client.recording"),
    Section("Outgoing"),
    Section("Communications", "client.communications", "client.communication"),
    Section("Calendar", "client.calendar", "client.calendar"),
    Section("Templates", "client.templates_list"),
    Section("Populations", "client.populations", "client.population"),
    Section("Suppression lists", "client.suppression_lists", "client.suppression"),
    Section("Systems"),
    Section("Endpoints", "client.endpoints", "client.endpoint"),
    Section("Deliveries", "client.deliveries", "client.deliver"),
    Section("API keys", "client.api_keys", "client.api_key"),
    Section("Credentials", "client.credentials", "client.credential", owners_only=True),
    Section("Office"),
    Section("Usage", "client.usage", "client.usage"),
    Section("People", "client.people", "client.people"),
    Section("Settings", "client.settings", "client.setting"),
    Section("History", "client.history", "client.history"),
)


def sections() -> list[Section]:
    """Return the sections that exist and are for this person; a heading without any is left out."""
    known = current_app.view_functions
    is_owner = g.get("role") is Role.OWNER
    found = [
        one
        for one in SECTIONS
        if one.endpoint is None or (one.endpoint in known and (is_owner or not one.owners_only))
    ]
    return [
        section
        for section, following in zip(found, [*found[1:], Section("")], strict=True)
        if section.endpoint or following.endpoint
    ]
