"""How a call of the API is declared: once, for the routing, the checks and the documentation.

A function below ``@operation`` takes the caller, the parts of the path by name, and, when it
declares them, ``body`` and ``query``. What it returns is the answer's content, or an
:class:`Answer` where the status is not the first one declared. Its docstring is its documentation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any, get_type_hints

import structlog
from flask import Blueprint, Response
from pydantic import BaseModel, TypeAdapter
from sqlalchemy.exc import OperationalError

from app.api import csv_answers, problem
from app.api.auth import authenticate
from app.api.reading import read_body, read_query, storable
from app.domain import mistakes
from app.domain.audience.members import BUSY_CODE
from app.domain.clients.spending import Limited
from app.models.credential import Scope

log = structlog.get_logger(__name__)

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")

IDEMPOTENCY_KEY = "Idempotency-Key"
"""The request header that makes a repeat safe; `app.api.idempotency` keeps the answers."""


class Written(str):
    """Content that is JSON already."""

    __slots__ = ()


@dataclass(frozen=True)
class Answer:
    """An answer with a status and headers of its own; ``content`` None means no content."""

    status: int
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """What is known about one call of the API."""

    method: str
    path: str
    scope: Scope
    group: str
    name: str
    summary: str
    description: str
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    answers: Mapping[int, Any]
    """Status → the type of the content (None: no content), the usual one first."""
    problems: tuple[int, ...]
    example: Mapping[str, Any] | None
    body_optional: bool
    csv: bool
    """Whether it answers in CSV as well, where the caller accepts that rather."""

    @property
    def takes_key(self) -> bool:
        """Whether it may be repeated with an Idempotency-Key: every POST that changes something."""
        return self.method == "POST" and self.scope is not Scope.READ


operations: list[Operation] = []
Further = Callable[..., Iterable[mistakes.Mistake]]


def operation(
    method: str,
    path: str,
    scope: Scope,
    answers: Mapping[int, Any],
    problems: tuple[int, ...] = (),
    example: Mapping[str, Any] | None = None,
    body_optional: bool = False,
    further: Further | None = None,
    csv: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """Make a function a call of the API.

    :param path: below ``/api/v1``, with Flask's ``<name>`` for variable parts.
    :param scope: the least that the caller's key must have.
    :param problems: statuses of errors beside those that every such call may answer.
    :param example: a request body for the documentation.
    :param body_optional: whether the call is complete without a body.
    :param csv: whether it answers with a file of all that matches where ``text/csv`` is accepted.
    :param further: called with the caller, the rest of a body some of whose fields cannot be read,
        those fields, and the parts of the path; returns what is wrong with the rest.
    """

    def declare(function: Callable[..., Any]) -> Callable[..., Response]:
        hints = get_type_hints(function)
        summary, _, description = inspect.cleandoc(function.__doc__ or "").partition("\n")
        declared = Operation(
            method, path, scope, function.__module__.rpartition(".")[2], function.__name__,
            summary, description.strip(), hints.get("body"), hints.get("query"), answers, problems,
            example, body_optional, csv,
        )  # fmt: skip
        operations.append(declared)
        view = _view(function, declared, further)
        blueprint.add_url_rule(
            path, f"{function.__module__.rpartition('.')[2]}_{function.__name__}", view,
            methods=[method], strict_slashes=False,
        )  # fmt: skip
        return view

    return declare


def _view(
    function: Callable[..., Any], declared: Operation, further: Further | None
) -> Callable[..., Response]:
    """Return the view that lets a caller in, reads what it sent and writes what it gets."""
    usual = next(iter(declared.answers))
    writers = {status: TypeAdapter(kind) for status, kind in declared.answers.items() if kind}

    @wraps(function)
    def view(**parts: str) -> Response:
        caller = authenticate(declared.scope)
        if not all(storable(part) for part in parts.values()):
            raise problem.HttpProblem(404, "There is no such thing.")
        arguments: dict[str, Any] = dict(parts)
        if declared.query is not None:
            arguments["query"] = read_query(declared.query)
        if declared.body is not None:
            rest = partial(further, caller, **parts) if further else None
            arguments["body"] = read_body(declared.body, rest)
        if declared.csv and csv_answers.is_wanted():
            read = partial(function, caller)
            return csv_answers.answer(declared.answers[usual], read, arguments)
        given = function(caller, **arguments)
        made = given if isinstance(given, Answer) else Answer(usual, given)
        return _respond(made, writers.get(made.status))

    return view


def _respond(made: Answer, writer: TypeAdapter[Any] | None) -> Response:
    if writer is None:
        response = Response(status=made.status)
        response.headers.remove("Content-Type")
    else:
        written = isinstance(made.content, Written)
        content = made.content if written else writer.dump_json(made.content, by_alias=True)
        response = Response(content, made.status, mimetype="application/json")
    response.headers.update(made.headers)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _mistakes(refused: mistakes.Refused) -> Response:
    errors = [problem.FieldError(one.field, one.code, one.message) for one in refused.mistakes]
    if all(one.code == BUSY_CODE for one in refused.mistakes):
        return problem.answer(problem.HttpProblem(409, str(refused), errors, {"Retry-After": "60"}))
    return problem.answer(problem.invalid_all(errors))


def _limited(limited: Limited) -> Response:
    headers = {"Retry-After": str(limited.seconds)}
    return problem.answer(problem.HttpProblem(429, limited.sentence, headers=headers))


def _database_away(error: OperationalError) -> Response:
    log.warning("the database is away", error=str(error.orig))
    detail = "The database cannot be reached just now. Try again in 5 seconds."
    return problem.answer(problem.HttpProblem(503, detail, headers={"Retry-After": "5"}))


blueprint.register_error_handler(problem.HttpProblem, problem.answer)
blueprint.register_error_handler(Limited, _limited)
blueprint.register_error_handler(OperationalError, _database_away)
blueprint.register_error_handler(mistakes.Refused, _mistakes)
