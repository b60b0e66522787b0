"""A number of ours with everything that an answer depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from sqlalchemy import ColumnElement, FromClause, Join, Row, and_, bindparam, func

from app.domain import reach
from app.domain.reach import Standing
from app.models.base import table
from app.models.credential import signing_keys
from app.models.route import Handler, KeywordRule
from app.models.sender import SenderType
from app.models.template import Template, TemplateVersion


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """What the answer depends on of the number's client."""

    id: str
    name: str
    owner_email: str
    retention_days: int
    languages: tuple[str, ...]
    opt_words: tuple[tuple[str, tuple[str, ...]], ...]
    """The client's own words, by ``stop``, ``start`` and ``help``."""
    limit_phone_hour: int | None
    """The most messages that one phone may get within an hour."""
    limit_segments_hour: int | None
    limit_segments_day: int | None
    limit_minutes_hour: int | None
    limit_minutes_day: int | None


LIMITS = (
    "limit_phone_hour", "limit_segments_hour", "limit_segments_day", "limit_minutes_hour",
    "limit_minutes_day",
)  # fmt: skip
"""The columns of a client that are its limits."""


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """The route that applies, with the template or recording that it needs now."""

    id: str
    handler: Handler
    url: str | None
    options: dict[str, Any]
    endpoint_id: str | None
    population_id: str | None
    template_id: str | None = None
    template_name: str | None = None
    template_version_id: str | None = None
    template_body: str | None = None
    template_media: Sequence[str] = ()
    recording_code: str | None = None
    hours_id: str | None = None
    text_back_id: str | None = None
    inner: Mapping[str, RouteFacts] = field(default_factory=dict)
    """The routes inside it by their place (``keys.1``), where the whole is needed."""

    @classmethod
    def of(cls, row: Row[Any], **more: Any) -> Self:
        """Make one of a row with the columns of a route."""
        return cls(
            row.route_id, row.handler, row.url, row.options, row.endpoint_id, row.population_id,
            text_back_id=row.text_back_id, **more,
        )  # fmt: skip

    @classmethod
    def answering(cls, row: Row[Any], **more: Any) -> Self:
        """Make one of a row with the columns of a route and those of its :data:`TEMPLATE`."""
        return cls.of(
            row,
            template_id=row.template_id,
            template_name=row.template_name,
            template_version_id=row.template_version_id,
            template_body=row.template_body,
            template_media=row.template_media or (),
            **more,
        )


_rule = table(KeywordRule)
_template = table(Template)
_version = table(TemplateVersion)
TEMPLATE: tuple[ColumnElement[Any], ...] = (
    _template.c.id.label("template_id"),
    _template.c.name.label("template_name"),
    _version.c.id.label("template_version_id"),
    _version.c.body.label("template_body"),
    _version.c.media.label("template_media"),
)
"""What a route answers with, where :func:`with_template` has joined it."""


def with_template(joined: FromClause, route: FromClause) -> Join:
    """Join the template of a route, or that of its rule for the ``word`` that was texted."""
    named = func.coalesce(_rule.c.template_id, route.c.template_id)
    current = and_(
        _version.c.template_id == _template.c.id, _version.c.number == _template.c.current_version
    )
    return (
        joined.outerjoin(
            _rule, and_(_rule.c.route_id == route.c.id, _rule.c.match == bindparam("word"))
        )
        .outerjoin(_template, _template.c.id == named)
        .outerjoin(_version, current)
    )


@dataclass(frozen=True, slots=True)
class CallFacts:
    """A call in the log, as far as its steps depend on it."""

    id: str
    sid: str
    from_: str
    to: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number of ours with everything that an answer needs."""

    id: str
    """The sender's id."""
    address: str
    is_short_code: bool
    service_id: str | None
    suppression_list_id: str | None
    """The list of its messaging service if it is in one, otherwise its own."""
    credential_id: str
    account_sid: str
    tokens: tuple[str, ...]
    client: ClientFacts
    standing: Standing
    """Whether it may answer at all, and whom."""
    route: RouteFacts | None
    from_is_ours: bool
    """The other side is a number of somebody's here: never answered automatically."""

    @property
    def scope(self) -> str:
        """What an opt-out covers: the messaging service, or the number alone (Twilio, opt-out)."""
        return self.service_id or self.id


def number_of(
    row: Row[Any], route: RouteFacts | None, service_id: str | None, list_id: str | None
) -> Number:
    """Make one of a row with the columns of a number, its credential and its client."""
    client = ClientFacts(
        row.client_id,
        row.name,
        row.owner_email,
        row.retention_days,
        tuple(row.languages),
        tuple((what, tuple(words)) for what, words in row.opt_words.items()),
        **{name: getattr(row, name) for name in LIMITS},
    )
    return Number(
        id=row.number_id,
        address=row.address,
        is_short_code=row.type is SenderType.SHORT_CODE,
        service_id=service_id,
        suppression_list_id=list_id or row.number_list,
        credential_id=row.credential_id,
        account_sid=row.account_sid,
        tokens=signing_keys(row),
        client=client,
        standing=_standing(row),
        route=route,
        from_is_ours=bool(row.from_is_ours),
    )


def _standing(row: Row[Any]) -> Standing:
    return Standing(
        client=row.name,
        enabled=row.twilio_enabled,
        halted=row.halted_at is not None,
        international=row.international,
        allow_list=row.allow_list,
        trial=reach.on_trial(
            row.name if row.trial else None,
            row.credential_name if row.credential_trial else None,
        )
        if row.trial or row.credential_trial
        else None,
        stopped=reach.stopped(row.number_name or row.address, row.stopped_reason)
        if row.stopped
        else None,
        address=row.address,
    )
